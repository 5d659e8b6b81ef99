//! What programs for Linux use of sockets, signals and error numbers beyond the everyday functions.

use std::io::ErrorKind;

use eryx_testkit::{Behaviour, CertificateAuthority, ClosedPort, LOOPBACK, Leaf, Peer, UdpPeer};
use serde_json::json;

use crate::support::{loopback, run_program, start_peer, trusting};

#[tokio::test(flavor = "multi_thread")]
async fn socket_options_have_linuxs_values_and_ranges() {
    let peer = start_peer(Behaviour::Echo).await;
    let text = "
import socket, struct
s = socket.create_connection(('127.0.0.1', PORT))
tcp = socket.IPPROTO_TCP
# What py-amqp does for every connection.
for name in 'TCP_CORK TCP_DEFER_ACCEPT TCP_LINGER2 TCP_MAXSEG TCP_QUICKACK TCP_SYNCNT TCP_WINDOW_CLAMP'.split():
    option = getattr(socket, name)
    s.setsockopt(tcp, option, s.getsockopt(tcp, option))
s.setsockopt(tcp, socket.TCP_USER_TIMEOUT, 1000)
print(s.getsockopt(tcp, socket.TCP_USER_TIMEOUT), outcome(s.setsockopt, tcp, socket.TCP_SYNCNT, 128))
s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 8)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack('ll', 0, 20000))
print(s.getsockopt(socket.IPPROTO_IP, socket.IP_TOS), outcome(s.recv, 1))
listeners = [socket.create_server(('127.0.0.1', 0), reuse_port=True)]
listeners.append(socket.create_server(listeners[0].getsockname(), reuse_port=True))
print(outcome(socket.create_server, listeners[0].getsockname()))
print(outcome(s.setsockopt, socket.SOL_SOCKET, socket.SO_MARK, 1))
";
    assert_eq!(
        run_program(loopback(), &json!({"PORT": peer.port()}), text).await,
        "1000 OSError(EINVAL)\n8 BlockingIOError(EAGAIN)\nOSError(EADDRINUSE)\nOSError(ENOPROTOOPT)\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lingering_time_of_zero_resets_the_connection() {
    let peer = start_peer(Behaviour::Silent).await;
    let text = "
import socket, struct
for on in (0, 1):
    s = socket.create_connection(('127.0.0.1', PORT))
    s.sendall(b'x')
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', on, 0))
    s.close()
";
    run_program(loopback(), &json!({"PORT": peer.port()}), text).await;
    let ended = peer.ended(2).await;
    let resets = ended
        .iter()
        .filter(|ended| ended.kind() == Some(ErrorKind::ConnectionReset));
    assert_eq!(resets.count(), 1, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn poll_and_so_error_report_a_reset() {
    let peer = start_peer(Behaviour::ResetsAtFirstByte).await;
    let text = "
import errno, select, socket
s = socket.create_connection(('127.0.0.1', PORT))
s.sendall(b'x')
p = select.poll()
p.register(s, 0)
[(fd, events)] = p.poll(5000)
print(bool(events & select.POLLERR), bool(events & select.POLLHUP), events & select.POLLIN)
p.modify(s, select.POLLIN | select.POLLOUT | select.POLLRDHUP)
[(fd, events)] = p.poll(5000)
print(events == select.POLLIN | select.POLLOUT | select.POLLERR | select.POLLHUP | select.POLLRDHUP)
code = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
print(errno.errorcode[code], s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), outcome(s.getpeername))
";
    assert_eq!(
        run_program(loopback(), &json!({"PORT": peer.port()}), text).await,
        "True True 0\nTrue\nECONNRESET 0 OSError(ENOTCONN)\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_asyncio_connect_names_the_address() {
    let closed = ClosedPort::new().expect("created");
    let text = "
import asyncio
try:
    await asyncio.open_connection('127.0.0.1', PORT)
except ConnectionRefusedError as error:
    print(error.strerror.replace(str(PORT), 'PORT'))
";
    let ports = json!({"PORT": closed.address().port()});
    assert_eq!(
        run_program(loopback(), &ports, text).await,
        "Connect call failed ('127.0.0.1', PORT)\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_datagram_of_a_socket_that_does_not_block_is_sent() {
    let peer = UdpPeer::start(LOOPBACK).await.expect("started");
    let config = loopback()
        .allow_udp("127.0.0.1:1-65535")
        .expect("a pattern");
    let text = "
import select, socket
for connected in (False, True):
    s = socket.socket(type=socket.SOCK_DGRAM)
    s.setblocking(False)
    if connected:
        s.connect(('127.0.0.1', PORT))
    print(s.send(b'one') if connected else s.sendto(b'one', ('127.0.0.1', PORT)), select.select([s], [], [], 5)[0] == [s], s.recv(9))
";
    assert_eq!(
        run_program(config, &json!({"PORT": peer.address().port()}), text).await,
        "3 True b'one'\n3 True b'one'\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_shutdown_succeeds_after_an_end_without_close_notify() {
    let ca = CertificateAuthority::new().expect("a CA");
    let identity = ca.issue(&Leaf::server(["site.test"])).expect("issued");
    let behaviour = Behaviour::OmitsCloseNotify {
        body: 3,
        announced: true,
    };
    let peer = Peer::tls(behaviour, &identity).await.expect("started");
    let text = "
import select, socket, ssl
context = ssl.create_default_context()
for how in (socket.SHUT_WR, socket.SHUT_RDWR):
    with context.wrap_socket(socket.create_connection(('site.test', PORT)), server_hostname='site.test') as s:
        s.sendall(b'GET / HTTP/1.1\\r\\n\\r\\n')
        while s.recv(1000):
            pass
        print(outcome(s.shutdown, how))
";
    let ports = json!({"PORT": peer.port()});
    assert_eq!(
        run_program(trusting(&ca), &ports, text).await,
        "None\nNone\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_arrived_before_reading_was_shut_down_are_read() {
    let peer = start_peer(Behaviour::FinishesFirst { bytes: 5 }).await;
    let text = "
import select, socket
s = socket.create_connection(('127.0.0.1', PORT))
select.select([s], [], [])
s.shutdown(socket.SHUT_RD)
print(len(s.recv(10)), s.recv(10))
";
    assert_eq!(
        run_program(loopback(), &json!({"PORT": peer.port()}), text).await,
        "5 b''\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn os_and_open_know_the_descriptors_of_sockets() {
    let peer = start_peer(Behaviour::Echo).await;
    let text = "
import os, socket, stat
s = socket.create_connection(('127.0.0.1', PORT))
fd = s.fileno()
print(os.write(fd, b'abcdef'), os.read(fd, 3), stat.S_ISSOCK(os.fstat(fd).st_mode), os.isatty(fd))
os.set_blocking(fd, False)
print(os.get_blocking(fd), s.gettimeout(), outcome(os.lseek, fd, 0, 0))
os.set_blocking(fd, True)
with open(fd, 'rb', closefd=False) as file:
    print(file.read(3))
os.close(s.detach())
print(outcome(os.read, fd, 1), outcome(os.close, fd))
";
    let config = loopback().with_max_connections(1);
    let text = format!("{text}\nsocket.create_connection(('127.0.0.1', PORT)).close()\n");
    assert_eq!(
        run_program(config, &json!({"PORT": peer.port()}), &text).await,
        "6 b'abc' True False\nFalse None OSError(ESPIPE)\nb'def'\nOSError(EBADF) OSError(EBADF)\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_reach_handlers_masks_timers_and_event_loops() {
    let text = "
import asyncio, signal, time
seen = []
signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(signal.Signals(number).name))
signal.raise_signal(signal.SIGUSR1)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
signal.raise_signal(signal.SIGUSR1)
print(seen, signal.sigpending() == {signal.SIGUSR1})
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
print(seen, signal.SIGTERM in signal.valid_signals())

class Alarm(Exception):
    pass

def handler(number, frame):
    raise Alarm

signal.signal(signal.SIGALRM, handler)

def loop():
    while True:
        pass

for wait in (loop, lambda: time.sleep(60)):
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    print(outcome(wait), signal.alarm(0))

async def wait_for(name, send):
    done = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(getattr(signal, name), done.set)
    send()
    await done.wait()
    print(asyncio.get_running_loop().remove_signal_handler(getattr(signal, name)))

await wait_for('SIGTERM', lambda: signal.raise_signal(signal.SIGTERM))
await wait_for('SIGALRM', lambda: signal.setitimer(signal.ITIMER_REAL, 0.01))
print(outcome(signal.pause), outcome(signal.setitimer, signal.ITIMER_PROF, 1))
try:
    signal.raise_signal(signal.SIGTERM)
except SystemExit as error:
    print(error.code)

import threading
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGALRM])
signal.raise_signal(signal.SIGUSR2)
print(signal.sigwaitinfo([signal.SIGUSR2]).si_signo == signal.SIGUSR2)
print(signal.sigtimedwait([signal.SIGUSR2], 0.01))
signal.setitimer(signal.ITIMER_REAL, 0.01)
print(signal.sigtimedwait([signal.SIGALRM], 60).si_signo == signal.SIGALRM)
threading.Timer(0.01, signal.raise_signal, [signal.SIGUSR2]).start()
print(signal.sigwait([signal.SIGUSR2]) == signal.SIGUSR2)
";
    assert_eq!(
        run_program(loopback(), &json!({}), text).await,
        "['SIGUSR1'] True\n['SIGUSR1', 'SIGUSR1'] True\nAlarm 0\nAlarm 0\nTrue\nTrue\n\
         OSError(EDEADLK) itimer_error(EINVAL)\n143\nTrue\nNone\nTrue\nTrue\n"
    );
}

/// Regression: a name imported before the timer slept on, and so did the waits for locks.
#[tokio::test(flavor = "multi_thread")]
async fn a_timer_interrupts_an_imported_sleep_and_waits_for_locks() {
    let text = "
import signal, threading
from time import monotonic, sleep

class Alarm(Exception):
    pass

def end(number, frame):
    raise Alarm

start = monotonic()
signal.signal(signal.SIGALRM, end)
for wait in (lambda: sleep(60), lambda: threading.Event().wait(60), threading.Event().wait):
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    print(outcome(wait))
event = threading.Event()
ticks = []
signal.signal(signal.SIGALRM, lambda number, frame: ticks.append(1) or event.set())
signal.setitimer(signal.ITIMER_REAL, 0.01)
print(event.wait(60), monotonic() - start < 30)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
sleep(0.1)
print(len(ticks) > 2)
signal.setitimer(signal.ITIMER_REAL, 0)
print(outcome(threading.Event().wait))
";
    assert_eq!(
        run_program(loopback(), &json!({}), text).await,
        "Alarm\nAlarm\nAlarm\nTrue True\nTrue\nRuntimeError\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn error_numbers_have_linuxs_names_and_texts() {
    let text = "
import errno, os
print(errno.errorcode[errno.EPIPE], errno.errorcode[errno.EAGAIN], errno.EWOULDBLOCK == errno.EAGAIN)
print(all(hasattr(errno, name) for name in 'EHOSTDOWN ENODATA ETIME ENONET EPFNOSUPPORT ESOCKTNOSUPPORT EREMOTEIO'.split()))
os.symlink('loop', 'loop')
for call in (lambda: open('x' * 300), lambda: open('loop')):
    try:
        call()
    except OSError as error:
        print(error.strerror == os.strerror(error.errno), error.strerror)
print(os.strerror(errno.ETIMEDOUT), '|', os.strerror(errno.EHOSTDOWN), '|', os.strerror(99999))
";
    assert_eq!(
        run_program(loopback(), &json!({}), text).await,
        "EPIPE EAGAIN True\nTrue\n\
         True File name too long\nTrue Too many levels of symbolic links\n\
         Connection timed out | Host is down | Unknown error 99999\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_no_host_can_have_are_gaierror_and_short_forms_are_denied() {
    let text = "
import socket
for name in ('a b', '[::1]', 'a..b', '1.2.3.4.5', '-a', 'a@b'):
    for call in (lambda: socket.getaddrinfo(name, 80), lambda: socket.create_connection((name, 80)), lambda: socket.socket().connect((name, 80))):
        result = outcome(call)
        if result not in ('gaierror', 'UnicodeEncodeError'):
            print(name, result)
for form in ('127.1', '1.2', '0', '0x7f000001'):
    print(outcome(socket.gethostbyname, form), outcome(socket.create_connection, (form, 80)))
";
    assert_eq!(
        run_program(loopback(), &json!({}), text).await,
        "PermissionError(EACCES) PermissionError(EACCES)\n".repeat(4)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_garbage_do_not_count_against_the_connection_limit() {
    let peer = start_peer(Behaviour::Echo).await;
    let text = "
import asyncio
async def read():
    reader, writer = await asyncio.open_connection('127.0.0.1', PORT)
    await reader.read(1)
async def ping():
    reader, writer = await asyncio.open_connection('127.0.0.1', PORT)
    writer.write(b'ping')
    return await reader.readexactly(4)
for _ in range(5):
    tasks = [asyncio.create_task(read()) for _ in range(2)]
    await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
print(await asyncio.gather(ping(), ping()))
";
    let config = loopback().with_max_connections(2);
    assert_eq!(
        run_program(config, &json!({"PORT": peer.port()}), text).await,
        "[b'ping', b'ping']\n"
    );
}
