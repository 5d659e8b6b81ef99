//! The calls of the guest's exports that run a program or its setup code, and how a call ends: the
//! call races against its deadline and its cancel handle.

use std::future::pending;

use tokio::time::Instant;
use wasmtime::Store;

use crate::bindings::{Outcome, Sandbox as Guest, StartState};
use crate::cancel::CancelHandle;
use crate::stdin::Stdin;
use crate::store_state::StoreState;
use crate::value::ProgramEnd;

/// A call of an export of the guest.
#[derive(Debug)]
pub(crate) enum GuestCall<'a> {
    /// Run a program.
    Execute {
        /// The source of the program.
        source: &'a [u8],
        /// The state to set before.
        start: Option<&'a StartState>,
        /// The standard input of the program.
        stdin: Stdin,
        /// The most bytes of the program's value, if it is wanted.
        max_value: Option<u32>,
        /// Whether the interpreter ends with the program.
        exits: bool,
    },
    /// Import modules and run the setup code, before a snapshot.
    Preload {
        /// The directories that packages are imported from.
        paths: &'a [String],
        /// The modules.
        imports: &'a [String],
        /// The setup code.
        setup: Option<&'a [u8]>,
    },
}

impl GuestCall<'_> {
    /// Calls the export.
    pub(super) async fn call(
        self,
        guest: &Guest,
        store: &mut Store<StoreState>,
    ) -> wasmtime::Result<ProgramEnd> {
        match self {
            Self::Execute {
                source,
                start,
                stdin,
                max_value,
                exits,
            } => {
                if let Some(start) = start {
                    if start.opens_stdin {
                        store.data().stdin.set(stdin)?;
                    }
                    if let Err(exception) = guest.call_prepare(&mut *store, start).await? {
                        return Ok(ProgramEnd::without_value(Outcome::Exception(exception)));
                    }
                }
                let ended = match max_value {
                    None => {
                        let outcome = guest.call_execute(&mut *store, source).await?;
                        ProgramEnd::without_value(outcome)
                    }
                    Some(max) => {
                        let evaluation = guest.call_evaluate(&mut *store, source, max).await?;
                        ProgramEnd::new(evaluation, max, &store.data().host_memory)?
                    }
                };
                if exits {
                    let open = store.data().files.lock().open_count();
                    let open = u32::try_from(open).unwrap_or(u32::MAX);
                    guest.call_exit(store, open).await?;
                }
                Ok(ended)
            }
            Self::Preload {
                paths,
                imports,
                setup,
            } => {
                let preloaded = guest.call_preload(store, paths, imports, setup).await?;
                let outcome = preloaded.map_or_else(Outcome::Exception, |()| Outcome::Finished);
                Ok(ProgramEnd::without_value(outcome))
            }
        }
    }
}

/// Waits for a call of the guest, until `deadline` or until `cancel` ends it.
pub(super) async fn race<T>(
    call: impl Future<Output = wasmtime::Result<T>>,
    deadline: Option<Instant>,
    cancel: Option<&CancelHandle>,
) -> CallEnd<T> {
    let cancelled = async {
        match cancel {
            Some(cancel) => cancel.cancelled().await,
            None => pending().await,
        }
    };
    let timed_out = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        () = cancelled => CallEnd::Cancelled,
        returned = call => CallEnd::Returned(returned),
        () = timed_out => CallEnd::TimedOut,
    }
}

/// The end of a call of the guest.
pub(super) enum CallEnd<T> {
    Returned(wasmtime::Result<T>),
    Cancelled,
    TimedOut,
}

impl<T> CallEnd<T> {
    /// Converts what the call returned.
    pub(super) fn map<U>(self, convert: impl FnOnce(T) -> U) -> CallEnd<U> {
        match self {
            Self::Returned(returned) => CallEnd::Returned(returned.map(convert)),
            Self::Cancelled => CallEnd::Cancelled,
            Self::TimedOut => CallEnd::TimedOut,
        }
    }
}
