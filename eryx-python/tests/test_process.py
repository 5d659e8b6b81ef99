"""The package and its process: threads, signals, forks, exit."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

import eryx


def test_sixteen_threads_run_fifty_programs_each():
    sandbox = eryx.Sandbox()

    def work(thread: int) -> list[str]:
        return [sandbox.execute(f"print({thread} * 1000 + {turn})").stdout for turn in range(50)]

    with ThreadPoolExecutor(16) as pool:
        for thread, printed in enumerate(pool.map(work, range(16))):
            assert printed == [f"{thread * 1000 + turn}\n" for turn in range(50)]


def test_execute_lets_other_threads_run():
    counted = 0
    stopped = threading.Event()

    def count() -> None:
        nonlocal counted
        while not stopped.is_set():
            counted += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    eryx.Sandbox().execute(
        "import time\nend = time.monotonic() + 0.5\nwhile time.monotonic() < end: pass"
    )
    stopped.set()
    thread.join()
    assert counted > 50


def test_all_sandboxes_share_one_runtime(python):
    # The number of threads does not depend on the number of sandboxes.
    program = """
import eryx, os
boxes = [eryx.Sandbox() for _ in range(20)]
for box in boxes:
    box.execute("pass")
print(len(os.listdir("/proc/self/task")) <= 3 + os.cpu_count())
"""
    assert python(program).stdout == "True\n"


def test_no_thread_is_started_before_a_program_runs(python):
    program = """
import os, sys
import eryx
config = eryx.NetConfig(allowed_hosts=["api.example.com"])
config.check("api.example.com", 443)
eryx.ResourceLimits()
threads = [len(os.listdir("/proc/self/task"))]
sandbox = eryx.Sandbox(network=config)
threads.append(len(os.listdir("/proc/self/task")))
sandbox.execute("pass")
print(threads, len(os.listdir("/proc/self/task")) > 1)
"""
    assert python(program).stdout == "[1, 1] True\n"


def test_the_import_loads_no_module_that_takes_long():
    folder = os.path.dirname(os.path.dirname(eryx.__file__))
    program = f"""
import sys
sys.path.insert(0, {folder!r})
import eryx
print(sorted({{"asyncio", "collections", "inspect", "json", "re", "typing"}} & set(sys.modules)))
"""
    # Without `site`, which may import them itself.
    command = [sys.executable, "-I", "-S", "-c", program]
    assert subprocess.check_output(command, text=True, timeout=30) == "[]\n"


@pytest.mark.parametrize(
    "waiting",
    ["while True: pass", "import time; time.sleep(60)"],
    ids=["computing", "sleeping"],
)
@pytest.mark.parametrize("use", ["sandbox", "session", "asyncio"])
def test_ctrl_c_ends_a_program_at_once(waiting, use):
    call = {
        "sandbox": "sandbox.execute(code)",
        "session": "sandbox.session().execute(code)",
        "asyncio": "asyncio.run(use())",
    }[use]
    program = f"""
import asyncio, eryx
code = "print('ready', flush=True)\\n{waiting}"
sandbox = eryx.Sandbox(on_stdout=lambda text: print(text, end="", flush=True))
async def use():
    await sandbox.aexecute(code)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", sandbox.execute("").stdout)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=20)
    assert time.monotonic() - start < 5
    assert rest == "interrupted \n"
    assert process.returncode == 0


def test_signal_handlers_run_during_an_execution(python):
    program = """
import eryx, signal
calls = []
signal.signal(signal.SIGALRM, lambda *_: calls.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.2)
result = eryx.Sandbox().execute("import time; time.sleep(1); print('whole')")
print(result.stdout, calls)
"""
    assert python(program).stdout == "whole\n [1]\n"


FORK = """
import eryx, os, sys
sandbox = eryx.Sandbox(network=eryx.NetConfig().allow_localhost()){before}
child = os.fork()
if child == 0:
    limited = eryx.Sandbox(resource_limits=eryx.ResourceLimits(execution_timeout_ms=200))
    try:
        limited.execute("while True: pass")
    except TimeoutError:
        print("limits hold", flush=True)
    print(sandbox.execute("print('child')").stdout, end="", flush=True)
    {child}
    os._exit(0)
_, status = os.waitpid(child, 0)
print(sandbox.execute("print('parent', {{}})".format(status)).stdout, end="")
"""


def test_sandboxes_work_in_both_processes_after_a_fork_before_first_use(python):
    program = FORK.format(before="", child="")
    assert python(program).stdout == "limits hold\nchild\nparent 0\n"


def test_random_numbers_of_programs_differ_between_forked_processes(python):
    program = """
import eryx, os
sandbox = eryx.Sandbox()
draw = "import os, random, secrets; print(secrets.token_hex(16), os.urandom(8).hex(), random.random())"
sandbox.execute("pass")
for _ in range(3):
    child = os.fork()
    if child == 0:
        print(sandbox.execute(draw).stdout, end="", flush=True)
        print(eryx.Session().execute(draw).stdout, end="", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
print(sandbox.execute(draw).stdout, end="")
"""
    drawn = python(program).stdout.split()
    assert len(drawn) == len(set(drawn)) == 3 * 7


def test_child_provides_content_that_its_parent_was_providing_at_the_fork(python):
    program = """
import eryx, os, threading, time
parent = os.getpid()
begun, ended = threading.Event(), threading.Event()
def content():
    if os.getpid() == parent:
        begun.set()
        ended.wait(60)
    return b"provided"
files = eryx.Files()
files.provide("/data", content)
limits = eryx.ResourceLimits(execution_timeout_ms=60_000)
sandbox = eryx.Sandbox(files=files, resource_limits=limits)
read = "print(open('/data').read())"
thread = threading.Thread(target=lambda: print(sandbox.execute(read).stdout, end="", flush=True))
thread.start()
begun.wait(60)
child = os.fork()
if child == 0:
    print("child", sandbox.execute(read).stdout, end="", flush=True)
    os._exit(0)
os.waitpid(child, 0)
ended.set()
thread.join()
"""
    assert python(program).stdout == "child provided\nprovided\n"


def test_child_forgets_which_content_its_parent_needed_at_the_fork(python):
    program = """
import eryx, os, threading
parent = os.getpid()
begun, ended = threading.Event(), threading.Event()
def read(path):
    return sandbox.execute(f"open({path!r}).read()", value=True).value.encode()
# In the parent /data/a needs /data/b. In the child it is the other way round.
def a():
    return read("/data/b") if os.getpid() == parent else b"a"
def b():
    if os.getpid() == parent:
        begun.set()
        ended.wait(60)
        return b"b"
    return read("/data/a") + b" of the child"
files = eryx.Files()
files.provide("/data/a", a)
files.provide("/data/b", b)
limits = eryx.ResourceLimits(execution_timeout_ms=60_000)
sandbox = eryx.Sandbox(files=files, resource_limits=limits)
thread = threading.Thread(target=lambda: print(read("/data/a"), flush=True))
thread.start()
begun.wait(60)
child = os.fork()
if child == 0:
    print(read("/data/b"), flush=True)
    os._exit(0)
os.waitpid(child, 0)
ended.set()
thread.join()
"""
    assert python(program).stdout == "b'a of the child'\nb'b'\n"


def test_sandboxes_work_in_both_processes_after_a_fork_after_use(python):
    program = FORK.format(before="\nsandbox.execute('pass')", child="")
    assert python(program).stdout == "limits hold\nchild\nparent 0\n"


def test_session_stays_with_the_process_that_opened_it(python, port):
    program = FORK.format(
        before=f"""
session = sandbox.session()
session.execute("import http.client; site = http.client.HTTPConnection('127.0.0.1', {port}); site.connect()")
""",
        child="""
    for use in (lambda: session.execute("pass"), session.fork, lambda: list(session.files)):
        try:
            use()
        except eryx.SessionClosedError as error:
            print("a forked process cannot use it" in str(error), flush=True)
    session.close()
    del session
""",
    )
    program += "print(session.execute(\"site.request('GET', '/x'); print(site.getresponse().read().decode())\").stdout, end='')"
    assert (
        python(program).stdout
        == "limits hold\nchild\nTrue\nTrue\nTrue\nparent 0\nyou asked for /x\n"
    )


def test_worker_processes_return_results(python):
    program = """
import multiprocessing, eryx
def work(number):
    return eryx.Sandbox().execute(f"print({number} ** 2)")
if __name__ == "__main__":
    eryx.Sandbox().execute("pass")
    with multiprocessing.get_context("fork").Pool(3) as pool:
        print([int(result.stdout) for result in pool.map(work, range(6))])
"""
    assert python(program).stdout == "[0, 1, 4, 9, 16, 25]\n"


@pytest.mark.parametrize(
    "end",
    [
        "session = sandbox.session(); session.execute('x = 1')",
        "import threading\nthreading.Thread(target=sandbox.execute, args=('while True: pass',), daemon=True).start()\ntime.sleep(0.3)",
        "import threading\nthreading.Thread(target=sandbox.session().execute, args=('import time; time.sleep(60)',), daemon=True).start()\ntime.sleep(0.3)",
        "async def main():\n    task = asyncio.ensure_future(sandbox.aexecute('while True: pass'))\n    await asyncio.sleep(0.3)\n    sys.exit(0)\nasyncio.run(main())",
        "loop = asyncio.new_event_loop()\ntask = loop.create_task(sandbox.aexecute('print(1)\\nwhile True: pass'))\nloop.run_until_complete(asyncio.sleep(0.3))",
        "sandbox.aexecute('pass').close()",
    ],
    ids=["session", "daemon", "daemon-session", "task", "loop", "unawaited"],
)
def test_interpreter_exits_with_open_sandboxes_and_executions(python, end):
    start = time.monotonic()
    completed = python(
        f"import asyncio, eryx, sys, time\nsandbox = eryx.Sandbox(on_stdout=lambda text: None)\n{end}\nprint('end')",
        status=None,
    )
    assert time.monotonic() - start < 15
    assert completed.returncode == 0, completed.stderr
    assert "panic" not in completed.stderr
    assert "Fatal" not in completed.stderr


def test_sigterm_ends_the_process_during_an_execution():
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import eryx\neryx.Sandbox(on_stdout=print).execute('print(1, flush=True)\\nwhile True: pass')",
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    assert process.wait(10) == -signal.SIGTERM
    process.stdout.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/maps")
def test_machine_code_is_mapped_from_the_file_of_the_wheel():
    assert eryx.Sandbox().execute("print(1)").stdout == "1\n"
    with open("/proc/self/maps") as maps:
        mapped = {line.split(maxsplit=5)[5].strip() for line in maps if "eryx-guest" in line}
    assert mapped == {os.path.join(os.path.dirname(eryx.__file__), "eryx-guest.cwasm")}


BUILD = """
import eryx, multiprocessing, os, sys, tempfile, threading, time
folder = tempfile.mkdtemp()
def build(number):
    factory = eryx.SandboxFactory(setup_code=f"x = {number}", cache_dir=folder)
    return factory.create_sandbox().execute("print(x)").stdout
def child(number):
    child = os.fork()
    if child == 0:
        print(build(number), end="", flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize(
    "program",
    [
        "print(build(1), end=''); child(2)",
        "threading.Thread(target=build, args=(1,)).start(); time.sleep(1.5); print(1); child(2)",
    ],
    ids=["built", "building"],
)
def test_child_builds_a_factory_after_its_parent_compiled_one(program):
    completed = subprocess.run(
        [sys.executable, "-c", BUILD + program], capture_output=True, text=True, timeout=200
    )
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.split() == ["1", "2"]


@pytest.mark.parametrize("use", ["Sandbox", "session", "used"])
def test_object_with_a_callback_in_its_own_sandbox_is_collected(use):
    class Tool:
        def __init__(self) -> None:
            self.sandbox = eryx.Sandbox(on_stdout=self.write, on_stderr=self.write)
            if use != "Sandbox":
                self.session = self.sandbox.session()
            if use == "used":
                self.session.execute("print(1)")
                self.sandbox.execute("print(1)")

        def write(self, text: str) -> None:
            pass

    tools = [weakref.ref(Tool()) for _ in range(20)]
    gc.collect()
    assert [tool() for tool in tools] == [None] * 20


@pytest.mark.parametrize(
    "use", ["config", "changed config", "sandbox", "session", "used", "result"]
)
def test_object_with_the_function_of_a_secret_in_its_own_sandbox_is_collected(use):
    class Client:
        def __init__(self) -> None:
            self.secret = eryx.Secret(self.token, hosts=["example.com"])
            self.network = eryx.NetConfig(secrets={"A": self.secret})
            if use == "changed config":
                self.network = self.network.with_secret("B", self.secret).replace(io_timeout_ms=1)
                self.secrets = self.network.secrets
            if use in ("sandbox", "session", "used"):
                self.sandbox = eryx.Sandbox(network=self.network)
            if use in ("session", "used"):
                self.session = self.sandbox.session()
            if use == "used":
                self.session.execute("print(1)")
                self.sandbox.execute("print(1)")
            if use == "result":
                # The result keeps the function of the file.
                sandbox = eryx.Sandbox(network=self.network, files=files)
                self.result = sandbox.execute("import os; os.rename('/data', '/renamed')")

        def token(self) -> str:
            return "secret"

    files = eryx.Files()
    files.provide("/data", bytes)
    clients = [weakref.ref(Client()) for _ in range(20)]
    gc.collect()
    assert [client() for client in clients] == [None] * 20


def test_callbacks_of_a_running_program_are_not_collected():
    program = """
import asyncio, eryx, gc
class Tool:
    def __init__(self):
        self.texts = texts
        self.session = eryx.Sandbox(on_stdout=self.write).session()
    def write(self, text):
        self.texts.append(text)
texts = []
async def main():
    task = asyncio.ensure_future(Tool().session.aexecute("import time; time.sleep(0.5); print('whole')"))
    for _ in range(10):
        await asyncio.sleep(0.02)
        gc.collect()
    await task
asyncio.run(main())
assert "".join(texts) == "whole\\n", texts
"""
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
