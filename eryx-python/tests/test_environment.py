"""Environment variables of programs."""

from __future__ import annotations

import collections
import traceback
import types

import pytest

import eryx

# All variables but HOME, which every program has.
PRINT_ALL = "import os\nhome = os.environ.pop('HOME', None)\nprint(dict(os.environ))"


@pytest.fixture(scope="module")
def factory() -> eryx.SandboxFactory:
    return eryx.SandboxFactory(setup_code="import os\nos.environ['SETUP'] = '1'", cache=False)


@pytest.mark.parametrize(
    "env",
    [
        {"B": "größe\n🐍", "A": ""},
        types.MappingProxyType({"A": "", "B": "größe\n🐍"}),
        collections.ChainMap({"A": ""}, {"A": "0", "B": "größe\n🐍"}),
    ],
)
def test_program_has_the_variables_of_a_mapping(env):
    printed = "{'A': '', 'B': 'größe\\n🐍'}\n"
    sandbox = eryx.Sandbox(env=env)
    assert sandbox.execute(PRINT_ALL).stdout == printed
    assert sandbox.execute(PRINT_ALL).stdout == printed


def test_program_has_no_variables_but_home_without_env(monkeypatch):
    monkeypatch.setenv("ERYX_OF_THE_EMBEDDER", "1")
    for sandbox in (eryx.Sandbox(), eryx.Sandbox(env=None), eryx.Sandbox(env={})):
        assert sandbox.execute(PRINT_ALL + "\nprint(home)").stdout == "{}\n/home/user\n"


def test_sandbox_with_callbacks_has_the_variables():
    pieces: list[str] = []
    sandbox = eryx.Sandbox(env={"A": "1"}, on_stdout=pieces.append)
    sandbox.execute(PRINT_ALL)
    with sandbox.session() as session:
        session.execute(PRINT_ALL)
    assert "".join(pieces) == "{'A': '1'}\n" * 2


def test_variables_do_not_follow_later_changes_of_the_mapping():
    env = {"A": "1"}
    sandbox = eryx.Sandbox(env=env)
    env["A"] = "2"
    assert sandbox.execute(PRINT_ALL).stdout == "{'A': '1'}\n"


def test_session_keeps_what_its_programs_change():
    with eryx.Sandbox(env={"A": "1", "B": "2"}).session() as session:
        session.execute("import os\nos.environ['A'] = 'changed'\ndel os.environ['B']")
        assert session.execute(PRINT_ALL).stdout == "{'A': 'changed'}\n"


def test_factory_gives_each_sandbox_and_session_its_own_variables(factory):
    for value in "12":
        printed = f"{{'SETUP': '1', 'A': '{value}'}}\n"
        assert factory.create_sandbox(env={"A": value}).execute(PRINT_ALL).stdout == printed
        with factory.create_session(env={"A": value}) as session:
            assert session.execute(PRINT_ALL).stdout == printed
    assert factory.create_sandbox(env={"SETUP": "2"}).execute(PRINT_ALL).stdout == (
        "{'SETUP': '2'}\n"
    )
    assert factory.create_sandbox().execute(PRINT_ALL).stdout == "{'SETUP': '1'}\n"


@pytest.mark.parametrize(
    ("env", "kind", "message"),
    [
        ("hush", TypeError, "env has to be a dict from names to values, not of type str"),
        ([("A", "hush")], TypeError, "env has to be a dict from names to values, not of type list"),
        ({1: "hush"}, TypeError, "a name in env has to be a str, not of type int"),
        ({b"A": "hush"}, TypeError, "a name in env has to be a str, not of type bytes"),
        ({"A": 1}, TypeError, 'env["A"] has to be a str, not of type int'),
        ({"A": None}, TypeError, 'env["A"] has to be a str, not None'),
        ({"A=hush": 1}, TypeError, 'env["A"] has to be a str, not of type int'),
        ({"A": b"hush"}, TypeError, 'env["A"] has to be a str, not of type bytes'),
        ({"": "hush"}, ValueError, 'env: "" is not the name of a variable: it is empty'),
        ({"A=hush": "hush"}, ValueError, 'env: "A=…" is not the name of a variable'),
        ({"A\0": "hush"}, ValueError, r'env: "A\0" is not the name of a variable'),
        ({"A": "hush\0"}, ValueError, 'env: the value of "A" contains a NUL character; remove it'),
        ({"A": "hush\udcff"}, ValueError, 'env["A"] has surrogates, which UTF-8 cannot encode'),
        ({"\ud800": "hush"}, ValueError, "a name in env has surrogates"),
        ({"A": "hush" * 40_000}, ValueError, "env: the variables have 160011 bytes"),
    ],
)
def test_wrong_variables_are_an_error_without_a_value(factory, env, kind, message):
    for make in (eryx.Sandbox, factory.create_sandbox, factory.create_session):
        with pytest.raises(kind) as caught:
            make(env=env)
        assert str(caught.value).startswith(message)
        assert isinstance(caught.value, eryx.ConfigError) == (kind is ValueError)
        shown = "".join(traceback.format_exception_only(kind, caught.value)) + repr(caught.value)
        assert "hush" not in shown


def test_repr_shows_the_names_alone():
    sandbox = eryx.Sandbox(env={"TOKEN": "hush", "it's": "hush"})
    assert repr(sandbox).endswith(""", env={'TOKEN': ..., "it's": ...})""")
    assert "hush" not in repr(sandbox)
    assert "env" not in repr(eryx.Sandbox())
