"""The program that componentize-py builds the guest image from.

It runs once, while the image is built. Every sandbox starts from its final state, in which this is
an imported module: its name must be none that a module of a program may have.
"""

# The shims must be installed before any module imports `socket`, and `wit_world` imports asyncio.
import eryx_native
import eryx_net

# The locks and clocks must be installed before any module uses them.
from eryx_guest import clocks, errno_names, local_time, locks
from eryx_guest.threads import handles

errno_names.install()
clocks.install()
local_time.install()
locks.install()
handles.install()
eryx_native.install()

# `_signal` has to be complete before anything imports `signal`, which takes its names.
from eryx_guest import signals  # noqa: E402

signals.install()

from eryx_guest import os_functions  # noqa: E402

os_functions.install()
eryx_net.install()

from eryx_guest import stdlib_importer, stdlib_imports, time_zones  # noqa: E402

stdlib_importer.install()
time_zones.store()
stdlib_imports.load()

import wit_world  # noqa: E402

# componentize-py makes an interface available only if the program imports it during the build.
from wit_world.imports import (  # noqa: E402
    functions,
    key_derivation,  # noqa: F401
    poll,  # noqa: F401
    resolver,  # noqa: F401
    tcp,  # noqa: F401
    tls,  # noqa: F401
    types,  # noqa: F401
    udp,  # noqa: F401
)

from eryx_guest import bindings, fastpaths, fork, heap, random_generators, warmup  # noqa: E402
from eryx_guest.threads import layout_check, network_waits, python_calls  # noqa: E402

layout_check.check()
network_waits.install()
python_calls.install()
bindings.install()
fastpaths.install()
fork.install()
random_generators.install()
heap.warm_up_and_compact(warmup.run)

# Imported last: programs write to the objects of the runner, so these belong next to the programs'
# own objects in memory.
from eryx_guest import runner  # noqa: E402
from eryx_guest.factory_preload import preload  # noqa: E402


class WitWorld(wit_world.WitWorld):
    """The exports of the world `eryx:sandbox/sandbox`."""

    def prepare(self, start: wit_world.StartState) -> None:
        """Prepares the start of a program: see the WIT."""
        runner.prepare(start)

    def execute(self, source: bytes) -> wit_world.Outcome:
        """Runs a program: see the WIT."""
        return runner.execute(source)

    def evaluate(self, source: bytes, max_value: int) -> wit_world.Evaluation:
        """Runs a program and returns its value: see the WIT."""
        return runner.evaluate(source, max_value)

    def exit(self, open_files: int) -> None:
        """Ends a program: see the WIT."""
        runner.exit(open_files)

    def preload(self, paths: list[str], imports: list[str], setup: bytes | None) -> None:
        """Prepares a snapshot: see the WIT."""
        preload(paths, imports, setup)

    def before_fork(self, open_files: int) -> bool:
        """Prepares a fork: see the WIT."""
        return fork.before_fork(open_files)

    def after_fork(self) -> None:
        """Ends a fork: see the WIT."""
        fork.after_fork()

    def wake(self, has_network: bool, has_listings: bool) -> None:
        """Continues as a child: see the WIT."""
        fork.wake(has_network, has_listings)


runner.freeze_start_state(WitWorld())
# Last: until the build is complete, there is no host to ask.
stdlib_importer.find_functions(functions.available)
