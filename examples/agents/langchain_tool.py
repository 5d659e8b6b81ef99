"""A tool for LangChain: the model runs Python in a sandbox, and keeps its variables.

    agent = create_agent("openai:gpt-5", tools=[python_tool(eryx.Sandbox())])

Without a network and packages; give them to the sandbox.
"""

import eryx
from langchain_core.tools import BaseTool, tool
from python_session import PythonSession


def python_tool(sandbox: eryx.Sandbox) -> BaseTool:
    """Return a tool with an interpreter of its own. Make one for each conversation."""
    session = PythonSession(sandbox)

    @tool
    async def run_python(code: str) -> str:
        """Run a Python program and return what it prints. Variables, imports and files are kept for
        the next call. Print what you want to see."""
        return await session.run(code)

    return run_python
