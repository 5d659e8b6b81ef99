"""Sandboxes of the peer, which has the same name."""

from __future__ import annotations

import importlib
import pathlib
import ssl
from typing import Any

from sandboxes import Factory, Session
from settings import Settings

peer: Any = importlib.import_module("eryx")


class _Session:
    def __init__(self, session: Any) -> None:
        self.session = session

    def execute(self, code: str) -> str:
        text: str = self.session.execute(code).stdout_text
        return text


class _Factory:
    def __init__(self, factory: Any, network: Any) -> None:
        self.factory = factory
        self.network = network

    def execute(self, code: str) -> str:
        text: str = self.factory.create_sandbox().execute(code).stdout_text
        return text

    def session(self) -> Session:
        return _Session(self.factory.create_session(network=self.network))


class Sandboxes:
    def __init__(self, settings: Settings) -> None:
        self.wheels = settings.wheels
        network = peer.NetConfig.permissive()
        network.max_connections = 200
        self.network = network.with_root_cert(ssl.PEM_cert_to_DER_cert(settings.authority))

    def execute(self, code: str) -> str:
        text: str = peer.Sandbox().execute(code).stdout_text
        return text

    def session(self) -> Session:
        return _Session(peer.Session())

    def connected(self) -> Session:
        return _Session(peer.Session(network=self.network))

    def factory(self, imports: list[str], cache: pathlib.Path) -> Factory:
        kept = cache / "factory.bin"
        if kept.exists():
            made = peer.SandboxFactory.load(kept)
        else:
            made = peer.SandboxFactory(packages=self.wheels, imports=imports)
            cache.mkdir(parents=True, exist_ok=True)
            made.save(kept)
        return _Factory(made, self.network)
