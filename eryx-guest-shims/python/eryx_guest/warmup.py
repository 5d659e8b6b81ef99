"""A warm-up workload, run while the image is built: typical operations of programs.

The interpreter specialises the code that runs here (PEP 659), and its objects are placed together
in memory. The workload leaves no state that a program could see, and never calls the host.
"""

import asyncio
import collections
import contextlib
import dataclasses
import datetime
import enum
import functools
import http.client
import io
import itertools
import json
import random
import re
import socket
import sys
import textwrap
import traceback
import typing
import urllib.parse
from typing import Any

from eryx_net import descriptors


def run() -> None:
    """Runs the workload on an event loop of its own, then resets."""
    with asyncio.Runner() as runner:
        runner.get_loop().set_task_factory(_named)
        runner.run(work())
    asyncio.set_event_loop(None)
    reset()


def reset() -> None:
    """Clears all caches, and resets the numbers of descriptors."""
    re.purge()
    for module in list(sys.modules.values()):
        for attribute in list(vars(module).values()):
            if isinstance(attribute, functools._lru_cache_wrapper):
                attribute.cache_clear()
    descriptors.reset_for_build()


async def work() -> None:
    """Runs the workload on the running event loop."""
    asyncio.get_running_loop().set_task_factory(_named)
    use_classes()
    use_exceptions()
    use_text()
    use_regex()
    use_http()
    await use_asyncio()


def use_classes() -> None:
    """Defines and uses classes and functions."""

    class Base:
        def __init__(self, value: int) -> None:
            self.value = value

        @property
        def doubled(self) -> int:
            return self.value * 2

        @functools.cached_property
        def tripled(self) -> int:
            return self.value * 3

    class Derived(Base):
        def __init__(self, value: int) -> None:
            super().__init__(value + 1)

    @dataclasses.dataclass(frozen=True)
    class Point:
        x: int
        y: int = 0
        tags: list[str] = dataclasses.field(default_factory=list)

    class Colour(enum.Enum):
        RED = 1
        BLUE = 2

    class Pair(typing.NamedTuple):
        left: int
        right: str

    @functools.lru_cache
    def fibonacci(n: int) -> int:
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    @contextlib.contextmanager
    def opened() -> collections.abc.Iterator[int]:
        yield 1

    thing = Derived(3)
    with opened() as value:
        text = (
            f"{thing.doubled:>5} {thing.tripled} {value} {Point(1, 2)} {Colour.RED} {Colour(2)!r}"
        )
    text += f"{Pair(1, 'a')} {fibonacci(20)} {collections.Counter('hello').most_common(2)}"
    kinds = collections.namedtuple("kinds", "a b")
    groups = collections.defaultdict(list)
    for key, values in itertools.groupby(sorted("banana")):
        groups[key].append(kinds(key, len(list(values))))
    print(text, dict(groups), textwrap.dedent("  a\n  b"), sep="\n", file=io.StringIO())


def use_exceptions() -> None:
    """Raises, catches and formats exceptions."""
    try:
        try:
            {}["missing"]  # type: ignore[index]
        except KeyError as error:
            raise ValueError("wrong") from error
    except ValueError as error:
        traceback.format_exception(error)
    with contextlib.suppress(ZeroDivisionError):
        _ = 1 / 0
    with contextlib.suppress(AttributeError):
        object().missing  # type: ignore[attr-defined]  # noqa: B018


def use_text() -> None:
    """Parses and formats JSON, dates and URLs."""
    document = {"a": [1, 2.5, None, True], "b": {"c": "d\n"}}
    json.loads(json.dumps(document))
    json.loads(json.dumps(document, indent=2, sort_keys=True).encode())
    with contextlib.suppress(json.JSONDecodeError):
        json.loads("{")
    day = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)
    day += datetime.timedelta(days=40)
    day.isoformat(), day.strftime("%Y-%m-%d"), datetime.datetime.fromisoformat(day.isoformat())
    urllib.parse.urlsplit("https://example.com:8443/a/b?c=d&e=f#g")
    urllib.parse.urljoin("https://example.com/a/", "../b")
    urllib.parse.urlencode({"a": "b c", "d": 1})
    urllib.parse.parse_qs("a=b&c=d")
    random.seed(1)


def use_regex() -> None:
    """Compiles and matches regular expressions."""
    re.findall(r"(\w+)=(\d+)", "a=1 b=2")
    pattern = re.compile(
        r"^\s*(?P<key>[a-z_]+)\s*[:=]\s*(?P<value>.*?)\s*$", re.MULTILINE | re.IGNORECASE
    )
    for found in pattern.finditer("a: 1\nb = 2\n"):
        found.groupdict()
    re.sub(r"[^a-z]+|(?:x{2,3})", "-", "a1b2xx")
    re.split(r"[,;]\s*", "a, b;c")
    # So that the next round compiles them again.
    re.purge()


def use_http() -> None:
    """Makes an HTTP request over a socket pair."""
    client, server = socket.socketpair()
    with client, server:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = client
        server.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        )
        connection.request("POST", "/", body=b"{}", headers={"Accept": "*/*"})
        with connection.getresponse() as response:
            response.getheader("Content-Type"), response.read()
        server.recv(1000)


def _named(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    # asyncio numbers tasks without a name, and programs would see that count.
    return asyncio.Task(coroutine, loop=loop, **({"name": "warmup"} | options))


async def use_asyncio() -> None:
    """Runs tasks, and uses events, queues, timeouts and locks."""
    event = asyncio.Event()
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def count(number: int) -> int:
        await event.wait()
        await asyncio.sleep(0)
        await queue.put(number)
        return number

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(count(number)) for number in range(3)]
        event.set()
    [task.result() for task in tasks], await queue.get()
    await asyncio.gather(count(1), count(2))
    await asyncio.wait_for(count(3), 60)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(60)
    lock = asyncio.Lock()
    async with lock:
        pass
