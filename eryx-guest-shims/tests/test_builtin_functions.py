"""Functions that stand for CPython's built-in functions."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "fake_host"))


def test_functions_of_modules_are_no_methods_and_can_be_copied(guest):
    guest("""
        import copy, io, os, pickle, select, socket

        class Names:
            pipe = os.pipe
            close = os.close
            dup = os.dup
            htons = socket.htons
            inet_pton = socket.inet_pton
            close_socket = socket.close
            opened = open

        names = Names()
        ends = names.pipe()
        copied = names.dup(ends[0])
        for end in (*ends, copied):
            names.close(end)
        assert names.htons(1) == 256
        assert names.inet_pton(socket.AF_INET, "1.2.3.4") == bytes((1, 2, 3, 4))
        with names.opened(os.devnull) as file:
            assert file.read() == ""
        for function in (os.close, os.dup, os.pipe, open, io.open, select.select, select.poll):
            assert copy.deepcopy([function])[0] is copy.copy(function) is function
            assert pickle.loads(pickle.dumps(function)) is function, function
    """)


def test_static_methods_of_programs_are_neither_copied_nor_pickled():
    from eryx_net.builtin_functions import built_in

    function = staticmethod(len)
    for operation in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot pickle 'staticmethod' object"):
            operation(function)
    assert built_in(len)("ab") == 2


def test_a_function_looks_like_a_built_in_one():
    from eryx_net.builtin_functions import built_in

    function = built_in(eval("lambda first, /, second=1: first"))
    function.__module__, function.__name__, function.__qualname__ = "posix", "close", "close"
    assert repr(function) == "<built-in function close>"
    assert repr(type(function)) == "<class 'builtin_function_or_method'>"
    assert str(inspect.signature(function)) == "(first, /, second=1)"
    assert inspect.isroutine(function)
    assert function.__self__ is sys.modules["posix"]

    class Names:
        close = function

    assert Names.close is Names().close is function


def test_a_sleep_of_a_class_is_no_method(monkeypatch):
    from eryx_guest import clocks

    slept = []
    monkeypatch.setattr(clocks, "_sleep", slept.append)

    class Names:
        sleep = clocks.sleep

    Names().sleep(1)
    Names.sleep(2)
    clocks.sleep(3)
    assert slept == [1, 2, 3]
    for arguments in ((1, 2), (Names(), 1, 2)):
        with pytest.raises(TypeError):
            clocks.sleep(*arguments)


def test_a_tls_context_cannot_be_copied(guest):
    guest("""
        import copy, pickle, ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for copied in (copy.copy, copy.deepcopy, pickle.dumps):
            try:
                copied(context)
            except TypeError as error:
                assert str(error) == "cannot pickle 'SSLContext' object", error
            else:
                raise AssertionError(copied)
    """)


def test_a_range_of_descriptors_is_closed_with_sockets_and_pipes(guest):
    guest("""
        import os, socket
        from eryx_net.descriptors import FIRST

        near, far = socket.socketpair()
        reader, writer = os.pipe()
        os.closerange(FIRST, 1 << 30)
        for fd in (near.detach(), far.detach(), reader, writer):
            try:
                os.fstat(fd)
            except OSError:
                continue
            raise AssertionError(fd)
    """)
