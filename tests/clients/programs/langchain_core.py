import json

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import JsonOutputParser, StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough
from langchain_core.tools import tool

TEXT = "The answer is 42."
prompt = ChatPromptTemplate.from_messages([("system", "Be {style}."), ("human", "{question}")])
messages = prompt.invoke({"style": "brief", "question": "Why?"}).to_messages()
assert messages == [SystemMessage("Be brief."), HumanMessage("Why?")]


def model(*answers):
    return GenericFakeChatModel(messages=iter([AIMessage(answer) for answer in answers]))


chain = prompt | model(TEXT, TEXT, TEXT, TEXT) | StrOutputParser()
question = {"style": "brief", "question": "Why?"}
assert chain.invoke(question) == TEXT
words = list(chain.stream(question))
assert len(words) == 7 and "".join(words) == TEXT, words
# In two threads.
assert chain.batch([question, question]) == [TEXT, TEXT]
parsed = (model(json.dumps({"answer": 42})) | JsonOutputParser()).invoke("Why?")
assert parsed == {"answer": 42}


@tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


assert add.invoke({"a": "2", "b": 3}) == 5
assert add.args_schema.model_json_schema()["properties"]["a"]["type"] == "integer"
steps = RunnableParallel(sum=add, given=RunnablePassthrough()) | RunnableLambda(
    lambda found: f"{found['given']} -> {found['sum']}"
)
assert steps.invoke({"a": 1, "b": 2}) == "{'a': 1, 'b': 2} -> 3"
attempts = []


def unreliable(text):
    attempts.append(text)
    if len(attempts) < 3:
        raise ConnectionError
    return text.upper()


retried = RunnableLambda(unreliable).with_retry(
    retry_if_exception_type=(ConnectionError,), wait_exponential_jitter=False
)
assert retried.invoke("done") == "DONE" and len(attempts) == 3
