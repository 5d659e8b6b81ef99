"""Runs the `pycon` blocks of the documentation. The blocks of a page are one interactive session, on a
network with the hosts that the documentation names, in a folder with the files that it names."""

from __future__ import annotations

import pathlib
import re
import shutil

import pytest

import fake_internet

ROOT = pathlib.Path(__file__).parents[2]

# Runs the blocks of every page. Returns for each page the number of examples and the failures.
DRIVER = """
import doctest, json, os, shutil, sys
import eryx

shutil.copy(os.environ["ERYX_TESTKIT_CA"], "internal-ca.pem")
Sandbox, ca = eryx.Sandbox, open("internal-ca.pem", "rb").read()

# The servers of these pages have certificates of the test's authority.
def trusting(network):
    return Sandbox(network=network.with_root_cert(ca))

results = {}
for page, text in json.load(sys.stdin).items():
    eryx.Sandbox = trusting if page in ("docs/http-rules.md", "docs/secrets.md") else Sandbox
    test = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    failures = []
    flags = doctest.ELLIPSIS
    doctest.DocTestRunner(optionflags=flags, verbose=False).run(test, out=failures.append)
    results[page] = [len(test.examples), "".join(failures)]
print(json.dumps(results))
"""


def pages() -> dict[str, str]:
    """Return the joined blocks of every page that has some."""
    by_page = {}
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("*/*.md")]):
        blocks = re.findall(r"^```pycon\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)
        if blocks:
            by_page[path.relative_to(ROOT).as_posix()] = "\n".join(blocks)
    return by_page


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, tuple[int, str]]:
    directory = tmp_path_factory.mktemp("documents")
    wheels = directory / "wheels"
    wheels.mkdir()
    for wheel in pathlib.Path(fake_internet.libraries()).glob("*.whl"):
        shutil.copy(wheel, wheels)
    return fake_internet.run(DRIVER, pages(), directory)


@pytest.mark.parametrize("page", pages())
def test_examples_of_a_page_run_and_match(results, page):
    examples, failures = results[page]
    assert failures == ""
    assert examples > 0


def test_all_pages_are_found():
    assert {"README.md", "docs/python.md", "docs/networking.md", "eryx-python/README.md"} <= set(
        pages()
    )
