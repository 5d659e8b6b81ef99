import asyncio

from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import PromptTemplate

TEXT = "The answer is 42."


class Tokens(AsyncCallbackHandler):
    def __init__(self):
        self.tokens = []

    async def on_llm_new_token(self, token, **kwargs):
        self.tokens.append(token)


async def main():
    model = GenericFakeChatModel(messages=iter([AIMessage(TEXT)] * 8))
    chain = PromptTemplate.from_template("{question}?") | model | StrOutputParser()
    question = {"question": "Why"}
    assert await chain.ainvoke(question) == TEXT
    handler = Tokens()
    config = {"callbacks": [handler]}
    words = [word async for word in chain.astream(question, config)]
    assert "".join(words) == "".join(handler.tokens) == TEXT and len(words) == 7, words
    assert await chain.abatch([question] * 3) == [TEXT] * 3
    events = [event["event"] async for event in chain.astream_events(question, version="v2")]
    assert events[0] == "on_chain_start" and events[-1] == "on_chain_end", events
    assert events.count("on_chat_model_stream") == 7, events


asyncio.run(main())
