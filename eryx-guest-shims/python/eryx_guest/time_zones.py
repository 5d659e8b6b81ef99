"""The time zones of the IANA database in the image, from the package `tzdata` of the build.

`zoneinfo` finds them after the files and the package `tzdata` that a program has itself.
"""

import importlib.util
import io
import os
import zlib
from typing import Any

# By key, in the format of RFC 9636, compressed. Equal zones share their bytes.
_zones: dict[str, bytes] = {}


def store() -> None:
    """Stores the zones, while the image is built. Raises RuntimeError without the package."""
    spec = importlib.util.find_spec("tzdata")
    if spec is None or spec.origin is None:
        raise RuntimeError("the image cannot be built without the package tzdata")
    root = os.path.join(os.path.dirname(spec.origin), "zoneinfo")
    shared: dict[bytes, bytes] = {}
    for directory, _, names in sorted(os.walk(root)):
        for name in sorted(names):
            path = f"{directory}/{name}"
            with open(path, "rb") as file:
                content = file.read()
            if content.startswith(b"TZif"):
                key = path.removeprefix(root + "/")
                _zones[key] = shared.setdefault(content, zlib.compress(content, 9))
    if "Europe/Berlin" not in _zones or "UTC" not in _zones:
        raise RuntimeError(f"{root} has no time zones")


def read(key: str) -> bytes | None:
    """Returns a zone in the format of RFC 9636, or None for an unknown key."""
    compressed = _zones.get(key)
    return None if compressed is None else zlib.decompress(compressed)


def _has_package() -> bool:
    """Returns whether the program has a package `tzdata` of its own, which may be newer."""
    return importlib.util.find_spec("tzdata") is not None


def patch_common(module: Any) -> None:
    """Makes `zoneinfo` load the zones of the image."""
    stock = module.load_tzdata

    def load_tzdata(key: str) -> Any:
        content = read(key)
        if content is None or _has_package():
            try:
                return stock(key)
            except module.ZoneInfoNotFoundError:
                if content is None:
                    raise
        return io.BytesIO(content)

    module.load_tzdata = load_tzdata


def patch_tzpath(module: Any) -> None:
    """Makes `zoneinfo.available_timezones` return the zones of the image, too."""
    stock = module.available_timezones

    def available_timezones() -> set[str]:
        """Returns a set containing all available time zones."""
        found: set[str] = stock()
        return found | (_zones.keys() - {"posixrules", "Factory", "localtime"})

    module.available_timezones = available_timezones
