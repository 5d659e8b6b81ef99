"""The cipher suites the TLS below can offer, and OpenSSL's language for choosing among them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

DEFAULT_STRING = (
    "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"
)
"""CPython's default, of which the suites below are what a modern library still speaks."""


class Suite(NamedTuple):
    """A cipher suite by OpenSSL's name and its number (IANA tls-parameters)."""

    name: str
    number: int
    bits: int
    encryption: str
    symmetric: str
    digest: str
    authentication: str

    @property
    def version(self) -> str:
        """The protocol version it belongs to."""
        return "TLSv1.3" if self.authentication == "any" else "TLSv1.2"

    def words(self) -> set[str]:
        """What it may be called by in a cipher string, apart from its name."""
        words = {"ALL", "DEFAULT", "HIGH", "AEAD", "TLSv1.2", "ECDHE", "EECDH", "kECDHE", "kEECDH"}
        words |= {"ECDH", self.digest, "PROFILE=SYSTEM", "a" + self.authentication}
        if self.authentication == "ECDSA":
            words.add("ECDSA")
        if self.encryption.startswith("AESGCM"):
            words |= {"AES", "AESGCM", f"AES{self.bits}"}
        else:
            words.add("CHACHA20")
        return words

    def shown(self) -> dict[str, Any]:
        """The entry of `SSLContext.get_ciphers`."""
        any_kind = self.version == "TLSv1.3"
        exchange = "any" if any_kind else "ECDH"
        return {
            "id": 0x03000000 | self.number,
            "name": self.name,
            "protocol": self.version,
            "description": (
                f"{self.name:<30} {self.version} Kx={exchange:<8} Au={self.authentication:<5} "
                f"Enc={self.encryption:<22} Mac=AEAD"
            ),
            "strength_bits": self.bits,
            "alg_bits": self.bits,
            "aead": True,
            "symmetric": self.symmetric,
            "digest": None,
            "kea": "kx-any" if any_kind else "kx-ecdhe",
            "auth": "auth-" + self.authentication.lower(),
        }


_AES256 = ("AESGCM(256)", "aes-256-gcm", "SHA384")
_AES128 = ("AESGCM(128)", "aes-128-gcm", "SHA256")
_CHACHA = ("CHACHA20/POLY1305(256)", "chacha20-poly1305", "SHA256")

SUITES = (
    Suite("TLS_AES_256_GCM_SHA384", 0x1302, 256, *_AES256, "any"),
    Suite("TLS_CHACHA20_POLY1305_SHA256", 0x1303, 256, *_CHACHA, "any"),
    Suite("TLS_AES_128_GCM_SHA256", 0x1301, 128, *_AES128, "any"),
    Suite("ECDHE-ECDSA-AES256-GCM-SHA384", 0xC02C, 256, *_AES256, "ECDSA"),
    Suite("ECDHE-RSA-AES256-GCM-SHA384", 0xC030, 256, *_AES256, "RSA"),
    Suite("ECDHE-ECDSA-AES128-GCM-SHA256", 0xC02B, 128, *_AES128, "ECDSA"),
    Suite("ECDHE-RSA-AES128-GCM-SHA256", 0xC02F, 128, *_AES128, "RSA"),
    Suite("ECDHE-ECDSA-CHACHA20-POLY1305", 0xCCA9, 256, *_CHACHA, "ECDSA"),
    Suite("ECDHE-RSA-CHACHA20-POLY1305", 0xCCA8, 256, *_CHACHA, "RSA"),
)


def select(string: str) -> tuple[Suite, ...]:
    """The suites a cipher string (openssl-ciphers(1)) chooses, TLS 1.3's always among them.

    Raises ValueError when it chooses none of TLS 1.2's, as OpenSSL does.
    """
    candidates = [suite for suite in SUITES if suite.version == "TLSv1.2"]
    chosen: list[Suite] = []
    banned: set[Suite] = set()
    for token in re.split("[:, ;]+", string.strip()):
        if not token or token.startswith("@"):
            continue
        operator = token[0] if token[0] in "!-+" else ""
        wanted = token[len(operator) :].split("+")
        found = [
            suite
            for suite in candidates
            if all(w == suite.name or w in suite.words() for w in wanted)
        ]
        if operator == "!":
            banned.update(found)
        if operator in ("!", "-"):
            chosen = [suite for suite in chosen if suite not in found]
        elif operator == "+":
            moved = [suite for suite in chosen if suite in found]
            chosen = [suite for suite in chosen if suite not in found] + moved
        else:
            chosen += [suite for suite in found if suite not in chosen and suite not in banned]
    if not chosen:
        raise ValueError("No cipher can be selected.")
    return tuple(suite for suite in SUITES if suite.version == "TLSv1.3") + tuple(chosen)
