"""docs/performance.md holds what the harness measures."""

from __future__ import annotations

import pathlib

import document
from scenes import SCENES
from table import HEAD, line

PAGE = pathlib.Path(__file__).parents[2] / "docs/performance.md"


def test_the_page_has_a_line_for_every_row():
    head, _, *lines = [told for told in document.taken(PAGE).splitlines() if told.startswith("|")]
    assert head == line(HEAD)
    names = [row.name for scene in SCENES for row in scene.rows]
    assert [told.split(" | ")[0].removeprefix("| ") for told in lines] == names


def test_the_page_says_on_what_machine_and_how_often():
    told = document.taken(PAGE)
    for name in ("processor", "cores", "memory", "system", "interpreter", "eryx", "rounds"):
        assert f"- {name}: " in told


def test_the_page_says_how_each_group_is_measured():
    text = PAGE.read_text()
    for group in dict.fromkeys(scene.group for scene in SCENES):
        assert f"| `{group}` |" in text


def test_a_report_takes_the_place_of_the_one_before(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{document.BEGIN}\nold\n{document.END}\nafter\n")
    document.put(page, "new\n")
    assert document.taken(page) == "new"
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith("\nafter\n")
