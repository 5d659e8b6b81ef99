"""An executor for smolagents: a CodeAgent runs its code in a sandbox.

    agent = CodeAgent(tools=[...], model=model, executor=EryxExecutor(eryx.Sandbox()))

The source of the tools is sent to the sandbox, where they run under its network policy, with the
standard library and the packages of the sandbox's factory.
"""

import json
from typing import Any

import eryx
from smolagents.local_python_executor import CodeOutput, PythonExecutor
from smolagents.monitoring import AgentLogger
from smolagents.tools import Tool, get_tools_definition_code
from smolagents.utils import AgentError

# Defines `final_answer` in the sandbox. It ends the code with the answer as the message of an
# exception, which Eryx cuts after 16 KiB.
FINAL_ANSWER = """
class FinalAnswer(BaseException):
    pass

def final_answer(answer):
    import json
    text = json.dumps(answer)
    if len(text) > 16000:
        raise ValueError(f"the answer has {len(text)} characters of JSON; 16000 are allowed")
    raise FinalAnswer(text)
"""


class EryxExecutor(PythonExecutor):
    """Runs the code of one agent in an interpreter that keeps its variables. If code exceeds a
    limit, a new interpreter takes its place."""

    def __init__(self, sandbox: eryx.Sandbox, logger: AgentLogger | None = None) -> None:
        self.sandbox = sandbox
        self.logger = logger or AgentLogger()
        self.session: eryx.Session | None = None
        self.tools = FINAL_ANSWER
        self.variables: dict[str, Any] = {}

    def send_tools(self, tools: dict[str, Tool]) -> None:
        """Define the tools of the agent in the sandbox."""
        others = {name: tool for name, tool in tools.items() if name != "final_answer"}
        self.tools = get_tools_definition_code(others) + FINAL_ANSWER
        self.session_with_tools().execute(self.tools)

    def send_variables(self, variables: dict[str, Any]) -> None:
        """Set variables, whose values are those of JSON, in the sandbox."""
        self.variables |= variables
        self.session_with_tools().execute(self.assignments())

    def assignments(self) -> str:
        return f"import json; globals().update(json.loads({json.dumps(self.variables)!r}))"

    def session_with_tools(self) -> eryx.Session:
        """Return the interpreter, or a new one with the tools and variables."""
        if self.session is None:
            self.session = self.sandbox.session()
            self.session.execute(f"{self.tools}\n{self.assignments()}")
        return self.session

    def __call__(self, code_action: str) -> CodeOutput:
        """Run code of the agent."""
        try:
            result = self.session_with_tools().execute(code_action)
        except eryx.ExecutionError as error:
            # Untrusted text: parsed as JSON, and nothing else.
            if error.exception_type == "FinalAnswer":
                answer = json.loads(error.message)
                return CodeOutput(output=answer, logs=error.stdout, is_final_answer=True)
            raise AgentError(f"{error.stdout}{error.traceback or error}", self.logger) from error
        except (eryx.TimeoutError, eryx.ResourceLimitError, eryx.SessionClosedError) as error:
            self.session = None
            message = f"{getattr(error, 'stdout', '')}{error}\nAll variables and files are lost."
            raise AgentError(message, self.logger) from error
        return CodeOutput(output=None, logs=result.stdout, is_final_answer=False)

    def cleanup(self) -> None:
        """End the interpreter. The next code starts a new one."""
        if self.session is not None:
            self.session.close()
            self.session = None
