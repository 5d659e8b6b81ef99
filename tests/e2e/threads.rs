//! Threads that take turns: what runs while another thread waits, and what ends them.

use eryx_testkit::{Behaviour, Peer};
use serde_json::json;

use crate::support::{
    expect_exception, expect_stdout, expect_time_limit, loopback, run_program, sandbox,
    sandbox_with_limits, timeout_of,
};

/// Runs `program` in a new sandbox, and returns what it prints.
async fn printed(program: &str) -> String {
    expect_stdout(sandbox(None).execute(program).await)
}

#[tokio::test]
async fn threads_that_sleep_overlap() {
    let program = "
import threading, time
done = []
def work(n):
    time.sleep(n / 10)
    done.append(n)
threads = [threading.Thread(target=work, args=(n,)) for n in (3, 1, 2)]
before = time.monotonic()
for thread in threads: thread.start()
print(threading.active_count(), all(thread.is_alive() for thread in threads))
for thread in threads: thread.join()
# One after another, they would take 0.6 s.
print(done, time.monotonic() - before < 0.55, threading.active_count())
";
    assert_eq!(printed(program).await, "4 True\n[1, 2, 3] True 1\n");
}

#[tokio::test]
async fn consumers_of_a_queue_wait_for_more_items() {
    let program = "
import queue, threading
items, results = queue.Queue(2), queue.SimpleQueue()
def consume():
    while (item := items.get()) is not None:
        results.put(item * 2)
        items.task_done()
consumers = [threading.Thread(target=consume) for _ in range(3)]
for consumer in consumers: consumer.start()
for batch in range(2):
    for item in range(20): items.put(item)
    items.join()
    print(results.qsize(), all(consumer.is_alive() for consumer in consumers))
for _ in consumers: items.put(None)
for consumer in consumers: consumer.join()
print(any(consumer.is_alive() for consumer in consumers))
";
    assert_eq!(printed(program).await, "20 True\n40 True\nFalse\n");
}

#[tokio::test]
async fn every_primitive_of_threading_lets_others_run() {
    let program = "
import threading, time
event, condition = threading.Event(), threading.Condition()
semaphore, barrier = threading.Semaphore(0), threading.Barrier(2)
lock, reentrant = threading.Lock(), threading.RLock()
held, let_go = threading.Event(), threading.Event()
def other():
    event.set()
    with condition: condition.notify()
    semaphore.release()
    print(barrier.wait() in (0, 1))
    with lock: print('lock')
    with reentrant, reentrant:
        time.sleep(0.01)
        print('rlock', reentrant.acquire(False))
        reentrant.release()
        held.set()
        let_go.wait()
lock.acquire(); reentrant.acquire()
thread = threading.Thread(target=other)
with condition:
    thread.start()
    print(condition.wait(5))
print(event.wait(), semaphore.acquire())
print(barrier.wait() in (0, 1))
time.sleep(0.01)
lock.release()
time.sleep(0.01)
print('main'); reentrant.release()
held.wait()
print(reentrant.acquire(False), reentrant.acquire(timeout=0.001))
let_go.set()
print(reentrant.acquire(timeout=5))
thread.join()
";
    assert_eq!(
        printed(program).await,
        "True\nTrue True\nTrue\nTrue\nlock\nmain\nrlock True\nFalse False\nTrue\n"
    );
}

#[tokio::test]
async fn a_monitor_wakes_up_while_others_wait() {
    let program = "
import threading, time
stop, ticks = threading.Event(), []
def monitor():
    while not stop.wait(0.02): ticks.append(1)
thread = threading.Thread(target=monitor, daemon=True)
thread.start()
time.sleep(0.25)
print(2 < len(ticks) < 13)
stop.set()
thread.join()
print(thread.is_alive())
";
    assert_eq!(printed(program).await, "True\nFalse\n");
}

#[tokio::test]
async fn each_thread_has_its_own_state() {
    let program = "
import contextvars, decimal, sys, threading, time
local, variable = threading.local(), contextvars.ContextVar('variable', default='unset')
local.name = variable_value = 'main'
variable.set('main')
main = threading.main_thread()
def body():
    thread = threading.current_thread()
    print(hasattr(local, 'name'), variable.get(), thread.ident == threading.get_ident() == thread.native_id != main.ident)
    local.name = thread.name
    variable.set(thread.name)
    decimal.getcontext().prec = 5
    try:
        raise ValueError(thread.name)
    except ValueError:
        time.sleep(0.01)
        print(local.name, variable.get(), sys.exception(), threading.current_thread().name)
threads = [threading.Thread(target=body, name=name) for name in ('a', 'b')]
try:
    raise KeyError('main')
except KeyError:
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(local.name, variable.get(), sys.exception(), decimal.getcontext().prec)
print(threading.current_thread() is main, threading.enumerate() == [main])
";
    assert_eq!(
        printed(program).await,
        "False unset True\nFalse unset True\na a a a\nb b b b\nmain main 'main' 28\nTrue True\n"
    );
}

#[tokio::test]
async fn a_thread_reports_its_exceptions_to_the_hook() {
    let program = "
import sys, threading
def fail(): raise ValueError('lost')
thread = threading.Thread(target=fail, name='failing')
thread.start(); thread.join()
threading.excepthook = lambda args: print(args.exc_type.__name__, args.exc_value, args.thread.name)
for target in (fail, sys.exit):
    thread = threading.Thread(target=target, name='hooked')
    thread.start(); thread.join()
threading.settrace(lambda frame, event, arg: print('traced') if frame.f_code is fail.__code__ else None)
thread = threading.Thread(target=fail, name='traced'); thread.start(); thread.join()
threading.settrace(None)
print(sys.gettrace())
";
    let result = sandbox(None).execute(program).await.expect("finished");
    assert_eq!(
        result.output.stdout_text(),
        "ValueError lost hooked\nSystemExit  hooked\ntraced\nValueError lost traced\nNone\n"
    );
    let stderr = result.output.stderr_text();
    assert!(
        stderr.starts_with("Exception in thread failing:\nTraceback")
            && stderr.ends_with("ValueError: lost\n"),
        "{stderr}"
    );
}

#[tokio::test]
async fn executors_run_functions() {
    let program = "
import concurrent.futures as futures, threading, time
started = []
with futures.ThreadPoolExecutor(3, thread_name_prefix='pool', initializer=lambda: started.append(1)) as pool:
    print(list(pool.map(lambda n: n * n, range(5))))
    calls = [pool.submit(time.sleep, n / 100) for n in (3, 1, 2)]
    print(sorted(calls.index(call) for call in futures.as_completed(calls)))
    failing = pool.submit(lambda: 1 / 0)
    print(type(failing.exception()).__name__, futures.wait(calls).not_done)
    blocked = [pool.submit(time.sleep, 0.05) for _ in range(3)]
    print(pool.submit(print, 'cancelled').cancel(), len(started))
    print(pool.submit(lambda: threading.current_thread().name.startswith('pool')).result(5))
try:
    pool.submit(print)
except RuntimeError as error:
    print(error)
";
    assert_eq!(
        printed(program).await,
        "[0, 1, 4, 9, 16]\n[0, 1, 2]\nZeroDivisionError set()\nTrue 3\nTrue\n\
         cannot schedule new futures after shutdown\n"
    );
}

#[tokio::test]
async fn asyncio_and_threads_call_each_other() {
    let program = "
import asyncio, threading, time
def pause(n):
    time.sleep(0.05)
    return n
async def double(n):
    await asyncio.sleep(0.01)
    return 2 * n
loop = asyncio.get_running_loop()
before = time.monotonic()
print(await asyncio.gather(*(asyncio.to_thread(pause, n) for n in range(4))), time.monotonic() - before < 0.19)
print(await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(double(21), loop).result()))
print(await asyncio.to_thread(lambda: asyncio.run(double(2))))
try:
    await asyncio.to_thread(lambda: 1 / 0)
except ZeroDivisionError:
    print(asyncio.get_running_loop() is loop, asyncio.current_task() is not None)
def run(): print(asyncio.run(double(3)))
threads = [threading.Thread(target=run) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
";
    assert_eq!(
        printed(program).await,
        "[0, 1, 2, 3] True\n42\n4\nTrue True\n6\n6\n"
    );
}

#[tokio::test]
async fn a_server_in_a_thread_serves_the_same_program() {
    let program = "
import http.server, threading, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode())
    def log_message(self, *args): pass
for kind in (http.server.HTTPServer, http.server.ThreadingHTTPServer):
    server = kind(('127.0.0.1', 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    print([urllib.request.urlopen(f'http://127.0.0.1:{server.server_port}/{n}').read() for n in range(3)])
    server.shutdown()
    thread.join()
    server.server_close()
";
    assert_eq!(printed(program).await, "[b'/0', b'/1', b'/2']\n".repeat(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_wait_for_peers_at_the_same_time() {
    let echo = Peer::plain(Behaviour::Echo).await.expect("started");
    let silent = Peer::plain(Behaviour::Silent).await.expect("started");
    let program = "
import socket, threading, time
def ask(port, timeout, answers):
    with socket.create_connection(('127.0.0.1', port), timeout=timeout) as connection:
        connection.sendall(b'hello')
        try:
            answers.append(connection.recv(5))
        except TimeoutError:
            answers.append('timeout')
answers = []
slow = threading.Thread(target=ask, args=(SILENT, 0.3, answers))
threads = [slow] + [threading.Thread(target=ask, args=(PORT, 10, answers)) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(answers == [b'hello'] * 8 + ['timeout'])
";
    let values = json!({"PORT": echo.port(), "SILENT": silent.port()});
    assert_eq!(run_program(loopback(), &values, program).await, "True\n");
}

/// Regression: the handler ran in the thread that sent the signal, and its exception ended there.
#[tokio::test]
async fn handlers_of_signals_run_in_the_waiting_main_thread() {
    let program = "
import _thread, os, queue, signal, threading, time
def outcome(call, *arguments):
    try:
        return call(*arguments)
    except BaseException as error:
        return type(error).__name__
def where(number, frame):
    time.sleep(0.01)
    seen.append((number == signal.SIGUSR1, threading.current_thread() is threading.main_thread()))
    event.set()
seen, event = [], threading.Event()
signal.signal(signal.SIGUSR1, where)
for send in (lambda: os.kill(os.getpid(), signal.SIGUSR1), lambda: signal.raise_signal(signal.SIGUSR1),
             lambda: signal.pthread_kill(threading.get_ident(), signal.SIGUSR1),
             lambda: _thread.interrupt_main(signal.SIGUSR1)):
    event.clear()
    threading.Timer(0.01, send).start()
    print(event.wait(60))
print(seen == [(True, True)] * 4)
for wait in (lambda: time.sleep(60), queue.Queue().get, threading.Event().wait):
    timer = threading.Timer(0.01, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    print(outcome(wait), outcome(timer.join))
def change():
    results.append(outcome(signal.signal, signal.SIGUSR1, where))
    results.append(outcome(signal.set_wakeup_fd, -1))
results = []
thread = threading.Thread(target=change)
thread.start()
thread.join()
print(results)
threading.Thread(target=signal.raise_signal, args=(signal.SIGTERM,)).start()
";
    let exception = expect_exception(sandbox(None).execute(program).await);
    assert_eq!(
        exception.output.stdout_text(),
        "True\nTrue\nTrue\nTrue\nTrue\n\
         KeyboardInterrupt None\nKeyboardInterrupt None\nKeyboardInterrupt None\n\
         ['ValueError', 'ValueError']\n"
    );
    assert_eq!(exception.exit_status, Some(143));
}

#[tokio::test]
async fn frames_of_running_and_held_threads_are_found_by_their_number() {
    let program = "
import sys, threading
def look():
    for number, frame in sys._current_frames().items():
        found[number] = frame.f_code.co_name
def wait_for(thread): thread.join()
found = {}
thread = threading.Thread(target=look)
thread.start()
number = thread.ident
wait_for(thread)
print(len(found), found[number], found[threading.get_ident()] != 'look')
look()
print(found[threading.get_ident()])
";
    assert_eq!(printed(program).await, "2 look True\nlook\n");
}

/// The thread cannot be set aside, because C code has called it: it runs the others on top of it.
#[tokio::test]
async fn a_thread_that_waits_below_c_code_lets_others_run() {
    let program = "
import threading, time
order = []
def key(n):
    time.sleep(0.02)
    order.append(n)
    return n
def sort(): sorted([1, 2], key=key)
def other(): order.append('other')
threads = [threading.Thread(target=target) for target in (sort, other)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(order)
";
    assert_eq!(printed(program).await, "['other', 1, 2]\n");
}

/// The waiting thread runs on top of one that only continues when the waiting one is set aside.
#[tokio::test]
async fn an_object_with_a_call_method_is_set_aside_like_a_function() {
    let program = "
import functools, threading, time
from concurrent.futures import ThreadPoolExecutor
event = threading.Event()
class Waiter:
    def __call__(self, *words, end):
        event.wait()
        results.append((*words, end))
class Inherited(Waiter): pass
class Static:
    __call__ = staticmethod(print)
def below_c_code():
    sorted([1], key=lambda n: time.sleep(0.02))
    event.set()
results = []
with ThreadPoolExecutor(2) as pool:
    futures = [pool.submit(below_c_code), pool.submit(Waiter(), 'executor', end=1)]
    for future in reversed(futures): future.result()
    pool.submit(Static(), 'static').result()
for target in (Inherited(), functools.partial(Waiter(), 'partial')):
    event.clear()
    threads = [
        threading.Thread(target=below_c_code),
        threading.Thread(target=target, args=('thread',), kwargs={'end': 2}),
    ]
    for thread in threads: thread.start()
    for thread in reversed(threads): thread.join()
print(results)
";
    assert_eq!(
        printed(program).await,
        "static\n[('executor', 1), ('thread', 2), ('partial', 'thread', 2)]\n"
    );
}

#[tokio::test]
async fn a_deadlock_names_the_threads_and_what_they_wait_for() {
    let program = "
import threading
lock = threading.Lock()
lock.acquire()
def body():
    with lock: pass
thread = threading.Thread(target=body, name='stuck')
thread.start()
try:
    thread.join()
except RuntimeError as error:
    print(error)
lock.release()
thread.join()
print(thread.is_alive())
";
    assert_eq!(
        printed(program).await,
        "deadlock: MainThread waits for the end of stuck, stuck waits for a lock\nFalse\n"
    );
}

#[tokio::test]
async fn the_number_of_threads_is_bounded() {
    let program = "
import threading
stop = threading.Event()
threads = []
try:
    while True:
        thread = threading.Thread(target=stop.wait)
        thread.start()
        threads.append(thread)
except RuntimeError as error:
    print(len(threads), error)
stop.set()
for thread in threads: thread.join()
thread = threading.Thread(target=print, args=('again',)); thread.start(); thread.join()
print(threading.active_count())
";
    assert_eq!(
        printed(program).await,
        "256 can't start new thread: 256 threads of this program have not ended, the most that a \
         sandbox has at a time\nagain\n1\n"
    );
}

#[tokio::test]
async fn each_thread_has_the_recursion_limit() {
    let program = "
import sys, threading, time
def deep(n):
    if n: return 1 + deep(n - 1)
    time.sleep(0.01)
    return 0
def endless(): return endless()
def body():
    print(deep(800))
    try: endless()
    except RecursionError as error: print(type(error).__name__)
threads = [threading.Thread(target=body) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(deep(800))
";
    assert_eq!(
        printed(program).await,
        "800\nRecursionError\n800\nRecursionError\n800\nRecursionError\n800\n"
    );
}

#[tokio::test]
async fn the_time_limit_ends_a_program_whose_thread_never_ends() {
    let program = "
import threading, time
def loop():
    while True: time.sleep(0.01)
threading.Thread(target=loop).start()
";
    let result = sandbox_with_limits(None, timeout_of(1))
        .execute(program)
        .await;
    expect_time_limit(result, program);
}

#[tokio::test]
async fn a_program_ends_after_its_threads_and_without_its_daemons() {
    let program = "
import threading, time
def later(text):
    time.sleep(0.05)
    print(text)
threading.Timer(0.1, print, ('timer',)).start()
threading.Thread(target=later, args=('thread',)).start()
threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
print('main')
raise SystemExit(3)
";
    let exit = expect_exception(sandbox(None).execute(program).await);
    assert_eq!(exit.exception_type, "SystemExit");
    assert_eq!(exit.output.stdout_text(), "main\nthread\ntimer\n");
}

#[tokio::test]
async fn a_session_and_its_fork_keep_threads_that_wait() {
    let mut session = sandbox(None).session().await.expect("started");
    expect_stdout(
        session
            .execute(
                "
import queue, threading
items, results = queue.Queue(), queue.Queue()
def consume():
    while True: results.put(items.get() + 1)
threading.Thread(target=consume).start()
items.put(1)
",
            )
            .await,
    );
    let next = "items.put(10)\nprint(results.get(), results.get())";
    let mut fork = session.fork().await.expect("forked");
    assert_eq!(expect_stdout(session.execute(next).await), "2 11\n");
    assert_eq!(expect_stdout(fork.execute(next).await), "2 11\n");
}

#[tokio::test]
async fn low_level_threads_run() {
    let program = "
import _thread, sys, time
lock = _thread.allocate_lock()
lock.acquire()
number = _thread.start_new_thread(lambda text: (print(text), lock.release()), ('low',))
print(number != _thread.get_ident(), lock.acquire(timeout=5), _thread._count())
sys.unraisablehook = lambda args: print(args.exc_type.__name__)
_thread.start_new_thread(lambda: 1 / 0, ())
time.sleep(0.01)
";
    assert_eq!(
        printed(program).await,
        "low\nTrue True 0\nZeroDivisionError\n"
    );
}

#[tokio::test]
async fn a_thread_pool_of_multiprocessing_runs_functions() {
    let program = "
from multiprocessing.pool import ThreadPool
import multiprocessing.dummy
with ThreadPool(4) as pool:
    print(pool.map(lambda n: n * n, range(5)), pool.apply(abs, (-1,)))
with multiprocessing.dummy.Pool(2) as pool:
    print(sorted(pool.imap_unordered(abs, [-1, -2])))
";
    assert_eq!(printed(program).await, "[0, 1, 4, 9, 16] 1\n[1, 2]\n");
}

#[tokio::test]
async fn a_generator_that_waits_in_a_thread_continues() {
    let program = "
import contextlib, threading, time
def steps(name):
    for n in range(2):
        time.sleep(0.01)
        yield f'{name}{n}'
@contextlib.contextmanager
def opened(name):
    time.sleep(0.01)
    yield name
def body(name):
    with opened(name):
        for step in steps(name): order.append(step)
order = []
threads = [threading.Thread(target=body, args=(name,)) for name in 'ab']
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(order))
";
    assert_eq!(printed(program).await, "['a0', 'a1', 'b0', 'b1']\n");
}

/// Modules that were imported before the threads were installed have the same functions.
#[tokio::test]
async fn threads_have_numbers_of_their_own_everywhere() {
    let program = "
import functools, pickle, reprlib, threading, _thread
for function in (reprlib.get_ident, threading.get_ident, _thread.get_ident, functools.RLock):
    assert pickle.loads(pickle.dumps(function)) is function
class Shown:
    @reprlib.recursive_repr()
    def __repr__(self):
        if threading.current_thread() is threading.main_thread():
            thread = threading.Thread(target=lambda: seen.append(repr(self)))
            thread.start()
            thread.join()
        return 'shown'
seen = []
print(repr(Shown()), seen)
";
    assert_eq!(printed(program).await, "shown ['shown']\n");
}
