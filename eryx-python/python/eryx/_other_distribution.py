"""Finds another distribution that installs a package ``eryx`` over this one."""

from __future__ import annotations

import os

#: The distributions, as their folders in ``site-packages`` begin.
_OTHERS = ("eryx-", "pyeryx-")


def warn(package: str) -> None:
    """Warn if another distribution is installed beside that of the folder ``package``.

    Its files have replaced some of ours, or ours some of its, and uninstalling one of them leaves
    the other broken. ``importlib.metadata`` would find it, too, but takes longer than the rest of
    the import.
    """
    try:
        names = os.listdir(os.path.dirname(package))
    except OSError:
        return
    for name in names:
        if name.startswith(_OTHERS) and name.endswith(".dist-info"):
            import warnings

            other = name.split("-")[0]
            warnings.warn(
                f"the distributions `eryx-sandbox` and `{other}` are both installed and have files "
                "of the same names: run `pip uninstall eryx-sandbox "
                f"{other}`, then `pip install eryx-sandbox`",
                RuntimeWarning,
                stacklevel=3,
            )
            return
