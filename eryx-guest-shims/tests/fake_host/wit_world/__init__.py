"""The package of the generated bindings. It imports asyncio, like the generated one."""

import asyncio  # noqa: F401
