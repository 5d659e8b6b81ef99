# needs: pydantic-core jiter
import asyncio
import os

import openai

MESSAGES = [{"role": "user", "content": "What is the answer?"}]
TEXT = "The answer is 42."
assert os.environ["OPENAI_API_KEY"].startswith("eryx-")
client = openai.OpenAI(base_url=f"{URL}/v1", max_retries=0)
completion = client.chat.completions.create(model="m", messages=MESSAGES)
assert completion.choices[0].message.content == TEXT and completion.usage.total_tokens == 7
stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
words = [chunk.choices[0].delta.content or "" for chunk in stream]
assert len(words) == 6 and "".join(words) == TEXT, words


async def main():
    async with openai.AsyncOpenAI(base_url=f"{URL}/v1", max_retries=0) as client:
        create = client.chat.completions.create
        completions = await asyncio.gather(
            *(create(model="m", messages=MESSAGES) for _ in range(5))
        )
        assert [each.choices[0].message.content for each in completions] == [TEXT] * 5
        words = []
        async for chunk in await create(model="m", messages=MESSAGES, stream=True):
            words.append(chunk.choices[0].delta.content or "")
        assert "".join(words) == TEXT, words


asyncio.run(main())
try:
    openai.OpenAI(base_url=f"{URL}/v1", api_key="wrong", max_retries=0).chat.completions.create(
        model="m", messages=MESSAGES
    )
except openai.AuthenticationError as error:
    assert error.status_code == 401
else:
    raise AssertionError("the server takes any key")
