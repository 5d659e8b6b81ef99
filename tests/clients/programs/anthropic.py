import os

import anthropic

URL = f"{'https' if TLS else 'http'}://{HOST}:{PORT}"
TEXT = "The answer is 42."
MESSAGES = [{"role": "user", "content": "What is the answer?"}]
REQUEST = {"model": "m", "max_tokens": 10, "messages": MESSAGES}
assert os.environ["ANTHROPIC_API_KEY"].startswith("eryx-")
client = anthropic.Anthropic(base_url=URL, max_retries=0)
message = client.messages.create(**REQUEST)
assert message.content[0].text == TEXT and message.usage.output_tokens == 4
with client.messages.stream(**REQUEST) as stream:
    words = list(stream.text_stream)
assert len(words) == 4 and "".join(words) == TEXT, words
