"""The configurations of clients in the documentation."""

from __future__ import annotations

import json
import pathlib
import re

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from server import ERYX, run

pytestmark = pytest.mark.anyio

ROOT = pathlib.Path(__file__).parents[2]
PAGES = ["README.md", "docs/mcp.md", "eryx-python/README.md"]


@pytest.mark.parametrize("page", PAGES)
async def test_the_entry_of_a_page_starts_a_server(page):
    blocks = re.findall(
        r"^```json\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL
    )
    assert blocks
    for block in blocks:
        (entry,) = json.loads(block)["mcpServers"].values()
        assert entry["command"] == "eryx"
        parameters = StdioServerParameters(command=ERYX, args=entry["args"])
        async with Client(parameters) as client:
            assert await run(client, "print(6 * 7)") == ["42\n"]
