import asyncio
import os

import anthropic

URL = f"{'https' if TLS else 'http'}://{HOST}:{PORT}"
TEXT = "The answer is 42."
MESSAGES = [{"role": "user", "content": "What is the answer?"}]
REQUEST = {"model": "m", "max_tokens": 10, "messages": MESSAGES}
assert os.environ["ANTHROPIC_API_KEY"].startswith("eryx-")


async def main():
    async with anthropic.AsyncAnthropic(base_url=URL, max_retries=0) as client:
        messages = await asyncio.gather(*(client.messages.create(**REQUEST) for _ in range(5)))
        assert [each.content[0].text for each in messages] == [TEXT] * 5
        async with client.messages.stream(**REQUEST) as stream:
            words = [word async for word in stream.text_stream]
            final = await stream.get_final_message()
        assert len(words) == 4 and "".join(words) == TEXT, words
        assert final.stop_reason == "end_turn", final


asyncio.run(main())
