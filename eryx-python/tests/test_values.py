"""The inputs of programs, and their values."""

import asyncio
import base64
import copy
import datetime
import json
import math
import pickle
import sys

import pytest

import eryx


@pytest.fixture(scope="module")
def sandbox():
    return eryx.Sandbox()


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -7,
        2**63 - 1,
        -(2**63),
        2**63,
        -(2**200),
        1.5,
        "",
        "a b",
        "\n",
        'ü\N{SNAKE}\0"\\',
        b"",
        b"\0\xff" * 1000,
        [],
        {},
        [1, [2, {"a": [None, {"b": b"c"}]}]],
        {"": 1, "$bytes": "x", "b": 2},
        list(range(10_000)),
        ["x" * 100] * 1000,
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_value_comes_back_as_it_went_in(sandbox, value):
    result = sandbox.execute("x", inputs={"x": value}, value=True)
    assert result.value == value
    assert type(result.value) is type(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1: 2}, r"inputs\[\"x\"\]: the key 1 is not a str"),
        ([{"a": {1}}], r"inputs\[\"x\"\]\[0\]\['a'\]: builtins.set is not a JSON type"),
        (datetime.date(2020, 1, 1), "datetime.date is not a JSON type"),
        (math.nan, r"inputs\[\"x\"\]: Out of range float"),
        ({"a": [1, -math.inf]}, r"inputs\[\"x\"\]\['a'\]\[1\]: Out of range float"),
        ("\ud800", r"inputs\[\"x\"\]: a str has surrogates"),
        ([1, ("a", "\ud800")], r"inputs\[\"x\"\]\[1\]\[1\]: a str has surrogates"),
        ([{"\ud800": 1}], r"inputs\[\"x\"\]\[0\]\['\\ud800'\]: a str has surrogates"),
        ({"$bytes": "eA=="}, "stands for bytes"),
        ("x" * (4 << 20), "its JSON has 4194306 bytes; the limit is 3145728"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_an_input_that_cannot_be_passed_is_refused_before_the_program_runs(sandbox, value, message):
    with pytest.raises((TypeError, ValueError), match=message):
        sandbox.execute("print('runs')", inputs={"x": value})


class CountedList(list):
    """A list that counts how often lists of its class are looked at."""

    looks = 0

    def __iter__(self):
        CountedList.looks += 1
        if CountedList.looks > 1000:
            raise AssertionError("the work is not bounded")
        return super().__iter__()


@pytest.mark.parametrize("container", [lambda x: CountedList([x, x]), lambda x: {"a": x, "b": x}])
def test_the_work_for_a_value_is_bounded_by_its_containers_and_not_by_how_often_each_occurs(
    container, sandbox
):
    value = CountedList()
    for _ in range(90):
        value = container(value)
    CountedList.looks = 0
    with pytest.raises(
        ValueError, match=r'inputs\["x"\]: it is too large: its JSON may have at most'
    ):
        sandbox.execute("print('runs')", inputs={"x": value})
    functions = {"f": lambda: value}
    program = "import tools\ntry: tools.f()\nexcept tools.LimitError as error: print(error)"
    result = eryx.Sandbox(functions=functions).execute(program)
    assert result.stdout.startswith("the result has more than 3145728 bytes as JSON")
    assert CountedList.looks < 10


class Text(str):
    """A text that claims to have no characters."""

    def __len__(self):
        return 0


class Number(int):
    """A number that claims to have no bits."""

    def bit_length(self):
        return 0


@pytest.mark.parametrize("item", [10**4299, -Number(10**4299), Text("x" * 4300), "x" * 4300])
def test_a_value_is_refused_before_it_is_encoded_because_of_long_ints_and_texts(item):
    CountedList.looks = 0
    functions = {"f": lambda: CountedList([item] * 2000)}
    program = "import tools\ntry: tools.f()\nexcept tools.LimitError as error: print(error)"
    result = eryx.Sandbox(functions=functions).execute(program)
    assert result.stdout.startswith("the result has more than 3145728 bytes as JSON")
    assert CountedList.looks == 0


@pytest.mark.parametrize("count", [5, 16])
def test_a_list_that_occurs_more_than_once_is_passed_each_time(count, sandbox):
    value = []
    for _ in range(count):
        value = [value, value]
    result = sandbox.execute("x", inputs={"x": value}, value=True)
    assert result.value == value


def test_values_of_all_kinds_may_have_exactly_as_many_bytes_as_the_limit(sandbox):
    limit = 3 << 20
    # Of each kind whose size is estimated before: the JSON is filled up by the last text.
    parts = [None, True, False, 0, -1, 0.5, "", "\u00e9\n", b"", b"a", b"ab", b"abc", [], {}, ()]
    parts += [sign * 2**bits - 1 for bits in (62, 63, 64, 100, 1000) for sign in (1, -1)]
    value = [*parts, {"k": parts}, tuple(parts), {"a": 1, "b": 2}, "x" * 1000] * 100
    text = json.dumps(
        value,
        separators=(",", ":"),
        ensure_ascii=False,
        default=lambda part: {"$bytes": base64.b64encode(part).decode()},
    )
    # The value of x with its name, which is {"x":...}, has the limit.
    filler = "x" * (limit - len(text.encode()) - 3 - 6)
    accepted = sandbox.execute("len(x)", inputs={"x": [*value, filler]}, value=True)
    assert accepted.value == len(value) + 1
    with pytest.raises(ValueError, match="they have 3145729 bytes; the limit is 3145728"):
        sandbox.execute("1", inputs={"x": [*value, filler + "x"]})


def test_ints_have_4300_digits_at_most_whatever_the_limits_of_program_and_process(sandbox):
    large, larger = 10**4300 - 1, 10**4300
    unlimited = "import sys; sys.set_int_max_str_digits(0)"
    result = sandbox.execute(f"{unlimited}; [-(10**4300 - 1), 1.5, 7, b'x']", value=True)
    refused = sandbox.execute(f"{unlimited}; [10**4300]", value=True)
    limit = sys.get_int_max_str_digits()
    seen = []
    try:
        for process_limit in (640, 0, 4300):
            sys.set_int_max_str_digits(process_limit)
            assert pickle.loads(pickle.dumps(result)).value == [-large, 1.5, 7, b"x"]
            with pytest.raises(TypeError, match="an int has 4301 digits; the limit is 4300"):
                _ = pickle.loads(pickle.dumps(refused)).value
            functions = {"f": seen.append}
            program = f"import tools; {unlimited}; tools.f([10**4300 - 1])"
            eryx.Sandbox(functions=functions).execute(program)
        sys.set_int_max_str_digits(0)
        assert sandbox.execute("x % 1000", inputs={"x": large}, value=True).value == 999
        with pytest.raises(TypeError, match="an int has 4301 digits; the limit is 4300"):
            sandbox.execute("1", inputs={"x": larger})
    finally:
        sys.set_int_max_str_digits(limit)
    assert seen == [[large]] * 3


def test_a_cycle_is_refused(sandbox):
    value = {}
    value["a"] = [value]
    with pytest.raises(ValueError, match="it contains itself"):
        sandbox.execute("", inputs={"x": value})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": [1]}, "inputs has to be a dict from names to values, not of type list"),
        ({"inputs": {1: 2}}, "a name in inputs has to be a str, not of type int"),
        ({"inputs": {"a b": 2}}, 'inputs: "a b" cannot be the name of an input'),
        ({"value": 1}, "value has to be True or False, not of type int"),
        ({"stdin": 1}, "stdin has to be a str or bytes, not of type int"),
        ({"argv": "x"}, r"write argv=\['x'\]"),
        ({"argv": ["a\0"]}, "argument 0 contains a NUL"),
        ({"env": {"A=": "x"}}, "contains `=`"),
        ({"input": {}}, "did you mean inputs?"),
        ({"std_in": ""}, "did you mean stdin?"),
        ({"timeout": 1}, r"write eryx.Sandbox\(resource_limits=eryx.ResourceLimits\("),
        (
            {"network": None},
            r"execute\(\) has no argument network: write eryx.Sandbox\(network=...\)",
        ),
    ],
)
def test_an_argument_that_cannot_be_honoured_is_refused(sandbox, arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        sandbox.execute("", **arguments)


def test_a_file_as_stdin_names_the_remedy(sandbox, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"line")
    with path.open("rb") as file:
        with pytest.raises(TypeError, match=r"stdin=file.read\(\)"):
            sandbox.execute("", stdin=file)
        assert sandbox.execute("print(input())", stdin=file.read()).stdout == "line\n"


def test_arguments_and_standard_input(sandbox):
    code = "import sys, os\nprint(sys.argv, sys.stdin.read(), os.environ['A'])"
    result = sandbox.execute(code, argv=["s.py", "1"], stdin="ü", env={"A": "b"})
    assert result.stdout == "['s.py', '1'] ü b\n"
    assert sandbox.execute("import sys; print(sys.argv)", stdin=b"", argv=None).stdout == "['']\n"


def test_a_value_that_is_not_json_raises_when_it_is_asked_for(sandbox):
    result = sandbox.execute("print('runs'); {1, 2}", value=True)
    assert result.stdout == "runs\n"
    with pytest.raises(TypeError, match=r"the program has no value as JSON: value: builtins\.set"):
        _ = result.value
    assert [(item.media_type, item.text) for item in result.display] == [("text/plain", "{1, 2}")]
    assert sandbox.execute("5").value is None


@pytest.mark.skipif(
    not hasattr(sys, "set_int_max_str_digits"), reason="this interpreter has no limit on digits"
)
def test_an_int_of_more_digits_than_the_limit_is_refused_with_its_place(sandbox):
    with pytest.raises(ValueError, match=r"inputs\[\"x\"\]\[1\]: Exceeds the limit"):
        sandbox.execute("x", inputs={"x": [1, 10**5000]})
    # The program has raised its own limit.
    code = "import sys\nsys.set_int_max_str_digits(0)\n[1, 10**5000]"
    result = sandbox.execute(code, value=True)
    for _ in range(2):
        with pytest.raises(TypeError, match="an int has 5001 digits; the limit is 4300"):
            _ = result.value


def test_asyncio_and_sessions_take_the_same_arguments(sandbox):
    async def main():
        async with sandbox.session() as session:
            await session.aexecute("y = x + 1", inputs={"x": 1})
            first = await session.aexecute("x, y", value=True)
            second = await sandbox.aexecute("input()", value=True, stdin="a\n")
            return first.value, second.value, session.execute("y", value=True).value

    assert asyncio.run(main()) == ([1, 2], "a", 2)


def test_results_with_values_are_values_themselves(sandbox):
    code = "class A:\n    def _repr_html_(self): return '<b>'\nA()"
    for program, arguments in [(code, {}), ("x", {"inputs": {"x": [b"1"]}})]:
        result = sandbox.execute(program, value=True, **arguments)
        for other in [pickle.loads(pickle.dumps(result)), copy.deepcopy(result)]:
            assert other == result
            assert other.display == result.display
    assert other.value == [b"1"]
    assert result.value is result.value
    assert other.value is not result.value
    item = sandbox.execute("class A:\n    _repr_png_ = lambda self: b'p'\nA()", value=True).display[
        0
    ]
    assert (item.media_type, item.data, item.text) == ("image/png", b"p", "p")
    assert pickle.loads(pickle.dumps(item)) == item
    assert len({item, copy.copy(item)}) == 1
    assert repr(item) == "<eryx.Display: image/png, 1 bytes>"


def test_files_that_show_something_are_displayed(sandbox):
    code = """
import pathlib
for name in ("b.png", "a.SVG", "data.csv", "page.html", "png"):
    pathlib.Path(name).write_bytes(name.encode())
pathlib.Path("d.png").mkdir()
pathlib.Path("l.png").symlink_to("b.png")
{1}
"""
    result = sandbox.execute(code, value=True)
    assert [(item.media_type, item.path, item.data) for item in result.display] == [
        ("text/plain", None, b"{1}"),
        ("image/svg+xml", "/home/user/a.SVG", b"a.SVG"),
        ("image/png", "/home/user/b.png", b"b.png"),
        ("text/html", "/home/user/page.html", b"page.html"),
    ]
    assert pickle.loads(pickle.dumps(result)).display == result.display
    assert len({*result.display, *copy.deepcopy(result).display}) == 4
    assert sandbox.execute(code).display == result.display[1:]


def test_one_execution_can_have_files(sandbox, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("a,b\n1,2\n")
    code = "import csv; list(csv.DictReader(open('/data/in.csv')))"
    rows = [{"a": "1", "b": "2"}]
    for content in [path, str(path), path.read_bytes()]:
        assert sandbox.execute(code, files={"/data/in.csv": content}, value=True).value == rows
    files = eryx.Files({"/data/in.csv": b"a\n1\n"})
    assert sandbox.execute(code, files=files, value=True).value == [{"a": "1"}]
    with pytest.raises(eryx.ExecutionError, match="No such file"):
        sandbox.execute(code)
    with pytest.raises(eryx.ConfigError, match="files: "):
        sandbox.execute(code, files={"in.csv": b""})
    with sandbox.session() as session, pytest.raises(eryx.ConfigError, match=r"session\.files"):
        session.execute(code, files={"/data/in.csv": b""})


def test_the_limit_on_values():
    limits = eryx.ResourceLimits(max_value_bytes=5)
    assert limits.max_value_bytes == 5
    sandbox = eryx.Sandbox(resource_limits=limits)
    assert sandbox.execute("'abc'", value=True).value == "abc"
    with pytest.raises(TypeError, match="its JSON has 6 bytes; the limit is 5"):
        _ = sandbox.execute("'abcd'", value=True).value
    with pytest.raises(eryx.ConfigError, match="max_value_bytes=4194304: give at most 3145728"):
        eryx.ResourceLimits(max_value_bytes=4 << 20)
