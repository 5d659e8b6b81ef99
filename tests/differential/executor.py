"""Executes generated operations on sockets, and prints the outcome of each.

Runs natively and in a sandbox; `main.rs` compares what it prints. Defined before it runs: the
operations (`PROGRAM`), the ports of the servers by name (`PORTS`), a certificate in PEM (`CA`), and
the seconds to wait until a peer has acted (`SETTLE`). An operation is a name with arguments.
Sockets are in numbered slots.
"""

import asyncio
import contextlib
import errno
import hashlib
import json
import os
import select
import signal
import socket
import ssl
import struct
import time

# Longer than a peer needs on a busy machine, short enough to be waited for often.
TIMEOUT = 0.15

EAI = {getattr(socket, name): name for name in dir(socket) if name.startswith("EAI_")}
FLAGS = {
    "": 0,
    "peek": socket.MSG_PEEK,
    "dontwait": socket.MSG_DONTWAIT,
    "waitall": socket.MSG_WAITALL,
}
HOW = {"read": socket.SHUT_RD, "write": socket.SHUT_WR, "both": socket.SHUT_RDWR}
POLL = {
    name.removeprefix("POLL"): getattr(select, name)
    for name in ("POLLIN", "POLLOUT", "POLLERR", "POLLHUP", "POLLRDHUP", "POLLNVAL")
}


def payload(size):
    return bytes((position * 7 + position // 251) % 256 for position in range(size))


def describe(value):
    """Returns a value as JSON that is the same wherever the program runs."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        return f"{len(data)} bytes {hashlib.sha256(data).hexdigest()[:8]}" if data else "no bytes"
    if isinstance(value, tuple) and len(value) >= 2 and isinstance(value[0], str):
        # An address: ports differ from run to run.
        return [value[0], "port" if value[1] else 0]
    if isinstance(value, (list, tuple)):
        return [describe(item) for item in value]
    if isinstance(value, (socket.socket, ssl.SSLSocket)):
        return "socket"
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return type(value).__name__


def describe_error(error):
    """Returns the class of an exception and the name of its number."""
    name = type(error).__name__
    if isinstance(error, UnicodeError):
        # Which subclass it is depends on the version of CPython.
        return "UnicodeError"
    if isinstance(error, socket.gaierror):
        return f"{name} {EAI.get(error.errno, error.errno)}"
    if isinstance(error, ssl.SSLError):
        return f"{name} {error.reason or ''}".strip()
    if isinstance(error, OSError) and error.errno is not None:
        number = errno.errorcode.get(error.errno, error.errno)
        detail = " Connect call failed" if "Connect call failed" in str(error) else ""
        return f"{name} {number}{detail}"
    if isinstance(error, ExceptionGroup):
        return f"{name} {[describe_error(each) for each in error.exceptions]}"
    return name


def poll_names(events):
    return [name for name, bit in POLL.items() if events & bit]


class Sockets:
    """The operations on sockets that block or have a timeout."""

    def __init__(self):
        self.slots = {}
        self.connected_to = {}
        self.files = {}

    def settle(self):
        time.sleep(SETTLE)

    def _keep(self, slot, sock, timeout=TIMEOUT):
        old = self.slots.get(slot)
        if old is not None:
            old.close()
        sock.settimeout(timeout)
        self.slots[slot] = sock

    # Making sockets.

    def tcp(self, slot, peer, timeout):
        sock = socket.socket()
        self._keep(slot, sock, timeout)
        code = sock.connect_ex(("127.0.0.1", PORTS[peer]))
        self.settle()
        # Without blocking, both systems may have connected at once or not yet.
        return "in progress" if code in (0, errno.EINPROGRESS) else errno.errorcode.get(code, code)

    def tls(self, slot, peer, timeout):
        raw = socket.create_connection(("127.0.0.1", PORTS[peer]), 5)
        context = ssl.create_default_context(cadata=CA)
        sock = context.wrap_socket(raw, server_hostname="localhost")
        self._keep(slot, sock, timeout)
        self.settle()
        return [sock.version(), sock.cipher()[0], sock.getpeercert()["subjectAltName"][0][1]]

    def pair(self, first, second):
        for slot, sock in zip((first, second), socket.socketpair(), strict=True):
            self._keep(slot, sock)

    def listen(self, slot, backlog):
        sock = socket.socket()
        self._keep(slot, sock)
        sock.bind(("127.0.0.1", 0))
        sock.listen(backlog)
        return sock.getsockname()

    def dial(self, slot, listener, timeout):
        sock = socket.socket()
        self._keep(slot, sock, TIMEOUT)
        sock.connect(self.slots[listener].getsockname())
        sock.settimeout(timeout)
        self.settle()

    def accept(self, slot, listener):
        sock, address = self.slots[listener].accept()
        self._keep(slot, sock)
        return address

    def udp(self, slot, bind, timeout):
        sock = socket.socket(type=socket.SOCK_DGRAM)
        self._keep(slot, sock, timeout)
        if bind:
            sock.bind(("127.0.0.1", 0))

    def duplicate(self, slot, other):
        sock = self.slots[other].dup()
        self._keep(slot, sock, self.slots[other].gettimeout())

    def adopt(self, slot, other):
        sock = socket.socket(fileno=os.dup(self.slots[other].fileno()))
        self._keep(slot, sock)
        return [sock.family.name, sock.type.name]

    # Using them.

    def send(self, slot, size):
        sent = self.slots[slot].send(payload(size))
        self.settle()
        return sent

    def sendall(self, slot, size):
        self.slots[slot].sendall(payload(size))
        self.settle()

    def sendto(self, slot, peer, size):
        sent = self.slots[slot].sendto(payload(size), ("127.0.0.1", PORTS[peer]))
        self.settle()
        return sent

    def sendto_slot(self, slot, other, size):
        return self.slots[slot].sendto(payload(size), self.slots[other].getsockname())

    def udp_connect(self, slot, peer):
        self.slots[slot].connect(("127.0.0.1", PORTS[peer]))

    def recv(self, slot, size, flags):
        return self.slots[slot].recv(size, FLAGS[flags])

    def recv_into(self, slot, size):
        buffer = bytearray(size)
        count = self.slots[slot].recv_into(buffer)
        return [count, buffer[:count]]

    def recvfrom(self, slot, size):
        return list(self.slots[slot].recvfrom(size))

    def recvmsg(self, slot, size):
        data, ancillary, flags, address = self.slots[slot].recvmsg(size)
        return [data, len(ancillary), flags, address]

    def read_all(self, slot):
        data = b""
        while len(data) < 1 << 20:
            part = self.slots[slot].recv(65536)
            if not part:
                return data
            data += part
        return len(data)

    def readline(self, slot, size):
        # The default, and so what stays in the socket, differs between versions of CPython.
        with self.slots[slot].makefile("rb", buffering=8192) as file:
            return file.read(size)

    def shutdown(self, slot, how):
        self.slots[slot].shutdown(HOW[how])
        self.settle()

    def unwrap(self, slot):
        try:
            try:
                self.slots[slot].unwrap()
            except ssl.SSLWantReadError:
                # Without blocking, the peer may have answered already or not yet.
                self.settle()
                self.slots[slot].unwrap()
        finally:
            # A peer answers to close_notify.
            self.settle()

    def pending(self, slot):
        return self.slots[slot].pending()

    def close(self, slot):
        self.slots[slot].close()
        self.settle()

    def settimeout(self, slot, timeout):
        self.slots[slot].settimeout(timeout)
        return [self.slots[slot].getblocking(), os.get_blocking(self.slots[slot].fileno())]

    def getpeername(self, slot):
        return self.slots[slot].getpeername()

    def getsockname(self, slot):
        return self.slots[slot].getsockname()

    def setsockopt(self, slot, level, option, value):
        sock = self.slots[slot]
        level, option = getattr(socket, level), getattr(socket, option)
        sock.setsockopt(level, option, value)
        return sock.getsockopt(level, option)

    def getsockopt(self, slot, level, option):
        return self.slots[slot].getsockopt(getattr(socket, level), getattr(socket, option))

    def linger(self, slot, on, seconds):
        sock = self.slots[slot]
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, seconds))
        return list(struct.unpack("ii", sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)))

    def receive_timeout(self, slot, milliseconds, size):
        """SO_RCVTIMEO on a blocking socket."""
        sock = self.slots[slot]
        sock.settimeout(None)
        try:
            value = struct.pack("ll", 0, milliseconds * 1000)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
            return sock.recv(size)
        finally:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0))
            sock.settimeout(TIMEOUT)

    def error(self, slot):
        code = self.slots[slot].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return errno.errorcode.get(code, code)

    def poll(self, slot, mask, wait):
        poller = select.poll()
        poller.register(self.slots[slot], sum(POLL[name] for name in mask))
        return [poll_names(events) for _, events in poller.poll(wait)]

    def select(self, slot):
        ready = select.select([self.slots[slot]], [self.slots[slot]], [self.slots[slot]], 0)
        return [len(each) for each in ready]

    # Descriptors.

    def os_read(self, slot, size):
        return os.read(self.slots[slot].fileno(), size)

    def os_write(self, slot, size):
        written = os.write(self.slots[slot].fileno(), payload(size))
        self.settle()
        return written

    def os_close(self, slot):
        os.close(self.slots[slot].detach())
        self.settle()

    def os_status(self, slot):
        fd = self.slots[slot].fileno()
        kind = oct(os.fstat(fd).st_mode & 0o170000)
        return [kind, os.isatty(fd), os.get_blocking(fd), os.get_inheritable(fd)]

    def set_blocking(self, slot, blocking):
        sock = self.slots[slot]
        os.set_blocking(sock.fileno(), blocking)
        return [sock.gettimeout(), os.get_blocking(sock.fileno())]

    def os_seek(self, slot):
        return os.lseek(self.slots[slot].fileno(), 0, os.SEEK_CUR)

    def open_descriptor(self, slot, size):
        with open(self.slots[slot].fileno(), "rb", closefd=False) as file:
            return file.read(size)

    # Arguments that are wrong, also on a closed socket.

    def wrong(self, slot, what):
        sock = self.slots[slot]
        calls = {
            "connect": lambda: sock.connect("127.0.0.1"),
            "connect port": lambda: sock.connect(("127.0.0.1", 70000)),
            "connect name": lambda: sock.connect(("a b", 80)),
            "bind": lambda: sock.bind(5),
            "send": lambda: sock.send("text"),
            "recv": lambda: sock.recv(-1),
            "recv type": lambda: sock.recv("1"),
            "recv_into": lambda: sock.recv_into(b"fixed"),
            "shutdown": lambda: sock.shutdown("x"),
            "shutdown how": lambda: sock.shutdown(7),
            "listen": lambda: sock.listen("x"),
            "setsockopt type": lambda: sock.setsockopt(socket.SOL_SOCKET, "x", 1),
            "getsockopt": lambda: sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE, 2000),
            "settimeout": lambda: sock.settimeout(-1),
            "sendto": lambda: sock.sendto(b"x", "127.0.0.1"),
        }
        return calls[what]()

    def resolve(self, name, family):
        family = getattr(socket, family)
        found = socket.getaddrinfo(name, 80, family, socket.SOCK_STREAM)
        return sorted({address[0] for *_, address in found})

    def cmsg(self, size):
        return [socket.CMSG_LEN(size), socket.CMSG_SPACE(size)]

    def errno_name(self, name):
        number = getattr(errno, name)
        return [errno.errorcode[number], os.strerror(number)]

    # Signals.

    def raise_signal(self, name):
        seen = []
        number = getattr(signal, name)
        old = signal.signal(number, lambda received, frame: seen.append(received))
        try:
            signal.raise_signal(number)
        finally:
            signal.signal(number, old)
        return [signal.Signals(each).name for each in seen]

    def blocked_signal(self, name):
        seen = []
        number = getattr(signal, name)
        old = signal.signal(number, lambda received, frame: seen.append(received))
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, [number])
            signal.raise_signal(number)
            before = [len(seen), number in signal.sigpending()]
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
            return [*before, len(seen)]
        finally:
            signal.signal(number, old)

    def alarm(self, seconds):
        class AlarmError(Exception):
            pass

        def handler(number, frame):
            raise AlarmError

        old = signal.signal(signal.SIGALRM, handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            while True:
                pass
        except AlarmError:
            return [signal.getitimer(signal.ITIMER_REAL)[0], signal.alarm(0)]
        finally:
            signal.signal(signal.SIGALRM, old)

    def finish(self):
        for sock in self.slots.values():
            with contextlib.suppress(OSError):
                sock.close()


class Streams:
    """The operations of asyncio. Each has a timeout, so that many of them are cancelled."""

    def __init__(self):
        self.slots = {}
        self.servers = {}

    async def _limited(self, awaitable, limit=1.0):
        # A task of its own in every version: before 3.12, `wait_for` makes one.
        return await asyncio.wait_for(asyncio.ensure_future(awaitable), limit)

    async def open(self, slot, peer, tls):
        options = {}
        if tls:
            options = {"ssl": ssl.create_default_context(cadata=CA), "server_hostname": "localhost"}
        connecting = asyncio.open_connection("127.0.0.1", PORTS[peer], **options)
        self.slots[slot] = await self._limited(connecting, 5)
        await asyncio.sleep(SETTLE)

    async def open_cancelled(self, peer):
        task = asyncio.create_task(asyncio.open_connection("127.0.0.1", PORTS[peer]))
        await asyncio.sleep(0)
        task.cancel()
        try:
            _, writer = await task
        except asyncio.CancelledError:
            return "cancelled"
        writer.close()
        return "connected"

    async def serve(self, slot, backlog):
        async def echo(reader, writer):
            while data := await reader.read(1000):
                writer.write(data)
                await writer.drain()
            writer.close()

        self.servers[slot] = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=backlog)
        return self.servers[slot].sockets[0].getsockname()

    async def dial(self, slot, server):
        address = self.servers[server].sockets[0].getsockname()
        self.slots[slot] = await self._limited(asyncio.open_connection(*address), 5)

    async def stop(self, server):
        self.servers[server].close()

    async def write(self, slot, size):
        writer = self.slots[slot][1]
        writer.write(payload(size))
        await self._limited(writer.drain())
        await asyncio.sleep(SETTLE)

    async def read(self, slot, size):
        return await self._limited(self.slots[slot][0].read(size), TIMEOUT)

    async def read_exactly(self, slot, size):
        return await self._limited(self.slots[slot][0].readexactly(size), TIMEOUT)

    async def read_all(self, slot):
        return await self._limited(self.slots[slot][0].read(), TIMEOUT)

    async def read_cancelled(self, slot, size):
        task = asyncio.create_task(self.slots[slot][0].read(size))
        await asyncio.sleep(0)
        cancelled = task.cancel()
        try:
            return [cancelled, await task]
        except asyncio.CancelledError:
            return "cancelled"

    async def at_eof(self, slot):
        return self.slots[slot][0].at_eof()

    async def write_eof(self, slot):
        writer = self.slots[slot][1]
        if not writer.can_write_eof():
            return "no"
        writer.write_eof()
        await asyncio.sleep(SETTLE)
        return "sent"

    async def close(self, slot):
        writer = self.slots[slot][1]
        writer.close()
        await self._limited(writer.wait_closed())

    async def abort(self, slot):
        self.slots[slot][1].transport.abort()
        await asyncio.sleep(SETTLE)

    async def is_closing(self, slot):
        return self.slots[slot][1].is_closing()

    async def extra(self, slot, name):
        value = self.slots[slot][1].get_extra_info(name)
        return value if isinstance(value, tuple) else type(value).__name__

    async def gather(self, slots, size):
        tasks = (self._limited(self.slots[slot][0].read(size), TIMEOUT) for slot in slots)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        return [describe_error(e) if isinstance(e, BaseException) else e for e in found]

    async def sock_connect(self, peer):
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setblocking(False)
            await self._limited(loop.sock_connect(sock, ("127.0.0.1", PORTS[peer])))
            await loop.sock_sendall(sock, b"abc")
            return await self._limited(loop.sock_recv(sock, 10), TIMEOUT)

    async def datagrams(self, peer, size):
        received = asyncio.Queue()

        class Protocol(asyncio.DatagramProtocol):
            def datagram_received(self, data, address):
                received.put_nowait(data)

            def error_received(self, error):
                received.put_nowait(describe_error(error))

        loop = asyncio.get_running_loop()
        address = ("127.0.0.1", PORTS[peer])
        transport, _ = await loop.create_datagram_endpoint(Protocol, remote_addr=address)
        try:
            transport.sendto(payload(size))
            return await self._limited(received.get(), TIMEOUT)
        finally:
            transport.close()

    async def signal_handler(self, name):
        loop = asyncio.get_running_loop()
        seen = asyncio.Queue()
        number = getattr(signal, name)
        loop.add_signal_handler(number, seen.put_nowait, name)
        try:
            signal.raise_signal(number)
            return await self._limited(seen.get())
        finally:
            loop.remove_signal_handler(number)

    async def timer_signal(self, seconds):
        loop = asyncio.get_running_loop()
        seen = asyncio.Event()
        loop.add_signal_handler(signal.SIGALRM, seen.set)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            return await self._limited(seen.wait())
        finally:
            loop.remove_signal_handler(signal.SIGALRM)

    async def finish(self):
        for _, writer in self.slots.values():
            writer.transport.abort()
        for server in self.servers.values():
            server.close()
        await asyncio.sleep(0)


def record(outcomes, error):
    outcomes.append({"raised": describe_error(error)})


def run_sockets(program):
    sockets, outcomes = Sockets(), []
    for name, *arguments in program:
        try:
            outcomes.append({"returned": describe(getattr(sockets, name)(*arguments))})
        except Exception as error:
            record(outcomes, error)
    sockets.finish()
    return outcomes


async def run_streams(program):
    streams, outcomes = Streams(), []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    for name, *arguments in program:
        try:
            outcomes.append({"returned": describe(await getattr(streams, name)(*arguments))})
        except Exception as error:
            record(outcomes, error)
    await streams.finish()
    return outcomes


def execute(program):
    if program["family"] == "asyncio":
        return asyncio.run(run_streams(program["operations"]))
    return run_sockets(program["operations"])


print(json.dumps(execute(PROGRAM)))
