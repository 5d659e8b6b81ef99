"""Modules of the standard library that a WASI build of CPython lacks, under their own names.

Each works as far as it can mean anything in a sandbox, and refuses what it cannot do when that is
called. `eryx_guest.stdlib_importer` imports `eryx_modules/pwd.py` as the module `pwd`, when a
program does.
"""
