"""The command ``eryx`` of the package, and its interactive mode on a terminal."""

from __future__ import annotations

import os
import pathlib
import pty
import select
import stat
import subprocess
import sys
import sysconfig

import pytest

import eryx

COMMAND = [sys.executable, "-m", "eryx"]

# Ends a test that hangs.
HANG = 60


def command(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], input=text, capture_output=True, text=True, timeout=HANG
    )


def test_command_runs_scripts_and_returns_their_status(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import sys; print(sys.platform); sys.exit(3)")
    for arguments, text in [
        (["run", str(script)], ""),
        (["run", "-"], script.read_text()),
        (["run", "-c", script.read_text()], ""),
    ]:
        completed = command(*arguments, text=text)
        assert (completed.returncode, completed.stdout) == (3, "wasi\n"), completed.stderr
    assert command("--version").stdout == f"eryx {eryx.__version__}\n"
    assert "mcp" in command("--help").stdout


def test_command_is_installed_beside_the_interpreter():
    installed = pathlib.Path(sysconfig.get_path("scripts")) / "eryx"
    completed = subprocess.run(
        [installed, "run", "-c", "print(6 * 7)"], capture_output=True, text=True, timeout=HANG
    )
    assert (completed.returncode, completed.stdout) == (0, "42\n"), completed.stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "there is no script"),
        (["-c", "1", "script.py"], "cannot be used with"),
        (["-i", "-"], "reads its inputs from standard input"),
        (["-i", "--net", "--har", "a.har"], "--har has no effect in interactive mode"),
        (["--dependencies", "-c", "1"], "--package"),
        (["--package", "/absent", "-c", "1"], "/absent"),
        (["--factory", "/absent", "-c", "1"], "/absent"),
    ],
)
def test_wrong_options_are_refused(arguments, part):
    completed = command("run", *arguments)
    assert completed.returncode == 2
    assert part in completed.stderr


class Terminal:
    """A command on a pseudo-terminal."""

    def __init__(self, *arguments: str, state: pathlib.Path) -> None:
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            environment = {**os.environ, "XDG_STATE_HOME": str(state), "TERM": "xterm"}
            os.execve(COMMAND[0], [*COMMAND, *arguments], environment)
        self.output = ""

    def write(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def expect(self, text: str) -> str:
        """Wait until the command has printed `text`, and return what it printed before."""
        while text not in self.output:
            ready, _, _ = select.select([self.terminal], [], [], HANG)
            assert ready, f"{text!r} is not in {self.output!r}"
            self.output += os.read(self.terminal, 1 << 16).decode()
        before, self.output = self.output.split(text, 1)
        return before

    def enter(self, line: str) -> None:
        """Wait for a prompt and enter a line, as a user does. What is typed is printed, too."""
        self.expect(">>> ")
        self.write(line + "\r")
        self.expect("\r\n")

    def end(self) -> int:
        """Wait for the end of the command, and return its exit status."""
        try:
            while os.read(self.terminal, 1 << 16):
                pass
        except OSError:
            # The command has closed the terminal.
            pass
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])


@pytest.fixture
def terminal(tmp_path) -> Terminal:
    return Terminal("run", state=tmp_path)


def test_interactive_mode_keeps_variables_and_prints_values(terminal):
    terminal.enter("x = 20")
    terminal.enter("x + 22")
    terminal.expect("42\r\n")
    terminal.enter("'a' 'b'")
    terminal.expect("'ab'\r\n")
    terminal.enter("for n in range(2):")
    terminal.expect("... ")
    terminal.write("    print('line', n)\r")
    terminal.expect("... ")
    terminal.write("\r")
    terminal.expect("line 0\r\nline 1\r\n")
    terminal.enter("1 / 0")
    traceback = terminal.expect("ZeroDivisionError: division by zero")
    assert traceback.count("File ") == 1
    terminal.enter("x +")
    terminal.expect("SyntaxError")
    terminal.enter("import asyncio; await asyncio.sleep(0, 'waited')")
    terminal.expect("'waited'\r\n")
    terminal.enter("await asyncio.sleep(0, 1 / 0)")
    terminal.expect("ZeroDivisionError: division by zero")
    terminal.enter("raise SystemExit(7)")
    assert terminal.end() == 7


def test_ctrl_c_ends_the_program_and_not_interactive_mode(terminal):
    terminal.enter("x = 1")
    terminal.enter("exec(\"print('beg' + 'un')\\nwhile True: pass\")")
    terminal.expect("begun")
    terminal.write("\x03")
    terminal.expect("cancelled")
    terminal.enter("'x' in globals()")
    terminal.expect("False\r\n")
    # At the prompt it discards the input.
    terminal.expect(">>> ")
    terminal.write("1 +\x03")
    terminal.enter("6 * 7")
    terminal.expect("42\r\n")
    terminal.expect(">>> ")
    terminal.write("\x04")
    assert terminal.end() == 0


def test_the_end_of_interactive_mode_is_that_of_a_process(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    terminal = Terminal("run", "-i", "--mount", f"{folder}:/folder:rw", state=tmp_path)
    terminal.enter("import atexit; handler = atexit.register(print, 'good' + 'bye')")
    terminal.enter("file = open('/folder/a', 'w'); written = file.write('kept')")
    terminal.expect(">>> ")
    terminal.write("\x04")
    terminal.expect("goodbye\r\n")
    assert terminal.end() == 0
    assert (folder / "a").read_text() == "kept"


def test_interactive_mode_has_a_history_that_only_the_user_can_read(terminal, tmp_path):
    terminal.enter("20 + 22")
    terminal.expect("42\r\n")
    terminal.expect(">>> ")
    # The key Up.
    terminal.write("\x1b[A\r")
    terminal.expect("42\r\n")
    terminal.expect(">>> ")
    terminal.write("\x04")
    assert terminal.end() == 0
    history = tmp_path / "eryx/history"
    assert "20 + 22" in history.read_text()
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    later = Terminal("run", "-i", state=tmp_path)
    later.expect(">>> ")
    later.write("\x1b[A\r")
    later.expect("42\r\n")
    later.expect(">>> ")
    later.write("\x04")
    assert later.end() == 0


def test_interactive_mode_follows_a_script(tmp_path):
    terminal = Terminal("run", "-i", "-c", "x = 6", state=tmp_path)
    terminal.enter("x * 7")
    terminal.expect("42\r\n")
    terminal.expect(">>> ")
    terminal.write("\x04")
    assert terminal.end() == 0


def test_script_has_arguments_and_standard_input(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nprint(sys.argv)\nfor line in sys.stdin: print(line.upper(), end='')"
    )
    completed = command("run", str(script), "--", "-x", "--net", "é", text="one\ntwo\n")
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout == f"{[str(script), '-x', '--net', 'é']}\nONE\nTWO\n"
    completed = command("run", "-c", "import sys; print(sys.argv, input())", "--", "a", text="in")
    assert completed.stdout == "['-c', 'a'] in\n"
    # Its source was on standard input.
    completed = command("run", "-", text="import sys; print(sys.argv, sys.stdin.read())")
    assert completed.stdout == "['-'] \n"


def test_output_appears_before_the_end_of_standard_input(tmp_path):
    program = "print(input('ready '))"
    with subprocess.Popen(
        [*COMMAND, "run", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.read(6) == "ready "
        process.stdin.write("answer\n")
        process.stdin.flush()
        # The program ends although its standard input stays open.
        assert process.stdout.read() == "answer\n"
        assert process.wait(HANG) == 0
