"""The sandboxes of Eryx, from the wheel under test."""

from __future__ import annotations

import pathlib

import eryx

from adapters import protocol
from worker_config import WorkerConfig


class Session:
    def __init__(self, session: eryx.Session) -> None:
        self.session = session

    def execute(self, code: str) -> str:
        return self.session.execute(code).stdout


class Factory:
    def __init__(self, factory: eryx.SandboxFactory, network: eryx.NetConfig) -> None:
        self.factory = factory
        self.network = network

    def execute(self, code: str) -> str:
        return self.factory.create_sandbox().execute(code).stdout

    def session(self) -> protocol.Session:
        return Session(self.factory.create_session(network=self.network))


class Sandboxes:
    def __init__(self, config: WorkerConfig) -> None:
        self.wheels = config.wheels
        network = eryx.NetConfig(max_connections=200).allow_localhost()
        self.network = network.with_root_cert(config.ca)

    def execute(self, code: str) -> str:
        return eryx.Sandbox().execute(code).stdout

    def session(self) -> protocol.Session:
        return Session(eryx.Sandbox().session())

    def connected_session(self) -> protocol.Session:
        return Session(eryx.Sandbox(network=self.network).session())

    def factory(self, imports: list[str], cache: pathlib.Path) -> protocol.Factory:
        factory = eryx.SandboxFactory(packages=self.wheels, imports=imports, cache_dir=cache)
        return Factory(factory, self.network)
