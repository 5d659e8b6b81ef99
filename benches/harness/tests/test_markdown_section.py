"""docs/performance.md contains the report of the harness."""

from __future__ import annotations

import pathlib

import markdown_section
from benchmarks import BENCHMARKS
from table import HEAD, line

PAGE = pathlib.Path(__file__).parents[3] / "docs/performance.md"


def test_the_page_has_a_table_line_for_every_row():
    report = markdown_section.read(PAGE)
    head, _, *lines = [text for text in report.splitlines() if text.startswith("|")]
    assert head == line(HEAD)
    names = [row.name for benchmark in BENCHMARKS for row in benchmark.rows]
    assert [text.split(" | ")[0].removeprefix("| ") for text in lines] == names


def test_the_page_describes_the_machine_and_the_number_of_rounds():
    report = markdown_section.read(PAGE)
    for name in ("processor", "cores", "memory", "system", "interpreter", "eryx", "rounds"):
        assert f"- {name}: " in report


def test_the_page_explains_each_group():
    text = PAGE.read_text()
    for group in dict.fromkeys(benchmark.group for benchmark in BENCHMARKS):
        assert f"| `{group}` |" in text


def test_a_report_replaces_the_previous_one(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{markdown_section.BEGIN}\nold\n{markdown_section.END}\nafter\n")
    markdown_section.replace(page, "new\n")
    assert markdown_section.read(page) == "new"
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith("\nafter\n")
