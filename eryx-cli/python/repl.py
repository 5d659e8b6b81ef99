"""Defines the module `_eryx_repl` in a sandbox: runs inputs as Python's interactive mode does.

This is the first program of a session. Everything is inside a function, so that the names of the
user's inputs are the only ones in `__main__`.
"""


def _define():
    import ast
    import code
    import inspect
    import linecache
    import sys
    import types

    module = types.ModuleType("_eryx_repl")
    # The host knows these exceptions by the names of their types.
    namespace = {"__module__": module.__name__}
    # The input needs more lines.
    module.Incomplete = type("Incomplete", (Exception,), namespace)
    # The input uses `await`: the host awaits `wait()`.
    module.Awaits = type("Awaits", (Exception,), namespace)

    class Interpreter(code.InteractiveInterpreter):
        """Keeps an input that uses `await`, in place of running it."""

        awaiting = None
        inputs = 0

        def runcode(self, program):
            if program.co_flags & inspect.CO_COROUTINE:
                self.awaiting = program
            else:
                super().runcode(program)

    interpreter = Interpreter(sys.modules["__main__"].__dict__)
    interpreter.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

    def feed(source):
        """Runs an input, and prints the values of its expressions or its exception."""
        name = f"<input {interpreter.inputs + 1}>"
        # For the source lines of tracebacks.
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        if interpreter.runsource(source, name):
            raise module.Incomplete
        interpreter.inputs += 1
        if interpreter.awaiting is not None:
            raise module.Awaits

    async def wait():
        """Runs the input that uses `await`."""
        program, interpreter.awaiting = interpreter.awaiting, None
        try:
            await eval(program, interpreter.locals)
        except SystemExit:
            raise
        except BaseException:
            interpreter.showtraceback()

    module.feed = feed
    module.wait = wait
    sys.modules[module.__name__] = module


_define()
del _define
