"""The sandboxes of pyeryx, the baseline. Its import name is `eryx`, too."""

from __future__ import annotations

import importlib
import pathlib
import ssl
from typing import Any

from adapters import protocol
from worker_config import WorkerConfig

pyeryx: Any = importlib.import_module("eryx")


class Session:
    def __init__(self, session: Any) -> None:
        self.session = session

    def execute(self, code: str) -> str:
        text: str = self.session.execute(code).stdout_text
        return text

    def fork(self) -> protocol.CopyableSession:
        raise NotImplementedError("sessions of pyeryx cannot be forked")

    def snapshot(self) -> bytes:
        """Return the variables, pickled."""
        data: bytes = self.session.snapshot_state()
        return data


class Factory:
    def __init__(self, factory: Any, network: Any) -> None:
        self.factory = factory
        self.network = network

    def execute(self, code: str) -> str:
        text: str = self.factory.create_sandbox().execute(code).stdout_text
        return text

    def session(self, inspection: str) -> protocol.Session:
        if inspection:
            raise NotImplementedError("pyeryx does not inspect requests")
        return Session(self.factory.create_session(network=self.network))


class Sandboxes:
    def __init__(self, config: WorkerConfig) -> None:
        self.wheels = config.wheels
        network = pyeryx.NetConfig.permissive()
        network.max_connections = 200
        self.network = network.with_root_cert(ssl.PEM_cert_to_DER_cert(config.ca))

    def execute(self, code: str) -> str:
        text: str = pyeryx.Sandbox().execute(code).stdout_text
        return text

    def session(self) -> protocol.Session:
        return Session(pyeryx.Session())

    def evaluate(self, code: str) -> Any:
        raise NotImplementedError("programs of pyeryx have no values")

    def value_session(self) -> protocol.ValueSession:
        raise NotImplementedError("programs of pyeryx have no values")

    def copyable_session(self) -> protocol.CopyableSession:
        return Session(pyeryx.Session())

    def restore(self, data: bytes) -> protocol.CopyableSession:
        session = pyeryx.Session()
        session.restore_state(data)
        return Session(session)

    def connected_session(self, inspection: str = "") -> protocol.Session:
        if inspection:
            raise NotImplementedError("pyeryx does not inspect requests")
        return Session(pyeryx.Session(network=self.network))

    def functions_session(self) -> protocol.Session:
        raise NotImplementedError

    def factory(self, imports: list[str], cache: pathlib.Path) -> protocol.Factory:
        saved = cache / "factory.bin"
        if saved.exists():
            factory = pyeryx.SandboxFactory.load(saved)
        else:
            factory = pyeryx.SandboxFactory(packages=self.wheels, imports=imports)
            cache.mkdir(parents=True, exist_ok=True)
            factory.save(saved)
        return Factory(factory, self.network)
