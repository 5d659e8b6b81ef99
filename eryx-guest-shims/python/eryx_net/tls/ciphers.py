"""The cipher suites of the host's TLS, and OpenSSL's cipher strings that select among them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

DEFAULT_STRING = (
    "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"
)
"""CPython's default cipher string. The host's TLS supports the subset in `SUITES`."""


class Suite(NamedTuple):
    """A cipher suite, with OpenSSL's name and IANA's number (tls-parameters)."""

    name: str
    number: int
    bits: int
    encryption: str
    symmetric: str
    digest: str
    authentication: str

    @property
    def version(self) -> str:
        """The protocol version of the suite."""
        return "TLSv1.3" if self.authentication == "any" else "TLSv1.2"

    def keywords(self) -> set[str]:
        """Returns the keywords of cipher strings that select the suite, apart from its name."""
        keywords = {"ALL", "DEFAULT", "HIGH", "AEAD", "TLSv1.2", "ECDH", "ECDHE", "EECDH", "kECDHE"}
        keywords |= {"kEECDH", self.digest, "PROFILE=SYSTEM", "a" + self.authentication}
        if self.authentication == "ECDSA":
            keywords.add("ECDSA")
        if self.encryption.startswith("AESGCM"):
            keywords |= {"AES", "AESGCM", f"AES{self.bits}"}
        else:
            keywords.add("CHACHA20")
        return keywords

    def describe(self) -> dict[str, Any]:
        """Returns the entry of the suite in `SSLContext.get_ciphers`."""
        is_tls13 = self.version == "TLSv1.3"
        exchange = "any" if is_tls13 else "ECDH"
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
            "kea": "kx-any" if is_tls13 else "kx-ecdhe",
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
    """Returns the suites that a cipher string selects (openssl-ciphers(1)), and all of TLS 1.3.

    Like OpenSSL, raises ValueError if it selects no suite of TLS 1.2, and for an unknown command.
    """
    candidates = [suite for suite in SUITES if suite.version == "TLSv1.2"]
    chosen: list[Suite] = []
    banned: set[Suite] = set()
    least_bits = 0
    for token in _tokens(string):
        if token.startswith("@"):
            level = _LEVEL.fullmatch(token)
            if level is not None:
                least_bits = _LEAST_BITS[int(level[1])]
            elif token == "@STRENGTH":
                chosen.sort(key=lambda suite: -suite.bits)
            else:
                raise ValueError("No cipher can be selected.")
            continue
        operator = token[0] if token[0] in "!-+" else ""
        wanted = token[len(operator) :].split("+")
        matching = [
            suite
            for suite in candidates
            if all(word == suite.name or word in suite.keywords() for word in wanted)
        ]
        if operator == "!":
            banned.update(matching)
        if operator in ("!", "-"):
            chosen = [suite for suite in chosen if suite not in matching]
        elif operator == "+":
            moved = [suite for suite in chosen if suite in matching]
            chosen = [suite for suite in chosen if suite not in matching] + moved
        else:
            chosen += [suite for suite in matching if suite not in chosen and suite not in banned]
    strong = [suite for suite in chosen if suite.bits >= least_bits]
    if not strong:
        raise ValueError("No cipher can be selected.")
    tls13 = [suite for suite in SUITES if suite.version == "TLSv1.3" and suite.bits >= least_bits]
    return (*tls13, *strong)


def security_level(string: str) -> int | None:
    """Returns the security level that a cipher string sets, None if it sets none."""
    levels = [level[1] for token in _tokens(string) if (level := _LEVEL.fullmatch(token))]
    return int(levels[-1]) if levels else None


_LEVEL = re.compile("@SECLEVEL=([0-5])")

# The least strength of a suite in bits at each security level (SSL_CTX_set_security_level(3)).
_LEAST_BITS = (0, 80, 112, 128, 192, 256)


def _tokens(string: str) -> list[str]:
    """Returns the parts of a cipher string. A command may follow a name without a separator."""
    return [token for token in re.split("[:, ;]+|(?=@)", string.strip()) if token]
