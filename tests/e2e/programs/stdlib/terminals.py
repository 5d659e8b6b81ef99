"""Terminals, screens and logs: what a program can import and set up without one."""

import cmd
import code
import contextlib
import curses
import curses.ascii
import curses.panel
import curses.textpad
import errno
import io
import os
import pdb
import readline
import rlcompleter
import sys
import syslog
import termios
import tty

for function, arguments in (
    (termios.tcgetattr, (0,)),
    (termios.tcsetattr, (sys.stdout, termios.TCSANOW, [])),
    (tty.setraw, (0,)),
):
    try:
        function(*arguments)
    except termios.error as error:
        assert error.args[0] == errno.ENOTTY
    else:
        raise AssertionError(function)
try:
    os.get_terminal_size()
except OSError as error:
    assert error.errno == errno.ENOTTY
for function in (curses.initscr, lambda: curses.wrapper(print)):
    try:
        function()
    except curses.error as error:
        assert "no terminal" in str(error)
    else:
        raise AssertionError(function)
assert (curses.KEY_UP, curses.KEY_F1, curses.A_BOLD) == (259, 265, 1 << 21)
assert curses.ascii.isalpha("a")

readline.add_history("first")
readline.set_completer(rlcompleter.Completer({"value": 1}).complete)
assert readline.get_completer()("val", 0) == "value"
assert readline.get_history_item(1) == "first"
readline.write_history_file("history")
readline.clear_history()
readline.read_history_file("history")
assert readline.get_current_history_length() == 1

error_output = io.StringIO()
with contextlib.redirect_stderr(error_output):
    syslog.openlog("program", syslog.LOG_PID)
    syslog.syslog(syslog.LOG_ERR, "failed")
    syslog.setlogmask(syslog.LOG_UPTO(syslog.LOG_ERR))
    syslog.syslog(syslog.LOG_DEBUG, "hidden")
assert error_output.getvalue() == f"program[{os.getpid()}]: failed\n"
assert cmd.Cmd and code.InteractiveConsole and pdb.Pdb
assert curses.panel.error and curses.textpad.Textbox

for name in ("tkinter", "turtle", "idlelib", "venv", "ensurepip", "_interpreters"):
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        assert error.name == name
        assert f"{name}': a sandbox" in str(error), error
    else:
        raise AssertionError(name)
print("ok")
