"""Settings of the tests of ``eryx mcp`` and of ``examples/agents``."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of tests that are coroutines."""
    return "asyncio"
