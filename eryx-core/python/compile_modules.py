"""Compiles modules to bytecode: the program that a factory runs in a sandbox.

The arguments are the paths of the sources. The bytecode of the first one is written to `/tmp/0`,
and so on. A source that does not compile has none: its import raises the exception.
"""

import contextlib
import importlib.util
import marshal
import sys
import warnings

# Of bytecode whose source is not checked (PEP 552): packages are read-only.
UNCHECKED_HASH = (1).to_bytes(4, "little")

warnings.simplefilter("ignore")
for number, path in enumerate(sys.argv[1:]):
    # Any exception: besides errors of syntax, a source can exceed limits of the compiler.
    with contextlib.suppress(Exception):
        with open(path, "rb") as file:
            source = file.read()
        code = marshal.dumps(compile(source, path, "exec", dont_inherit=True))
        head = importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + importlib.util.source_hash(source)
        # `py_compile` would fail for large files: it writes in one call, which may write less.
        with open(f"/tmp/{number}", "wb") as file:
            file.write(head + code)
