"""The functions of `_eryx_threads` that a program without threads needs."""

from _thread import get_ident as get_ident
