use std::task::Context;

use eryx_net_host::{Connection, DatagramSocket, Lookup, readiness};
use wasmtime::bail;
use wasmtime::component::Resource;

use super::convert;
use crate::bindings::eryx::net::poll::{Duration, Host as PollHost, Ready};
use crate::host::Host;

/// How many connections or sockets to read from, to write to, or lookups one call may wait for.
const MAX_POLLED: usize = 4096;

impl PollHost for Host {
    async fn poll(
        &mut self,
        readable: Vec<Resource<Connection>>,
        writable: Vec<Resource<Connection>>,
        receivable: Vec<Resource<DatagramSocket>>,
        sendable: Vec<Resource<DatagramSocket>>,
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
        readiness::wait(convert::timeout(timeout), |cx: &mut Context<'_>| {
            let mut look = || -> Result<(), wasmtime::Error> {
                for (at, connection) in positions(&readable) {
                    if table.get_mut(connection)?.poll_readable(cx).is_ready() {
                        ready.readable.push(at);
                    }
                }
                for (at, connection) in positions(&writable) {
                    if table.get_mut(connection)?.poll_writable(cx).is_ready() {
                        ready.writable.push(at);
                    }
                }
                for (at, socket) in positions(&receivable) {
                    if table.get_mut(socket)?.poll_readable(cx).is_ready() {
                        ready.receivable.push(at);
                    }
                }
                for (at, socket) in positions(&sendable) {
                    if table.get_mut(socket)?.poll_writable(cx).is_ready() {
                        ready.sendable.push(at);
                    }
                }
                for (at, lookup) in positions(&lookups) {
                    if table.get_mut(lookup)?.poll_ready(cx).is_ready() {
                        ready.lookups.push(at);
                    }
                }
                Ok(())
            };
            match look() {
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
