"""The command ``eryx``: ``eryx run``, ``eryx mcp``, ``eryx policy``; also ``python -m eryx``."""

import signal
import sys

from . import _eryx


def main() -> int:
    """Run the command with the arguments of this process, and return its exit status."""
    # The command has its own handler, which ends the program of the sandbox. Python's would run
    # only after the command has returned.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _eryx._main(["eryx", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
