"""A tool for the OpenAI Agents SDK: the model runs Python in a sandbox, and keeps its variables.

    agent = Agent(name="Analyst", tools=[python_tool(eryx.Sandbox())])
    result = await Runner.run(agent, "What is the 1000th prime?")

Without a network and packages; give them to the sandbox.
"""

import eryx
from agents import FunctionTool, function_tool
from python_session import PythonSession


def python_tool(sandbox: eryx.Sandbox) -> FunctionTool:
    """Return a tool with an interpreter of its own. Make one for each conversation."""
    session = PythonSession(sandbox)

    @function_tool
    async def run_python(code: str) -> str:
        """Run a Python program and return what it prints. Variables, imports and files are kept for
        the next call. Print what you want to see.

        Args:
            code: The source of the program.
        """
        return await session.run(code)

    return run_python
