"""Screens of terminals, which a sandbox lacks: every function raises `error`."""

from typing import Any, NoReturn


class error(Exception):
    """curses.error: a sandbox has no terminal."""


error.__module__ = "_curses"

version = __version__ = b"2.2"
ERR, OK = -1, 0
_C_API = None

A_NORMAL = 0
A_CHARTEXT, A_COLOR, A_ATTRIBUTES = 0xFF, 0xFF00, 0xFFFFFF00
A_STANDOUT, A_UNDERLINE, A_REVERSE, A_BLINK = 1 << 16, 1 << 17, 1 << 18, 1 << 19
A_DIM, A_BOLD, A_ALTCHARSET, A_INVIS = 1 << 20, 1 << 21, 1 << 22, 1 << 23
A_PROTECT, A_HORIZONTAL, A_LEFT, A_LOW = 1 << 24, 1 << 25, 1 << 26, 1 << 27
A_RIGHT, A_TOP, A_VERTICAL, A_ITALIC = 1 << 28, 1 << 29, 1 << 30, 1 << 31
COLOR_BLACK, COLOR_RED, COLOR_GREEN, COLOR_YELLOW = 0, 1, 2, 3
COLOR_BLUE, COLOR_MAGENTA, COLOR_CYAN, COLOR_WHITE = 4, 5, 6, 7
ALL_MOUSE_EVENTS, REPORT_MOUSE_POSITION = 0x7FFFFFF, 0x8000000
BUTTON_SHIFT, BUTTON_CTRL, BUTTON_ALT = 0x2000000, 0x1000000, 0x4000000
for _number in range(1, 6):
    for _bit, _event in enumerate(
        ("RELEASED", "PRESSED", "CLICKED", "DOUBLE_CLICKED", "TRIPLE_CLICKED")
    ):
        globals()[f"BUTTON{_number}_{_event}"] = 1 << (5 * (_number - 1) + _bit)

# The numbers of ncurses, from KEY_BREAK on.
_KEYS = (
    "BREAK DOWN UP LEFT RIGHT HOME BACKSPACE F0",
    "DL IL DC IC EIC CLEAR EOS EOL SF SR NPAGE PPAGE STAB CTAB CATAB ENTER SRESET RESET PRINT LL "
    "A1 A3 B2 C1 C3 BTAB BEG CANCEL CLOSE COMMAND COPY CREATE END EXIT FIND HELP MARK MESSAGE MOVE "
    "NEXT OPEN OPTIONS PREVIOUS REDO REFERENCE REFRESH REPLACE RESTART RESUME SAVE SBEG SCANCEL "
    "SCOMMAND SCOPY SCREATE SDC SDL SELECT SEND SEOL SEXIT SFIND SHELP SHOME SIC SLEFT SMESSAGE "
    "SMOVE SNEXT SOPTIONS SPREVIOUS SPRINT SREDO SREPLACE SRIGHT SRSUME SSAVE SSUSPEND SUNDO "
    "SUSPEND UNDO MOUSE RESIZE",
)
KEY_MIN, KEY_MAX = 0o401, 0o777
for _first, _names in zip((0o401, 0o510), _KEYS, strict=True):
    for _offset, _name in enumerate(_names.split()):
        globals()[f"KEY_{_name}"] = _first + _offset
for _number in range(64):
    globals()[f"KEY_F{_number}"] = 0o410 + _number

_FUNCTIONS = (
    "baudrate beep can_change_color cbreak color_content color_pair curs_set def_prog_mode "
    "def_shell_mode delay_output doupdate echo endwin erasechar filter flash flushinp get_escdelay "
    "get_tabsize getmouse getsyx getwin halfdelay has_colors has_extended_color_support has_ic "
    "has_il has_key init_color init_pair initscr intrflush is_term_resized isendwin keyname "
    "killchar longname meta mouseinterval mousemask napms newpad newwin nl nocbreak noecho nonl "
    "noqiflush noraw pair_content pair_number putp qiflush raw reset_prog_mode reset_shell_mode "
    "resetty resize_term resizeterm savetty set_escdelay set_tabsize setsyx setupterm start_color "
    "termattrs termname tigetflag tigetnum tigetstr tparm typeahead unctrl unget_wch ungetch "
    "ungetmouse update_lines_cols use_default_colors use_env"
).split()


def _refusing(name: str) -> Any:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise error(f"{name}: a sandbox has no terminal; print text instead")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = "Raises error: a sandbox has no terminal."
    return refuse


for _name in _FUNCTIONS:
    globals()[_name] = _refusing(_name)


class window:
    """A window of a screen. Programs only name the class, as none can be made."""

    def __new__(cls, *args: Any) -> "window":
        raise TypeError("cannot create '_curses.window' instances")


window.__module__ = "_curses"
