"""Installs hooks and builtins that raise in all code that runs after the program."""

import builtins
import sys


def hook(*_):
    raise SystemExit(9)


sys.settrace(lambda *_: hook)
sys.setprofile(hook)
sys.excepthook = hook
sys.unraisablehook = hook
builtins.isinstance = builtins.len = builtins.str = builtins.print = hook
