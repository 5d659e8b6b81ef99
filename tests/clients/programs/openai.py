import os

import openai

URL = f"{'https' if TLS else 'http'}://{HOST}:{PORT}/v1"
MESSAGES = [{"role": "user", "content": "What is the answer?"}]
TEXT = "The answer is 42."
assert os.environ["OPENAI_API_KEY"].startswith("eryx-")
client = openai.OpenAI(base_url=URL, max_retries=0)
completion = client.chat.completions.create(model="m", messages=MESSAGES)
assert completion.choices[0].message.content == TEXT and completion.usage.total_tokens == 7
stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
words = [chunk.choices[0].delta.content or "" for chunk in stream]
assert len(words) == 6 and "".join(words) == TEXT, words
try:
    openai.OpenAI(base_url=URL, api_key="wrong", max_retries=0).chat.completions.create(
        model="m", messages=MESSAGES
    )
except openai.AuthenticationError as error:
    assert error.status_code == 401
else:
    raise AssertionError("the server takes any key")
