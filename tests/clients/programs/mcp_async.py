import asyncio
import socket

import uvicorn
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.server.fastmcp import FastMCP
from mcp.shared.memory import create_connected_server_and_client_session
from pydantic import BaseModel

server = FastMCP("orders")


class Order(BaseModel):
    product: str
    count: int


@server.tool()
def total(orders: list[Order], price: float = 1.5) -> float:
    """Add the prices."""
    return price * sum(order.count for order in orders)


@server.resource("orders://{name}")
async def order(name: str) -> str:
    return f"an order of {name}"


async def use(session):
    [tool] = (await session.list_tools()).tools
    assert tool.name == "total" and "Order" in tool.inputSchema["$defs"], tool
    orders = [{"product": "tea", "count": 2}, {"product": "salt", "count": 1}]
    result = await session.call_tool("total", {"orders": orders})
    assert result.structuredContent == {"result": 4.5}, result
    wrong = await session.call_tool("total", {"orders": [{"product": "tea"}]})
    assert wrong.isError and "Field required" in wrong.content[0].text, wrong
    [content] = (await session.read_resource("orders://ada")).contents
    assert content.text == "an order of ada", content


async def main():
    async with create_connected_server_and_client_session(server._mcp_server) as session:
        await use(session)
    # Over HTTP, on the loopback interface of the sandbox.
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
    config = uvicorn.Config(server.streamable_http_app(), log_level="warning")
    web = uvicorn.Server(config)
    serving = asyncio.create_task(web.serve(sockets=[listener]))
    async with (
        streamable_http_client(url) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        await use(session)
    web.should_exit = True
    await serving


asyncio.run(main())
