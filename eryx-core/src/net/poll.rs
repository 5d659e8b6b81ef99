use eryx_net_host::poll::{self, PollSet, Sweep};
use eryx_net_host::{Connection, Lookup, UdpSocket};
use wasmtime::bail;
use wasmtime::component::Resource;

use super::convert;
use crate::bindings::eryx::net::poll::{Duration, Host as PollHost, Ready};
use crate::store_state::Host;

/// How many connections or sockets to read from, to write to, or lookups one call may wait for.
const MAX_POLLED: usize = 4096;

impl PollHost for Host {
    async fn poll(
        &mut self,
        readable: Vec<Resource<Connection>>,
        writable: Vec<Resource<Connection>>,
        receivable: Vec<Resource<UdpSocket>>,
        sendable: Vec<Resource<UdpSocket>>,
        lookups: Vec<Resource<Lookup>>,
        timeout: Option<Duration>,
    ) -> wasmtime::Result<Ready> {
        // A look at each takes the host's time, and a guest may name one a million times.
        let most = readable.len().max(writable.len()).max(lookups.len());
        if most.max(receivable.len()).max(sendable.len()) > MAX_POLLED {
            bail!("poll was given more than {MAX_POLLED} of a kind to wait for");
        }
        let mut ready = Ready {
            readable: Vec::new(),
            writable: Vec::new(),
            receivable: Vec::new(),
            sendable: Vec::new(),
            lookups: Vec::new(),
        };
        let mut failure = None;
        let table = &mut self.table;
        let timeout = convert::timeout(timeout);
        let told = {
            let mut inquiry = PollSet::default();
            for connection in &readable {
                inquiry.add(table.get(connection)?.poll_item_readable());
            }
            for connection in &writable {
                inquiry.add(table.get(connection)?.poll_item_writable());
            }
            for _ in 0..receivable.len() + sendable.len() + lookups.len() {
                inquiry.add(None);
            }
            inquiry.poll(timeout)
        };
        poll::wait_ready_after(&told, timeout, |look: &mut Sweep<'_, '_>| {
            let mut look_at_all = || -> Result<(), wasmtime::Error> {
                for (at, connection) in positions(&readable) {
                    let connection = table.get_mut(connection)?;
                    if look.poll(|cx| connection.poll_readable(cx)) {
                        ready.readable.push(at);
                    }
                }
                for (at, connection) in positions(&writable) {
                    let connection = table.get_mut(connection)?;
                    if look.poll(|cx| connection.poll_writable(cx)) {
                        ready.writable.push(at);
                    }
                }
                for (at, socket) in positions(&receivable) {
                    let socket = table.get_mut(socket)?;
                    if look.poll(|cx| socket.poll_readable(cx)) {
                        ready.receivable.push(at);
                    }
                }
                for (at, socket) in positions(&sendable) {
                    let socket = table.get_mut(socket)?;
                    if look.poll(|cx| socket.poll_writable(cx)) {
                        ready.sendable.push(at);
                    }
                }
                for (at, lookup) in positions(&lookups) {
                    let lookup = table.get_mut(lookup)?;
                    if look.poll(|cx| lookup.poll_ready(cx)) {
                        ready.lookups.push(at);
                    }
                }
                Ok(())
            };
            match look_at_all() {
                Ok(()) => {
                    !(ready.readable.is_empty()
                        && ready.writable.is_empty()
                        && ready.receivable.is_empty()
                        && ready.sendable.is_empty()
                        && ready.lookups.is_empty())
                }
                Err(error) => {
                    failure = Some(error);
                    true
                }
            }
        })
        .await;
        match failure {
            None => Ok(ready),
            Some(error) => Err(error),
        }
    }
}

fn positions<T>(items: &[T]) -> impl Iterator<Item = (u32, &T)> {
    // A guest's memory holds fewer handles than a u32 counts.
    (0..).zip(items)
}
