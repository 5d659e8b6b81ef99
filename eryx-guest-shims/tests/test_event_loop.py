"""The asyncio event loop and `_eryx_async`, over the shims."""

from __future__ import annotations

import socket
import time

from certificates import CertificateAuthority
from conftest import Guest
from servers import closed_port, echo, serve, silent


def slow_echo(peer: socket.socket) -> None:
    """Sends each message back after 0.3 s."""
    while data := peer.recv(65536):
        time.sleep(0.3)
        peer.sendall(data)


def test_every_way_to_create_an_event_loop_creates_a_guest_event_loop(guest: Guest) -> None:
    guest("""
        import asyncio
        from eryx_net.event_loop import EventLoop
        async def kind():
            return type(asyncio.get_running_loop())
        assert asyncio.run(kind()) is EventLoop
        with asyncio.Runner() as runner:
            assert runner.run(kind()) is EventLoop
        loop = asyncio.new_event_loop()
        assert type(loop) is EventLoop
        loop.close()
        loop = asyncio.SelectorEventLoop()
        assert type(loop) is EventLoop
        loop.close()
        import gc; gc.collect()
        from eryx_net import descriptors
        assert descriptors.count() == 0
    """)


def test_asyncio_streams_transfer_data_concurrently(guest: Guest) -> None:
    with serve(slow_echo) as port:
        guest(f"""
            import asyncio, time
            async def exchange(n):
                r, w = await asyncio.open_connection("server.test", {port})
                w.write(b"%d\\n" % n)
                await w.drain()
                line = await r.readline()
                w.close()
                await w.wait_closed()
                return int(line)
            async def main():
                started = time.monotonic()
                assert await asyncio.gather(*map(exchange, range(20))) == list(range(20))
                assert time.monotonic() - started < 3
            asyncio.run(main())
            from wit_world.imports import resolver, tcp
            assert not tcp.live and not resolver.live
        """)


def test_a_lookup_does_not_block_other_tasks(guest: Guest) -> None:
    guest("""
        import asyncio, socket
        async def main():
            loop = asyncio.get_running_loop()
            ticks = 0
            async def tick():
                nonlocal ticks
                while True:
                    ticks += 1
                    await asyncio.sleep(0.01)
            ticking = asyncio.create_task(tick())
            results = await loop.getaddrinfo("slow.test", 80, type=socket.SOCK_STREAM)
            assert ticks > 3, ticks
            assert results == [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]
            assert isinstance(results[0][0], socket.AddressFamily)
            ticking.cancel()
            failing = [("missing.test", socket.gaierror), ("denied.test", PermissionError),
                       ("localhost", PermissionError)]
            for name, kind in failing:
                try:
                    await loop.getaddrinfo(name, 80)
                except kind:
                    pass
                else:
                    raise AssertionError(name)
            passive = await loop.getaddrinfo("localhost", 80, flags=socket.AI_PASSIVE)
            assert passive[0][4] == ("127.0.0.1", 80)
            assert (await loop.getnameinfo(("127.0.0.1", 80))) == ("localhost", "http")
            from wit_world.imports import resolver
            waiting = asyncio.create_task(loop.getaddrinfo("slow.test", 80))
            await asyncio.sleep(0.01)
            assert len(resolver.live) == 1
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert not resolver.live
        asyncio.run(main())
    """)


def test_an_asyncio_server_serves_clients_of_the_same_program(guest: Guest) -> None:
    guest("""
        import asyncio
        async def handle(r, w):
            while data := await r.read(65536):
                w.write(data.upper())
                await w.drain()
            w.close()
        async def main():
            for host in ("127.0.0.1", "localhost", "::1", "", None):
                async with await asyncio.start_server(handle, host, 8901):
                    target = host if host in ("::1", "localhost") else "127.0.0.1"
                    r, w = await asyncio.open_connection(target, 8901)
                    w.write(b"x" * 300_000)
                    assert await r.readexactly(300_000) == b"X" * 300_000
                    w.write_eof()
                    assert await r.read() == b""
                    w.close()
                    await w.wait_closed()
        asyncio.run(main())
        from wit_world.imports import tcp
        assert tcp.calls["connect"] == 0 and tcp.calls["poll"] < 50, tcp.calls
    """)


def test_asyncio_tls_runs_over_memory_bios(guest: Guest, ca: CertificateAuthority) -> None:
    with serve(echo, ca.server("server")) as port:
        guest(
            f"""
            import asyncio, ssl
            async def exchange(n):
                r, w = await asyncio.open_connection(
                    "server.test", {port}, ssl=ssl.create_default_context())
                assert w.get_extra_info("peercert")["serialNumber"]
                assert w.get_extra_info("cipher")
                sent = bytes([n]) * 200_000
                w.write(sent)
                await w.drain()
                assert await r.readexactly(len(sent)) == sent
                w.close()
                try:
                    await w.wait_closed()
                except (ssl.SSLError, ConnectionError):
                    pass
            async def main():
                await asyncio.gather(*map(exchange, range(5)))
                try:
                    await asyncio.open_connection(
                        "server.test", {port}, ssl=True, server_hostname="other.test")
                except ssl.SSLCertVerificationError as error:
                    assert error.verify_code == 62
                else:
                    raise AssertionError
                r, w = await asyncio.open_connection("server.test", {port})
                await w.start_tls(ssl.create_default_context(), server_hostname="server.test")
                w.write(b"after")
                assert await r.readexactly(5) == b"after"
                w.close()
            asyncio.run(main())
            """,
            FAKE_HOST_ROOTS=str(ca.root),
        )


def test_asyncio_raises_the_error_of_a_failed_connect(guest: Guest) -> None:
    guest(f"""
        import asyncio, socket
        from wit_world.imports import tcp
        async def main():
            for name, kind in (
                ("127.0.0.1", ConnectionRefusedError), ("denied.test", PermissionError),
                ("missing.test", socket.gaierror), ("10.0.0.1", PermissionError),
            ):
                try:
                    await asyncio.open_connection(name, {closed_port()})
                except kind:
                    pass
                else:
                    raise AssertionError(name)
            connecting = asyncio.create_task(asyncio.open_connection("stall.test", 1))
            await asyncio.sleep(0.05)
            assert len(tcp.live) == 1
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            assert not tcp.live
        asyncio.run(main())
    """)


def test_waiting_for_a_future_that_no_task_completes_raises_edeadlk(guest: Guest) -> None:
    guest("""
        import asyncio, errno
        async def main():
            await asyncio.get_running_loop().create_future()
        try:
            asyncio.run(main())
        except OSError as error:
            assert error.errno == errno.EDEADLK
        else:
            raise AssertionError
    """)


def test_eryx_async_follows_the_networking_guide(guest: Guest, ca: CertificateAuthority) -> None:
    with serve(echo) as port, serve(echo, ca.server("server")) as secure:
        guest(
            f"""
            import asyncio, errno, ssl
            import _eryx_async
            from wit_world.imports import tcp
            async def main():
                handle = await _eryx_async.await_tcp_connect("server.test", {port})
                assert await _eryx_async.await_tcp_write(handle, b"hello") == 5
                assert await _eryx_async.await_tcp_read(handle, 1024) == b"hello"
                big = bytes(2 << 20)
                async def pump():
                    assert await _eryx_async.await_tcp_write(handle, big) == len(big)
                pumping = asyncio.create_task(pump())
                got = 0
                while got < len(big):
                    got += len(await _eryx_async.await_tcp_read(handle, 1 << 20))
                await pumping
                _eryx_async.tcp_close(handle)
                assert not tcp.live
                plain = await _eryx_async.await_tcp_connect("server.test", {secure})
                assert plain != handle
                tls = await _eryx_async.await_tls_upgrade(plain, "server.test")
                assert await _eryx_async.await_tls_write(tls, b"secret") == 6
                assert await _eryx_async.await_tls_read(tls, 1024) == b"secret"
                for step in (
                    lambda: _eryx_async.await_tcp_read(handle, 1),
                    lambda: _eryx_async.await_tcp_read(plain, 1),
                    lambda: _eryx_async.await_tls_read(plain, 1),
                    lambda: _eryx_async.await_tcp_read(tls, 1),
                    lambda: _eryx_async.await_tls_upgrade(12345, "server.test"),
                ):
                    try:
                        await step()
                    except OSError as error:
                        assert error.errno == errno.EBADF
                    else:
                        raise AssertionError
                _eryx_async.tls_close(tls)
                for close in (_eryx_async.tcp_close, _eryx_async.tls_close):
                    try:
                        close(tls)
                    except OSError as error:
                        assert error.errno == errno.EBADF
                    else:
                        raise AssertionError
                try:
                    await _eryx_async.await_tcp_connect("denied.test", 80)
                except OSError as error:
                    assert "rule" in str(error)
                else:
                    raise AssertionError
                other = await _eryx_async.await_tcp_connect("server.test", {secure})
                try:
                    await _eryx_async.await_tls_upgrade(other, "other.test")
                except ssl.SSLCertVerificationError:
                    pass
                else:
                    raise AssertionError
                assert not tcp.live
            asyncio.run(main())
            """,
            FAKE_HOST_ROOTS=str(ca.root),
        )


def test_eryx_async_functions_run_concurrently_and_can_be_cancelled(guest: Guest) -> None:
    with serve(slow_echo) as port, serve(silent) as silent_port:
        guest(f"""
            import asyncio, time
            import _eryx_async as net
            from wit_world.imports import tcp
            async def exchange():
                h = await net.await_tcp_connect("server.test", {port})
                await net.await_tcp_write(h, b"x")
                assert await net.await_tcp_read(h, 1) == b"x"
                net.tcp_close(h)
            async def main():
                started = time.monotonic()
                await asyncio.gather(*(exchange() for _ in range(10)))
                assert time.monotonic() - started < 2
                h = await net.await_tcp_connect("server.test", {silent_port})
                try:
                    await asyncio.wait_for(net.await_tcp_read(h, 1), 0.05)
                except asyncio.TimeoutError:
                    pass
                else:
                    raise AssertionError
                reading = asyncio.create_task(net.await_tcp_read(h, 1))
                await asyncio.sleep(0.01)
                net.tcp_close(h)
                [error] = await asyncio.gather(reading, return_exceptions=True)
                assert isinstance(error, OSError), error
                connecting = asyncio.create_task(net.await_tcp_connect("stall.test", 1))
                await asyncio.sleep(0.01)
                assert len(tcp.live) == 1
                connecting.cancel()
                await asyncio.gather(connecting, return_exceptions=True)
                assert not tcp.live
            asyncio.run(main())
        """)
