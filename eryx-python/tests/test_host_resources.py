"""Memory and file descriptors of the process, while programs and their peers take up what they can."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Iterator

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("reads /proc", allow_module_level=True)

MIB = 1 << 20

#: Begins the programs that measure their own process.
PREAMBLE = """
import ctypes, os, sys
import eryx

class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd",
        "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]

def allocated():
    "Return how many bytes of all allocations are in use."
    function = ctypes.CDLL(None).mallinfo2
    function.restype = Mallinfo2
    info = function()
    return info.uordblks + info.hblkhd

def resident():
    "Return the resident bytes that belong to no file."
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024

def descriptors():
    return len(os.listdir("/proc/self/fd")) - 1
"""

has_mallinfo2 = pytest.mark.skipif(
    not hasattr(__import__("ctypes").CDLL(None), "mallinfo2"), reason="needs glibc 2.33"
)


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


@has_mallinfo2
def test_output_that_a_slow_callback_delays_takes_little_memory(python):
    # Each write is one byte: an object for each would take 30 MB and more.
    program = """
import asyncio, time
most = [0, 0]
seen = 0

def slow(text):
    global seen
    seen += len(text)
    most[:] = max(most[0], allocated()), max(most[1], resident())
    time.sleep(0.001)

async def main():
    sandbox = eryx.Sandbox(on_stdout=slow)
    code = "import os\\nfor _ in range({}): os.write(1, b'x')"
    await sandbox.aexecute(code.format(1000))
    before = allocated(), resident()
    await sandbox.aexecute(code.format(300_000))
    print(seen, most[0] - before[0], most[1] - before[1])

asyncio.run(main())
"""
    seen, in_use, anonymous = numbers(python(PREAMBLE + program).stdout)
    assert seen == 301_000
    assert in_use < 4 * MIB
    assert anonymous < 16 * MIB


def answer(query: bytes, *, truncated: bool) -> bytes:
    """Return an answer with as many addresses as fit into 64 KiB, or an empty truncated one."""
    end = query.index(b"\0", 12) + 5
    (kind,) = struct.unpack("!H", query[end - 4 : end - 2])
    question = query[12:end]
    if truncated:
        return query[:2] + b"\x83\x80" + struct.pack("!HHHH", 1, 0, 0, 0) + question
    size = 4 if kind == 1 else 16
    count = (65535 - end) // (12 + size)
    head = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 86400, size)
    records = b"".join(
        head + bytes([8, 8]) + n.to_bytes(2, "big") + bytes(size - 4) for n in range(count)
    )
    return query[:2] + b"\x81\x80" + struct.pack("!HHHH", 1, count, 0, 0) + question + records


class OverUdp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, sock = self.request
        sock.sendto(answer(data, truncated=True), self.client_address)


class OverTcp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        # The client resets the connection: it does not read answers of this size.
        with contextlib.suppress(OSError):
            while head := self.rfile.read(2):
                reply = answer(self.rfile.read(int.from_bytes(head, "big")), truncated=False)
                self.wfile.write(len(reply).to_bytes(2, "big") + reply)


@pytest.fixture
def large_answers() -> Iterator[int]:
    """The port of a name server with the largest answers, in this process."""
    udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), OverUdp)
    tcp = socketserver.ThreadingTCPServer(("127.0.0.1", udp.server_address[1]), OverTcp)
    for server in (udp, tcp):
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield udp.server_address[1]
    for server in (udp, tcp):
        server.shutdown()
        server.server_close()


@has_mallinfo2
def test_the_first_lookups_of_a_process_leave_little_memory_behind(python, large_answers):
    program = f"""
config = eryx.NetConfig(dns_server="127.0.0.1:{large_answers}")
sandbox = eryx.Sandbox(network=config)
sandbox.execute("pass")
before = allocated(), resident()
for count in (100, 400):
    results = sandbox.execute(f'''
import socket
results = set()
for n in range({{count}}):
    try: socket.getaddrinfo(f"n{{{{n}}}}-{{count}}.test", 80)
    except socket.gaierror as error: results.add(error.errno == socket.EAI_AGAIN)
print(results)
''').stdout
    assert results == "{{True}}\\n", results
print(allocated() - before[0], resident() - before[1])
"""
    in_use, anonymous = numbers(python(PREAMBLE + program).stdout)
    assert in_use < 4 * MIB
    assert anonymous < 8 * MIB


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port at which every loopback address leaves connects unanswered: the queue is full."""
    with socket.create_server(("0.0.0.0", 0), backlog=0) as listening:
        queued = []
        for _ in range(8):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(listening.getsockname())
            queued.append(sock)
        yield listening.getsockname()[1]
        for sock in queued:
            sock.close()


@pytest.fixture
def silent_name_server() -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_ten_sandboxes_at_their_limits_leave_descriptors_for_the_embedder(
    python, black_hole, silent_name_server
):
    # What each program does: opens files until that fails, connects ten sockets to hosts with 62
    # silent addresses, and looks up names that no server answers.
    program = f"""
import resource, threading, time
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
CODE = '''
import asyncio, socket
files = []
try:
    while True: files.append(open(f"/tmp/{{len(files)}}", "w"))
except OSError: pass
files.pop()
loop = asyncio.get_running_loop()
for n in range(10):
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex((f"x{{n}}.test", {black_hole}))
    loop.add_writer(sock, print, "connected")
lookups = [loop.getaddrinfo(f"silent{{n}}.test", 80) for n in range(20)]
await asyncio.wait(map(asyncio.ensure_future, lookups), timeout=4)
print(len(files))
import os; os._exit(0)
'''
hosts = {{f"x{{n}}.test": [f"127.0.{{n + 1}}.{{a}}" for a in range(2, 64)] for n in range(10)}}
config = eryx.NetConfig(hosts=hosts, dns_server="127.0.0.1:{silent_name_server}").allow_localhost()
limits = eryx.ResourceLimits(execution_timeout_ms=20_000)
sandbox = eryx.Sandbox(network=config, resource_limits=limits)
sandbox.execute("pass")
before, most, printed = descriptors(), 0, []
def run():
    printed.append(sandbox.execute(CODE).stdout)
threads = [threading.Thread(target=run) for _ in range(10)]
for thread in threads: thread.start()
while any(thread.is_alive() for thread in threads):
    most = max(most, descriptors() - before)
    files = [open("/proc/self/stat") for _ in range(16)]
    for file in files: file.close()
    time.sleep(0.02)
print(most, *"".join(printed).split())
"""
    most, *files = numbers(python(PREAMBLE + program).stdout)
    assert len(files) == 10
    assert min(files) > 100
    # The network of a sandbox uses 18 at most, and one more for an instant.
    assert 10 * 17 <= most <= 10 * 19
