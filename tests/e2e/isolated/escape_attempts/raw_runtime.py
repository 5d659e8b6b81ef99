"""Calls the runtime below the bindings with arbitrary indices and addresses."""

import componentize_py_runtime as runtime

for name in dir(runtime):
    function = getattr(runtime, name)
    if not callable(function):
        continue
    for arguments in ((), (0,), (1, []), (0, 0, 0), (2**31 - 1,), ("x", -1)):
        try:
            function(*arguments)
        except Exception as error:
            print(name, type(error).__name__)
