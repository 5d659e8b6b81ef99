"""A session of an agent: runs programs and describes how they end, in words for a model.

    cargo xtask wheel --release  # Builds eryx. The package of this name on PyPI is another project.
    pip install ../../target/wheels/eryx-*.whl --requirement ../requirements.txt

The tools for LangChain and for the OpenAI Agents SDK use it.
"""

import eryx

# An agent pays for every word of an answer.
MAX_CHARACTERS = 20_000


class PythonSession:
    """An interpreter that keeps its variables from one program to the next. If a program exceeds a
    limit, a new one takes its place."""

    def __init__(self, sandbox: eryx.Sandbox) -> None:
        self.sandbox = sandbox
        self.session: eryx.Session | None = None

    async def run(self, code: str) -> str:
        """Run a program, and return what it printed and how it ended."""
        if self.session is None:
            self.session = self.sandbox.session()
        try:
            result = await self.session.aexecute(code)
            text = result.stdout + result.stderr or "(no output)"
        except eryx.ExecutionError as error:
            text = f"{error.stdout}{error.stderr}{error.traceback or error}"
        except (eryx.TimeoutError, eryx.ResourceLimitError, eryx.SessionClosedError) as error:
            self.session = None
            text = f"{getattr(error, 'stdout', '')}{error}\nAll variables and files are lost."
        if len(text) > MAX_CHARACTERS:
            half = MAX_CHARACTERS // 2
            text = f"{text[:half]}\n[... shortened; print less ...]\n{text[-half:]}"
        return text
