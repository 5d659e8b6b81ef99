"""Description of the machine and of the interpreter."""

from __future__ import annotations

import os
import pathlib
import platform
import subprocess
import time

VERSIONS = "import platform, ssl; print(platform.python_version(), '/', ssl.OPENSSL_VERSION)"


def describe(python: str) -> dict[str, str]:
    """Return the properties of the machine and of the interpreter `python`, one line each."""
    try:
        version = subprocess.check_output([python, "-c", VERSIONS], text=True).strip()
    except subprocess.CalledProcessError as error:
        version = f"unknown: {error}"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    load = " ".join(f"{average:.2f}" for average in os.getloadavg())
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "interpreter": f"CPython {version}",
        "load at the start": load,
    }


def processor() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
