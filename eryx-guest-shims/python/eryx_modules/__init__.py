"""Modules of the standard library that a WASI build of CPython lacks, under their own names.

Each has the parts that make sense in a sandbox. The other functions can be imported; calling one
raises an exception that names the rule and says what to do instead. `eryx_guest.stdlib_importer`
imports `eryx_modules/pwd.py` as the module `pwd`, when a program does.
"""
