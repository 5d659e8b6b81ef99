"""The machine, and the versions of what is measured on it."""

from __future__ import annotations

import os
import pathlib
import platform
import subprocess
import time

VERSIONS = "import platform, ssl; print(platform.python_version(), '/', ssl.OPENSSL_VERSION)"


def described(python: str) -> dict[str, str]:
    """One line each."""
    try:
        host = subprocess.check_output([python, "-c", VERSIONS], text=True).strip()
    except subprocess.CalledProcessError as error:
        host = f"unknown: {error}"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    load = " ".join(f"{figure:.2f}" for figure in os.getloadavg())
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "interpreter": f"CPython {host}",
        "load at the start": load,
    }


def processor() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
