from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import pytest

from columns import Failure
from report import Report
from rounds import Rounds
from scenes import ERYX, GROUPS, NATIVE, PEER, SCENES, Program
from text import FOLDER

ROWS = [row for scene in SCENES for row in scene.rows]


class Column:
    """Takes `seconds` for everything, or fails."""

    def __init__(self, name, seconds):
        self.name = name
        self.seconds = seconds
        self.asked = []

    def measure(self, scene, *, fresh):
        self.asked.append((scene.rows[0].name, fresh))
        if self.seconds is None:
            return Failure("Error: it | cannot", "told at length")
        return [self.seconds] * len(scene.rows)


@pytest.fixture
def columns():
    return [Column(ERYX, 0.001), Column(NATIVE, 0.002), Column(PEER, None)]


@pytest.fixture
def report(columns):
    rounds = Rounds()
    rounds.run(SCENES, columns, 3)
    return Report(SCENES, rounds, {"cores": "2"}, {})


def test_every_round_but_the_first_is_kept(report, columns):
    assert report.rounds.cells["json", ERYX].figures == [0.001] * 3
    assert [name for name, _ in columns[0].asked].count("json") == 4


def test_a_column_that_fails_is_not_asked_for_ever(report, columns):
    assert [name for name, _ in columns[2].asked].count("json") == 2


def test_what_needs_a_process_of_its_own_gets_one(columns, report):
    fresh = {name for name, fresh in columns[0].asked if fresh}
    assert {"memory per idle session, RSS", "factory with requests, cold"} < fresh
    assert "json" not in fresh


def test_the_table_has_a_line_for_every_row_and_says_why_a_cell_is_empty(report):
    _, _, *lines = [line for line in report.text().splitlines() if line.startswith("|")]
    assert [line.split(" | ")[0][2:] for line in lines] == [row.name for row in ROWS]
    found = lines[[row.name for row in ROWS].index("json")]
    assert found == (
        "| json | 1,000 µs (1,000–1,000) | 2,000 µs (2,000–2,000) | Error: it \\| cannot "
        "| 0.50 | – | ≤ 1.00 × peer: not judged |"
    )


def test_a_missing_column_is_told(columns):
    rounds = Rounds()
    rounds.run(SCENES, columns[:2], 1)
    text = Report(SCENES, rounds, {}, {PEER: "no interpreter"}).text()
    assert "- the column peer is missing: no interpreter" in text
    assert "| missing |" in text


def test_the_data_holds_every_figure_and_every_failure(report, tmp_path):
    report.save(tmp_path)
    data = json.loads((tmp_path / "report.json").read_text())
    [found] = [row for row in data["rows"] if row["name"] == "json"]
    assert found["columns"][NATIVE]["figures"] == [0.002] * 3
    assert found["columns"][PEER]["failures"][0]["detail"] == "told at length"
    assert found["targets"] == [{"target": "≤ 1.00 × peer", "found": None, "met": None}]


def test_every_group_has_a_chart_with_a_bar_for_every_median(report, tmp_path):
    report.save(tmp_path)
    for group in GROUPS:
        drawing = ElementTree.parse(tmp_path / f"{group}.svg").getroot()
        bars = [bar for bar in drawing.iter() if bar.tag.endswith("rect")]
        rows = [row for scene in SCENES if scene.group == group for row in scene.rows]
        known = [
            column
            for row in rows
            for column in (ERYX, NATIVE)
            if report.rounds.median(row.name, column) is not None
        ]
        # The ground, and the legend.
        assert len(bars) == 1 + 3 + len(known)


def test_rows_have_names_of_their_own_and_programs_exist():
    assert len({row.name for row in ROWS}) == len(ROWS)
    for scene in SCENES:
        if isinstance(scene.does, Program):
            assert (FOLDER / f"{scene.does.file}.py").is_file()


def test_what_takes_long_is_done_in_some_rounds(columns):
    rounds = Rounds()
    rounds.run(SCENES, columns, 9)
    assert len(rounds.cells["factory with requests, cold", ERYX].figures) == 3
    assert len(rounds.cells["factory with requests, cached", ERYX].figures) == 9
