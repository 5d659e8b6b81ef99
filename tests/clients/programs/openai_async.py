import asyncio
import os

import openai

URL = f"{'https' if TLS else 'http'}://{HOST}:{PORT}/v1"
MESSAGES = [{"role": "user", "content": "What is the answer?"}]
TEXT = "The answer is 42."
assert os.environ["OPENAI_API_KEY"].startswith("eryx-")


async def main():
    async with openai.AsyncOpenAI(base_url=URL, max_retries=0) as client:
        create = client.chat.completions.create
        completions = await asyncio.gather(
            *(create(model="m", messages=MESSAGES) for _ in range(5))
        )
        assert [each.choices[0].message.content for each in completions] == [TEXT] * 5
        words = []
        async for chunk in await create(model="m", messages=MESSAGES, stream=True):
            words.append(chunk.choices[0].delta.content or "")
        assert len(words) == 6 and "".join(words) == TEXT, words


asyncio.run(main())
