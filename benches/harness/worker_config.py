"""The configuration sent to a worker process."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class WorkerConfig:
    """The servers to measure against, and the resources of the worker."""

    plain_port: int
    tls_port: int
    # The certificate of the servers' CA, as PEM.
    ca: str
    # The paths of the libraries' wheels.
    wheels: list[str]
    # A folder that is deleted before the next run.
    scratch: str
