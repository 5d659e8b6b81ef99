"""Crashes the interpreter with CPython's own functions for that."""

import faulthandler

faulthandler._read_null()
faulthandler._sigsegv()
