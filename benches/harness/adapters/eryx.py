"""The sandboxes of Eryx, from the wheel under test."""

from __future__ import annotations

import asyncio
import pathlib
from typing import Any

import eryx

from adapters import protocol
from worker_config import WorkerConfig


def echo(value: Any) -> Any:
    return value


async def aecho(value: Any) -> Any:
    return value


async def delay(seconds: float) -> None:
    await asyncio.sleep(seconds)


def inspections() -> dict[str, dict[str, Any]]:
    """Return the settings of each inspection: none, a rule for the server, and a rule and a secret
    that every request to it gets."""
    rule = eryx.HttpRule("localhost", methods=["GET", "POST"], paths=["/bytes/*"])
    token = eryx.Secret(
        "bench-0123456789abcdefghijklmnopqrstuvwxyz",
        hosts=["localhost"],
        plaintext_hosts=["localhost"],
        inject="Bearer {}",
    )
    rules = {"http_rules": [rule]}
    return {"": {}, "rule": rules, "secret": {**rules, "secrets": {"TOKEN": token}}}


class Session:
    def __init__(self, session: eryx.Session) -> None:
        self.session = session

    def execute(self, code: str) -> str:
        return self.session.execute(code).stdout

    def evaluate(self, code: str) -> Any:
        return self.session.execute(code, value=True).value

    def fork(self) -> protocol.CopyableSession:
        return Session(self.session.fork())

    def snapshot(self) -> bytes:
        return self.session.snapshot()


class Factory:
    def __init__(self, factory: eryx.SandboxFactory, networks: dict[str, eryx.NetConfig]) -> None:
        self.factory = factory
        self.networks = networks

    def execute(self, code: str) -> str:
        return self.factory.create_sandbox().execute(code).stdout

    def session(self, inspection: str) -> protocol.Session:
        return Session(self.factory.create_session(network=self.networks[inspection]))


class Sandboxes:
    def __init__(self, config: WorkerConfig) -> None:
        self.wheels = config.wheels
        # By what is for the server.
        self.networks = {
            inspection: eryx.NetConfig(max_connections=200, **settings)
            .allow_localhost()
            .with_root_cert(config.ca)
            for inspection, settings in inspections().items()
        }

    def execute(self, code: str) -> str:
        return eryx.Sandbox().execute(code).stdout

    def evaluate(self, code: str) -> Any:
        return eryx.Sandbox().execute(code, value=True).value

    def session(self) -> protocol.Session:
        return Session(eryx.Sandbox().session())

    def value_session(self) -> protocol.ValueSession:
        return Session(eryx.Sandbox().session())

    def copyable_session(self) -> protocol.CopyableSession:
        return Session(eryx.Sandbox().session())

    def restore(self, data: bytes) -> protocol.CopyableSession:
        return Session(eryx.Sandbox().restore(data))

    def connected_session(self, inspection: str = "") -> protocol.Session:
        return Session(eryx.Sandbox(network=self.networks[inspection]).session())

    def functions_session(self) -> protocol.Session:
        limits = eryx.ResourceLimits(
            execution_timeout_ms=300_000,
            max_function_calls=100_000,
            max_function_calls_in_flight=200,
            max_function_value_bytes=2 * 2**20,
        )
        functions = {"echo": echo, "aecho": aecho, "delay": delay}
        return Session(eryx.Sandbox(functions=functions, resource_limits=limits).session())

    def factory(self, imports: list[str], cache: pathlib.Path) -> protocol.Factory:
        factory = eryx.SandboxFactory(packages=self.wheels, imports=imports, cache_dir=cache)
        return Factory(factory, self.networks)
