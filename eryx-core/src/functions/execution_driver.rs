//! The thread that drives an execution: it polls the program and runs the embedder's functions.
//!
//! A function that blocks must not run where its execution is polled: nothing could end it at its
//! deadline. Giving each call to another thread takes two wake-ups of a thread, 20 to 100 µs on a
//! virtual machine. So the execution moves to the thread of its first blocking call. That thread
//! polls it again as soon as the function has returned, and runs the next function itself. The task
//! that awaits the execution takes it back when a timer or a cancellation wakes it, whatever the
//! thread does, or when the program has to wait or its time slice is over.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::{mem, thread};

use eryx_sync::Mutex;

use crate::functions::blocking_call::BlockingCall;

tokio::task_local! {
    /// The work that an execution waits for.
    static WORK: Arc<WorkSlot>;
}

/// The thread on which blocking functions run.
pub trait FunctionThread: Send + Sync + 'static {
    /// Calls `drive`, which runs functions and polls the program, on a thread for blocking work.
    fn enter(&self, drive: &mut (dyn FnMut() + Send));

    /// Calls `poll` from within [`enter`](Self::enter).
    fn poll_program(&self, poll: &mut (dyn FnMut() + Send));
}

/// Runs `execution` and its functions. A blocking function runs on a thread for blocking work, as
/// `thread` wants it.
///
/// # Panics
///
/// If `execution` panics, with its panic.
pub async fn drive<F>(execution: F, thread: Arc<dyn FunctionThread>) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let work = Arc::new(WorkSlot(Mutex::new(None)));
    let execution = Box::pin(WORK.scope(Arc::clone(&work), execution));
    let driver = Arc::new(Driver {
        work,
        thread,
        state: Mutex::new(State {
            execution: Some(execution as BoxedExecution<F::Output>),
            call: None,
            calls: 0,
            is_on_thread: false,
            is_woken: false,
            is_over: false,
            output: None,
            waiter: None,
        }),
    });
    let _ended = EndOnDrop(Arc::clone(&driver));
    let waker = Waker::from(Arc::clone(&driver));
    poll_fn(|cx| driver.poll(cx, &waker)).await
}

/// Returns where an execution leaves work for its driver, if it has one.
pub(super) fn work() -> Option<Arc<WorkSlot>> {
    WORK.try_with(Arc::clone).ok()
}

/// Holds the work that an execution waits for. It is one program, which waits for one thing at a
/// time.
pub(super) struct WorkSlot(Mutex<Option<Work>>);

/// What the driver does once the execution is pending.
enum Work {
    /// Called at once, by the thread that polls the execution.
    Now(Box<dyn FnOnce() + Send>),
    Blocking(BlockingCall),
}

impl WorkSlot {
    /// Has the driver make a call on a thread for blocking work.
    pub(super) fn put_call(&self, call: BlockingCall) {
        *self.0.lock() = Some(Work::Blocking(call));
    }

    /// Calls `work` outside of the execution: not on the stack of the program's fiber, which
    /// Python code of the embedder does not know.
    pub(super) async fn run_outside(&self, work: Box<dyn FnOnce() + Send>) {
        *self.0.lock() = Some(Work::Now(work));
        let mut is_first = true;
        poll_fn(|_| match mem::take(&mut is_first) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        })
        .await;
    }

    fn take(&self) -> Option<Work> {
        self.0.lock().take()
    }
}

type BoxedExecution<T> = Pin<Box<dyn Future<Output = T> + Send>>;

struct Driver<T> {
    work: Arc<WorkSlot>,
    thread: Arc<dyn FunctionThread>,
    state: Mutex<State<T>>,
}

struct State<T> {
    /// `None` while it is polled, and at the end.
    execution: Option<BoxedExecution<T>>,
    /// The number of the call whose thread continues the execution.
    call: Option<u64>,
    calls: u64,
    /// Whether the thread of a call polls the execution.
    is_on_thread: bool,
    /// Whether the execution was woken since its last poll began.
    is_woken: bool,
    /// Whether the result is of no interest any more.
    is_over: bool,
    /// The result of the execution, or its panic, from the thread of a call.
    output: Option<thread::Result<T>>,
    /// Wakes the task that awaits the execution.
    waiter: Option<Waker>,
}

impl<T: Send + 'static> Driver<T> {
    /// Polls the execution for the task that awaits it.
    fn poll(self: &Arc<Self>, cx: &mut Context<'_>, waker: &Waker) -> Poll<T> {
        loop {
            let mut execution = {
                let mut state = self.state.lock();
                match state.output.take() {
                    Some(Ok(output)) => return Poll::Ready(output),
                    Some(Err(panic)) => resume_unwind(panic),
                    None => {}
                }
                match &mut state.waiter {
                    Some(waiter) => waiter.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                let Some(execution) = state.execution.take() else {
                    // The thread wakes this task.
                    return Poll::Pending;
                };
                state.is_woken = false;
                execution
            };
            if let Poll::Ready(output) = execution.as_mut().poll(&mut Context::from_waker(waker)) {
                return Poll::Ready(output);
            }
            let work = self.work.take();
            let mut state = self.state.lock();
            state.execution = Some(execution);
            match work {
                None => return Poll::Pending,
                Some(Work::Now(work)) => {
                    drop(state);
                    work();
                }
                Some(Work::Blocking(call)) => {
                    let number = state.begin_call();
                    drop(state);
                    let driver = Arc::clone(self);
                    tokio::task::spawn_blocking(move || driver.run_on_thread(call, number));
                    return Poll::Pending;
                }
            }
        }
    }

    /// Makes a call on this thread, and goes on with the execution as far as that needs no waiting.
    fn run_on_thread(self: Arc<Self>, call: BlockingCall, number: u64) {
        let waker = Waker::from(Arc::clone(&self));
        let mut next = Some((call, number));
        self.thread.enter(&mut || {
            while let Some((call, number)) = next.take() {
                let returned = call.run();
                let execution = self.state.lock().take_after_call(number);
                returned.deliver();
                next = execution.and_then(|execution| self.poll_on_thread(execution, &waker));
            }
        });
    }

    /// Polls the execution on the thread of a call. Returns the next call.
    fn poll_on_thread(
        &self,
        mut execution: BoxedExecution<T>,
        waker: &Waker,
    ) -> Option<(BlockingCall, u64)> {
        loop {
            // What has woken the execution so far, such as the call that has returned, is found by
            // the poll that begins now.
            self.state.lock().is_woken = false;
            let mut polled = Ok(Poll::Pending);
            self.thread.poll_program(&mut || {
                let mut cx = Context::from_waker(waker);
                let poll = || execution.as_mut().poll(&mut cx);
                polled = catch_unwind(AssertUnwindSafe(poll));
            });
            let output = match polled {
                Ok(Poll::Pending) => None,
                Ok(Poll::Ready(output)) => Some(Ok(output)),
                Err(panic) => Some(Err(panic)),
            };
            if output.is_some() {
                drop(execution);
                let mut state = self.state.lock();
                state.is_on_thread = false;
                state.output = output;
                let waiter = state.waiter.take();
                drop(state);
                wake(waiter);
                return None;
            }
            let work = self.work.take();
            let mut state = self.state.lock();
            if state.is_over {
                drop(state);
                drop(execution);
                return None;
            }
            match work {
                Some(Work::Now(work)) => {
                    drop(state);
                    work();
                }
                Some(Work::Blocking(call)) => {
                    let number = state.begin_call();
                    // A cancellation does not wait until the function has returned.
                    let waiter = state.store_execution(execution);
                    drop(state);
                    wake(waiter);
                    return Some((call, number));
                }
                None => {
                    // The program waits, or it has computed for a time slice. The task that awaits
                    // it goes on: it needs no thread for blocking work.
                    let waiter = state.store_execution(execution);
                    drop(state);
                    wake(waiter);
                    return None;
                }
            }
        }
    }
}

fn wake(waiter: Option<Waker>) {
    if let Some(waiter) = waiter {
        waiter.wake();
    }
}

impl<T> State<T> {
    /// Takes the execution from the thread that has polled it. Returns what wakes the task that
    /// awaits it, if the execution was woken during the poll.
    fn store_execution(&mut self, execution: BoxedExecution<T>) -> Option<Waker> {
        self.execution = Some(execution);
        self.is_on_thread = false;
        self.waiter.clone().filter(|_| self.is_woken)
    }

    fn begin_call(&mut self) -> u64 {
        self.calls += 1;
        self.call = Some(self.calls);
        self.calls
    }

    /// Takes the execution for the thread whose call has returned. `None` if another thread has it,
    /// or if it went on without that call.
    fn take_after_call(&mut self, number: u64) -> Option<BoxedExecution<T>> {
        if self.call != Some(number) {
            return None;
        }
        self.call = None;
        let execution = self.execution.take();
        self.is_on_thread = execution.is_some();
        execution
    }
}

impl<T: Send + 'static> Wake for Driver<T> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waiter = {
            let mut state = self.state.lock();
            state.is_woken = true;
            // The thread looks at the flag before it leaves the execution.
            state.waiter.clone().filter(|_| !state.is_on_thread)
        };
        wake(waiter);
    }
}

/// Drops the execution with the future that drives it.
struct EndOnDrop<T>(Arc<Driver<T>>);

impl<T> Drop for EndOnDrop<T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.is_over = true;
        let execution = state.execution.take();
        drop(state);
        drop(execution);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use eryx_net_host::HostMemory;

    use super::*;
    use crate::functions::calls::{Calls, OfferedFunctions};
    use crate::functions::error::FunctionError;
    use crate::functions::function::{Function, FunctionResult};
    use crate::functions::set::Functions;
    use crate::limits::ResourceLimits;
    use crate::nesting::Nesting;

    struct DirectThread;

    impl FunctionThread for DirectThread {
        fn enter(&self, drive: &mut (dyn FnMut() + Send)) {
            drive();
        }

        fn poll_program(&self, poll: &mut (dyn FnMut() + Send)) {
            poll();
        }
    }

    /// Returns the calls of an execution with the function `f`.
    fn calls(function: impl Fn() -> Result<u8, FunctionError> + Send + Sync + 'static) -> Calls {
        let function = Function::blocking(move |_| function());
        let offered = OfferedFunctions {
            functions: Functions::default().with_function("f", function),
            observer: None,
        };
        let memory = HostMemory::new(u64::MAX);
        let mut calls = Calls::new(&offered, &ResourceLimits::default(), &memory);
        calls.begin_execution(1, &Nesting::default());
        calls
    }

    async fn invoke(calls: &mut Calls) -> FunctionResult {
        calls.begin("f", b"[[],{}]".to_vec())?.invoke().await
    }

    /// Runs `execution` with its driver. Returns how often the task that awaits it is polled, too.
    async fn count_polls<T: Send + 'static>(
        execution: impl Future<Output = T> + Send + 'static,
    ) -> (T, usize) {
        let mut driven = Box::pin(drive(execution, Arc::new(DirectThread)));
        let mut polls = 0;
        let output = poll_fn(|cx| {
            polls += 1;
            driven.as_mut().poll(cx)
        })
        .await;
        (output, polls)
    }

    #[tokio::test]
    async fn calls_one_after_another_do_not_wake_the_task_that_awaits_the_execution() {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let mut calls = calls(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(1)
        });
        let execution = async move {
            for _ in 0..500 {
                assert_eq!(invoke(&mut calls).await.expect("returns").as_str(), "1");
            }
        };
        let ((), polls) = count_polls(execution).await;
        assert_eq!(count.load(Ordering::Relaxed), 500);
        // To begin, and with the result.
        assert_eq!(polls, 2);
    }

    #[tokio::test]
    async fn an_execution_that_waits_for_something_else_is_given_back() {
        let mut calls = calls(|| Ok(1));
        let execution = async move {
            for _ in 0..3 {
                invoke(&mut calls).await.expect("returns");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            std::thread::current().id()
        };
        let (thread, polls) = count_polls(execution).await;
        assert_eq!(thread, std::thread::current().id());
        assert!(polls >= 4, "{polls}");
    }

    #[tokio::test]
    async fn an_execution_goes_on_and_ends_while_its_function_does_not_return() {
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let mut calls = calls(move || {
            let _ = released.lock().recv();
            Ok(1)
        });
        let execution = async move {
            let limit = Duration::from_millis(5);
            let first = tokio::time::timeout(limit, invoke(&mut calls)).await;
            let second = tokio::time::timeout(limit, invoke(&mut calls)).await;
            (first.is_err(), second.is_err())
        };
        let (timed_out, _) = count_polls(execution).await;
        assert_eq!(timed_out, (true, true));
        drop(release);
    }

    #[tokio::test]
    async fn an_execution_woken_while_a_thread_polls_it_does_not_wait_for_its_next_function() {
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let count = AtomicUsize::new(0);
        let mut calls = calls(move || {
            if count.fetch_add(1, Ordering::Relaxed) > 0 {
                let _ = released.lock().recv();
            }
            Ok(1)
        });
        let cancelled = Arc::new(tokio::sync::Notify::new());
        let cancel = Arc::clone(&cancelled);
        let program = async move {
            // The thread of the first call polls the rest.
            invoke(&mut calls).await.expect("returns");
            cancel.notify_one();
            invoke(&mut calls).await.expect("returns");
        };
        let execution = async move {
            tokio::select! {
                biased;
                () = cancelled.notified() => true,
                () = program => false,
            }
        };
        // In a task of its own, which the time limit does not wake.
        let driven = tokio::spawn(drive(execution, Arc::new(DirectThread)));
        let ended = tokio::time::timeout(Duration::from_secs(10), driven).await;
        drop(release);
        assert!(ended.expect("woken").expect("no panic"));
    }

    #[tokio::test]
    async fn a_dropped_driver_drops_the_execution_while_its_function_runs_or_afterwards() {
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let mut calls = calls(move || {
            let _ = released.lock().recv();
            Ok(1)
        });
        let held = Arc::new(());
        let weak = Arc::downgrade(&held);
        let execution = async move {
            let _held = held;
            invoke(&mut calls).await
        };
        let driven = drive(execution, Arc::new(DirectThread));
        let timed_out = tokio::time::timeout(Duration::from_millis(5), driven).await;
        assert!(timed_out.is_err() && weak.upgrade().is_none());
        drop(release);
    }

    #[tokio::test]
    async fn a_panic_of_the_function_or_the_execution_is_one_of_the_driver() {
        for in_function in [true, false] {
            let mut calls = calls(move || match in_function {
                true => panic!("expected"),
                false => Ok(1),
            });
            let execution = async move {
                invoke(&mut calls).await.expect("returns");
                panic!("expected");
            };
            let driven = tokio::spawn(drive::<_>(execution, Arc::new(DirectThread)));
            let failed: Result<(), _> = driven.await;
            assert!(failed.expect_err("it panics").is_panic());
        }
    }
}
