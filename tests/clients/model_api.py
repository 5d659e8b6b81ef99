"""A server that answers as the APIs of OpenAI and Anthropic do, with a text for each request."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from server_dir import Ports, ServerDir, listen

KEYS = {
    "OPENAI_API_KEY": "sk-openai-of-the-embedder",
    "ANTHROPIC_API_KEY": "sk-ant-of-the-embedder",
}
WORDS = ["The ", "answer ", "is ", "42."]

Request = tuple[str, dict[str, str], Any]


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Return the path, the header fields and the JSON of a request, or None at the end."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    line, *fields = head.strip().split("\r\n")
    headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return line.split()[1], headers, json.loads(body)


def openai_answer(request: Any) -> Any:
    """Return a completion, or its events if the request asks for a stream."""
    base = {"id": "c1", "created": 1, "model": request["model"]}
    if not request.get("stream"):
        message = {"role": "assistant", "content": "".join(WORDS)}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        return base | {"object": "chat.completion", "choices": [choice], "usage": usage}
    events = [
        base | {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]}
        for delta in [{"role": "assistant"}, *({"content": word} for word in WORDS), {}]
    ]
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


def anthropic_answer(request: Any) -> Any:
    """Return a message, or its events if the request asks for a stream."""
    usage = {"input_tokens": 3, "output_tokens": 4}
    message = {"id": "m1", "type": "message", "role": "assistant", "model": request["model"]}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": usage}
    if not request.get("stream"):
        content = [{"type": "text", "text": "".join(WORDS)}]
        return message | {"content": content, "stop_reason": "end_turn"}
    start = {"type": "content_block_start", "index": 0}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message | {"content": []}},
        start | {"content_block": {"type": "text", "text": ""}},
    ]
    for word in WORDS:
        delta = {"type": "text_delta", "text": word}
        events.append({"type": "content_block_delta", "index": 0, "delta": delta})
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    events += [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": usage},
        {"type": "message_stop"},
    ]
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


def answer(path: str, headers: dict[str, str], request: Any) -> tuple[str, Any]:
    """Return the status line and the answer to a request."""
    keys = {"/v1/chat/completions": "OPENAI_API_KEY", "/v1/messages": "ANTHROPIC_API_KEY"}
    if path not in keys:
        return "404 Not Found", {"error": {"message": f"there is no {path}"}}
    if headers.get("authorization") != f"Bearer {KEYS[keys[path]]}":
        return "401 Unauthorized", {"error": {"type": "auth", "message": "this is not the key"}}
    return "200 OK", (openai_answer if "completions" in path else anthropic_answer)(request)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of a connection. Each event of a stream is a chunk of its own."""
    with contextlib.suppress(OSError):
        while request := await read_request(reader):
            status, content = answer(*request)
            if isinstance(content, str):
                head = "content-type: text/event-stream\r\ntransfer-encoding: chunked"
                parts = [event + "\n\n" for event in content.split("\n\n")[:-1]]
                chunks = [f"{len(part):x}\r\n{part}\r\n" for part in parts] + ["0\r\n\r\n"]
            else:
                chunks = [json.dumps(content)]
                head = f"content-type: application/json\r\ncontent-length: {len(chunks[0])}"
            writer.write(f"HTTP/1.1 {status}\r\n{head}\r\n\r\n".encode())
            for chunk in chunks:
                writer.write(chunk.encode())
                await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def model_api(server_dir: ServerDir) -> AsyncIterator[Ports]:
    """Run the server, without and with TLS."""
    async with listen(serve) as plain, listen(serve, server_dir.tls_context()) as tls:
        yield plain, tls
