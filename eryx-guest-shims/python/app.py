"""The program componentize-py turns into the guest image.

Everything here runs once, while the image is built. Its last state is what every sandbox starts
from.
"""

# The shims have to be in place before anything imports `socket`, and `wit_world` imports asyncio.
import eryx_net

# And the locks before anything makes one, the clocks before anything takes one.
from eryx_guest import clocks, locks

clocks.install()
locks.install()
eryx_net.install()

from eryx_guest import stdlib_importer, stdlib_imports  # noqa: E402

stdlib_importer.install()
stdlib_imports.load()

import wit_world  # noqa: E402

# componentize-py offers an import to Python only if the program names it while the image is built.
from wit_world.imports import poll, resolver, tcp, tls, types, udp  # noqa: E402, F401

from eryx_guest import bindings, fastpaths, heap, warmup  # noqa: E402

bindings.install()
fastpaths.install()
heap.gather(warmup.run)

# Programs write to what runs them: it lies where they do.
from eryx_guest import runner  # noqa: E402
from eryx_guest.factory_preload import preload  # noqa: E402


class WitWorld(wit_world.WitWorld):
    """The exports of the world `eryx:sandbox/sandbox`."""

    def execute(self, source: bytes) -> wit_world.Outcome:
        """See the WIT."""
        return runner.execute(source)

    def preload(self, paths: list[str], imports: list[str], setup: bytes | None) -> None:
        """See the WIT."""
        preload(paths, imports, setup)


runner.prepare(WitWorld())
