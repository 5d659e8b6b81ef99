"""Connects through bindings found in frames, modules and the garbage collector."""

import gc
import sys
import types

connections = [
    found for found in gc.get_objects() if getattr(found, "__name__", "") == "Connection"
]
frame = sys._getframe()
while frame is not None:
    connections += [
        v for v in frame.f_globals.values() if getattr(v, "__name__", "") == "Connection"
    ]
    frame = frame.f_back
for module in list(sys.modules.values()):
    if isinstance(module, types.ModuleType):
        connections += [
            v for v in vars(module).values() if getattr(v, "__name__", "") == "Connection"
        ]
for connection in connections:
    try:
        connection.connect(CANARY_HOST, CANARY).finish_connect(None)
    except BaseException:
        continue
    print("ESCAPED")
