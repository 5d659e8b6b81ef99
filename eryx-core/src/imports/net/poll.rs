//! `eryx:net/poll`: waits for several connections, sockets, lookups and calls together.

use std::task::{Context, Poll};

use eryx_net_host::poll::{self, PollSet, Sweep};
use eryx_net_host::{Connection, Lookup, UdpSocket};
use wasmtime::bail;
use wasmtime::component::{Resource, ResourceTable};

use crate::bindings::eryx::net::poll::{Duration, Host, Ready};
use crate::functions::Call;
use crate::imports::net::convert;
use crate::store_state::StoreState;

/// The most handles in each of the lists of one call.
const MAX_POLLED: usize = 4096;

impl Host for StoreState {
    async fn poll(
        &mut self,
        readable: Vec<Resource<Connection>>,
        writable: Vec<Resource<Connection>>,
        receivable: Vec<Resource<UdpSocket>>,
        sendable: Vec<Resource<UdpSocket>>,
        lookups: Vec<Resource<Lookup>>,
        calls: Vec<Resource<Call>>,
        timeout: Option<Duration>,
    ) -> wasmtime::Result<Ready> {
        // Polling each handle takes the host's time, and a guest may name one a million times.
        let longest = readable.len().max(writable.len()).max(lookups.len());
        let longest = longest.max(receivable.len()).max(sendable.len());
        if longest.max(calls.len()) > MAX_POLLED {
            bail!("poll was given more than {MAX_POLLED} of a kind to wait for");
        }
        let table = &mut self.table;
        let timeout = convert::timeout(timeout);
        let readiness = {
            let mut poll_set = PollSet::default();
            for connection in &readable {
                poll_set.add(table.get(connection)?.poll_item_readable());
            }
            for connection in &writable {
                poll_set.add(table.get(connection)?.poll_item_writable());
            }
            for _ in 0..receivable.len() + sendable.len() + lookups.len() + calls.len() {
                poll_set.add(None);
            }
            poll_set.poll(timeout)
        };
        let mut ready = Ready {
            readable: Vec::new(),
            writable: Vec::new(),
            receivable: Vec::new(),
            sendable: Vec::new(),
            lookups: Vec::new(),
            calls: Vec::new(),
        };
        let mut failure = None;
        poll::wait_ready_after(&readiness, timeout, |sweep: &mut Sweep<'_, '_>| {
            let mut poll_all = || -> wasmtime::Result<bool> {
                ready.readable = poll_each(table, &readable, sweep, Connection::poll_readable)?;
                ready.writable = poll_each(table, &writable, sweep, Connection::poll_writable)?;
                ready.receivable = poll_each(table, &receivable, sweep, UdpSocket::poll_readable)?;
                ready.sendable = poll_each(table, &sendable, sweep, UdpSocket::poll_writable)?;
                ready.lookups = poll_each(table, &lookups, sweep, Lookup::poll_ready)?;
                ready.calls = poll_each(table, &calls, sweep, Call::poll_ready)?;
                Ok(!(ready.readable.is_empty()
                    && ready.writable.is_empty()
                    && ready.receivable.is_empty()
                    && ready.sendable.is_empty()
                    && ready.lookups.is_empty()
                    && ready.calls.is_empty()))
            };
            poll_all().unwrap_or_else(|error| {
                failure = Some(error);
                true
            })
        })
        .await;
        match failure {
            None => Ok(ready),
            Some(error) => Err(error),
        }
    }
}

/// Polls each of `handles`, and returns the positions of those that are ready.
fn poll_each<T: Send + 'static>(
    table: &mut ResourceTable,
    handles: &[Resource<T>],
    sweep: &mut Sweep<'_, '_>,
    poll: impl Fn(&mut T, &mut Context<'_>) -> Poll<()>,
) -> wasmtime::Result<Vec<u32>> {
    let mut ready = Vec::new();
    // A guest's memory holds fewer handles than a u32 counts.
    for (position, handle) in (0..).zip(handles) {
        let resource = table.get_mut(handle)?;
        if sweep.poll(|cx| poll(resource, cx)) {
            ready.push(position);
        }
    }
    Ok(ready)
}
