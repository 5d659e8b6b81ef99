"""The configuration sent to a worker process."""

from __future__ import annotations

import dataclasses
import json


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
    # nginx, if it is installed.
    nginx: NginxPorts | None = None

    @classmethod
    def from_json(cls, line: str) -> WorkerConfig:
        """Return the configuration that `json.dumps(dataclasses.asdict(...))` wrote."""
        fields = json.loads(line)
        if fields["nginx"] is not None:
            fields["nginx"] = NginxPorts(**fields["nginx"])
        return cls(**fields)


@dataclasses.dataclass(frozen=True)
class NginxPorts:
    """The listeners of nginx, and the length of its responses."""

    plain: int
    # TLS with a group for which every client sends a share, and with one for which none does.
    x25519: int
    p384: int
    # The bytes of a response with a body of 20 bytes, head included.
    response_bytes: int
