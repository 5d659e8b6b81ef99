"""The programs of ``examples/agents``, with models that follow a script."""

from __future__ import annotations

import json
import pathlib
import sys

import agents
import eryx
import pytest
from agents.items import ModelResponse
from agents.models.interface import Model as AgentsModel
from langchain_core.messages import AIMessage
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)
from smolagents import CodeAgent, tool
from smolagents.models import ChatMessage, MessageRole, Model

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "examples/agents"))

import langchain_tool
import openai_agents_tool
from smolagents_executor import EryxExecutor

pytestmark = pytest.mark.anyio

LIMITS = eryx.ResourceLimits(execution_timeout_ms=1000)

# What a model writes, and a part of what it gets.
CONVERSATION = [
    ("x = 6", "(no output)"),
    ("print(x * 7)", "42\n"),
    ("1 / 0", "ZeroDivisionError: division by zero"),
    ("print('begun')\nwhile True: pass", "All variables and files are lost."),
    ("print('x' in globals())", "False\n"),
    ("print('y' * 10**6)", "[... shortened; print less ...]"),
]


async def test_the_langchain_tool_answers_the_calls_of_a_model():
    run_python = langchain_tool.python_tool(eryx.Sandbox(resource_limits=LIMITS))
    assert "code" in run_python.args
    for number, (code, part) in enumerate(CONVERSATION):
        call = {"name": "run_python", "args": {"code": code}, "id": str(number)}
        message = AIMessage("", tool_calls=[call])
        answer = await run_python.ainvoke(message.tool_calls[0])
        assert part in answer.content
        assert len(answer.content) < 30_000


class ScriptedAgentsModel(AgentsModel):
    """Writes the programs of the conversation, and collects the answers."""

    def __init__(self) -> None:
        self.turns = 0
        self.answers: list[str] = []

    async def get_response(self, system_instructions, input, *arguments, **keywords):
        if self.turns:
            self.answers.append(input[-1]["output"])
        if self.turns == len(CONVERSATION):
            text = ResponseOutputText(annotations=[], text="done", type="output_text")
            item = ResponseOutputMessage(
                id="end", content=[text], role="assistant", status="completed", type="message"
            )
        else:
            arguments = json.dumps({"code": CONVERSATION[self.turns][0]})
            item = ResponseFunctionToolCall(
                arguments=arguments,
                call_id=str(self.turns),
                name="run_python",
                type="function_call",
            )
        self.turns += 1
        return ModelResponse(output=[item], usage=agents.Usage(), response_id=None)

    def stream_response(self, *arguments, **keywords):
        raise NotImplementedError


async def test_the_tool_for_the_openai_agents_sdk_answers_the_calls_of_a_model():
    agents.set_tracing_disabled(True)
    model = ScriptedAgentsModel()
    run_python = openai_agents_tool.python_tool(eryx.Sandbox(resource_limits=LIMITS))
    agent = agents.Agent(name="Analyst", model=model, tools=[run_python])
    result = await agents.Runner.run(agent, "Begin.", max_turns=20)
    assert result.final_output == "done"
    assert len(model.answers) == len(CONVERSATION)
    for answer, (_, part) in zip(model.answers, CONVERSATION, strict=True):
        assert part in answer


class ScriptedModel(Model):
    """Writes programs for smolagents, and keeps what it was sent last."""

    def __init__(self, programs: list[str]) -> None:
        super().__init__()
        self.programs = iter(programs)
        self.seen: list[str] = []

    def generate(self, messages, **arguments):
        self.seen.append(str(messages[-1].content))
        code = f"Thought: next\n<code>\n{next(self.programs)}\n</code>"
        return ChatMessage(role=MessageRole.ASSISTANT, content=code)


@tool
def double(number: int) -> int:
    """Double a number.

    Args:
        number: The number.
    """
    return 2 * number


def test_a_code_agent_runs_its_code_and_its_tools_in_the_sandbox():
    model = ScriptedModel(
        [
            "x = double(21)\nimport sys\nprint(sys.platform)",
            "print('begun')\nwhile True: pass",
            "print('x' in globals())",
            "x = double(21)",
            "1 / 0",
            "final_answer({'x': x})",
        ]
    )
    executor = EryxExecutor(eryx.Sandbox(resource_limits=LIMITS))
    agent = CodeAgent(
        tools=[double], model=model, executor=executor, max_steps=10, verbosity_level=0
    )
    assert agent.run("Begin.") == {"x": 42}
    # The next run has the variables of this one.
    model.programs = iter(["final_answer(x + 1)"])
    assert agent.run("Go on.", reset=False) == 43
    assert "wasi" in model.seen[1]
    assert "begun" in model.seen[2]
    assert "All variables and files are lost." in model.seen[2]
    assert "False" in model.seen[3]
    assert "ZeroDivisionError" in model.seen[5]
