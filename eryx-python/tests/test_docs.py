"""The `pycon` blocks of the documentation: each page is one session, typed from the first line to the last, on a network
on which the hosts it names exist, in a folder with the files it names."""

from __future__ import annotations

import pathlib
import re
import shutil

import pytest

import fake_internet

ROOT = pathlib.Path(__file__).parents[2]

# Types the blocks of every page, and tells for each page how many examples there were and what went wrong.
DRIVER = """
import doctest, json, os, shutil, sys

shutil.copy(os.environ["ERYX_TESTKIT_CA"], "internal-ca.pem")
told = {}
for page, text in json.load(sys.stdin).items():
    test = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    wrong = []
    flags = doctest.ELLIPSIS
    doctest.DocTestRunner(optionflags=flags, verbose=False).run(test, out=wrong.append)
    told[page] = [len(test.examples), "".join(wrong)]
print(json.dumps(told))
"""


def pages() -> dict[str, str]:
    """The blocks of every page that has some, one after the other."""
    found = {}
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("*/*.md")]):
        blocks = re.findall(r"^```pycon\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)
        if blocks:
            found[path.relative_to(ROOT).as_posix()] = "\n".join(blocks)
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict[str, tuple[int, str]]:
    directory = tmp_path_factory.mktemp("documents")
    wheels = directory / "wheels"
    wheels.mkdir()
    for wheel in pathlib.Path(fake_internet.libraries()).glob("*.whl"):
        shutil.copy(wheel, wheels)
    return fake_internet.run(DRIVER, pages(), directory)


@pytest.mark.parametrize("page", pages())
def test_a_page_shows_what_happens(told, page):
    examples, wrong = told[page]
    assert wrong == ""
    assert examples > 0


def test_the_pages_are_found():
    assert {"README.md", "docs/python.md", "docs/networking.md", "eryx-python/README.md"} <= set(
        pages()
    )
