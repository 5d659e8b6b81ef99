"""Sandboxes of the wheel under test."""

from __future__ import annotations

import pathlib

import eryx

from sandboxes import Factory, Session
from settings import Settings


class _Session:
    def __init__(self, session: eryx.Session) -> None:
        self.session = session

    def execute(self, code: str) -> str:
        return self.session.execute(code).stdout


class _Factory:
    def __init__(self, factory: eryx.SandboxFactory, network: eryx.NetConfig) -> None:
        self.factory = factory
        self.network = network

    def execute(self, code: str) -> str:
        return self.factory.create_sandbox().execute(code).stdout

    def session(self) -> Session:
        return _Session(self.factory.create_session(network=self.network))


class Sandboxes:
    def __init__(self, settings: Settings) -> None:
        self.wheels = settings.wheels
        network = eryx.NetConfig(max_connections=200).allow_localhost()
        self.network = network.with_root_cert(settings.authority)

    def execute(self, code: str) -> str:
        return eryx.Sandbox().execute(code).stdout

    def session(self) -> Session:
        return _Session(eryx.Sandbox().session())

    def connected(self) -> Session:
        return _Session(eryx.Sandbox(network=self.network).session())

    def factory(self, imports: list[str], cache: pathlib.Path) -> Factory:
        made = eryx.SandboxFactory(packages=self.wheels, imports=imports, cache_dir=cache)
        return _Factory(made, self.network)
