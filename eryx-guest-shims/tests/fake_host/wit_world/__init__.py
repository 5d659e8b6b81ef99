"""The world as the generated bindings present it. They import asyncio here, so this does too."""

import asyncio  # noqa: F401
