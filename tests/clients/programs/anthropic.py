# needs: pydantic-core jiter
import asyncio
import os

import anthropic

MESSAGES = [{"role": "user", "content": "What is the answer?"}]
TEXT = "The answer is 42."
REQUEST = {"model": "m", "max_tokens": 10, "messages": MESSAGES}
assert os.environ["ANTHROPIC_API_KEY"].startswith("eryx-")
client = anthropic.Anthropic(base_url=URL, max_retries=0)
message = client.messages.create(**REQUEST)
assert message.content[0].text == TEXT and message.usage.output_tokens == 4
with client.messages.stream(**REQUEST) as stream:
    words = list(stream.text_stream)
assert len(words) == 4 and "".join(words) == TEXT, words


async def main():
    async with anthropic.AsyncAnthropic(base_url=URL, max_retries=0) as client:
        messages = await asyncio.gather(*(client.messages.create(**REQUEST) for _ in range(5)))
        assert [each.content[0].text for each in messages] == [TEXT] * 5
        async with client.messages.stream(**REQUEST) as stream:
            assert "".join([word async for word in stream.text_stream]) == TEXT
            final = await stream.get_final_message()
        assert final.stop_reason == "end_turn", final


asyncio.run(main())
