"""The runner and the report, with stub subjects."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks import BENCHMARKS, ERYX, GROUPS, NATIVE, PYERYX, Program
from program_source import FOLDER
from report import Report
from runner import Runner
from subjects import Failure

ROWS = [row for benchmark in BENCHMARKS for row in benchmark.rows]


class StubSubject:
    """A subject that measures `seconds` for every row, or fails if that is `None`."""

    def __init__(self, name, seconds):
        self.name = name
        self.seconds = seconds
        self.requests = []

    def measure(self, benchmark, *, fresh):
        self.requests.append((benchmark.rows[0].name, fresh))
        if self.seconds is None:
            return Failure("Error: it | cannot", "all details")
        return [self.seconds] * len(benchmark.rows)


@pytest.fixture
def subjects():
    return [StubSubject(ERYX, 0.001), StubSubject(NATIVE, 0.002), StubSubject(PYERYX, None)]


@pytest.fixture
def report(subjects):
    runner = Runner()
    runner.run(BENCHMARKS, subjects, 3)
    return Report(BENCHMARKS, runner, {"cores": "2"}, {})


def test_the_warm_up_round_is_discarded(report, subjects):
    assert report.runner.cells["json", ERYX].measurements == [0.001] * 3
    assert [name for name, _ in subjects[0].requests].count("json") == 4


def test_a_subject_that_fails_is_not_measured_again(report, subjects):
    assert [name for name, _ in subjects[2].requests].count("json") == 2


def test_a_fresh_workload_gets_a_process_of_its_own(subjects, report):
    fresh = {name for name, fresh in subjects[0].requests if fresh}
    assert {"memory per idle session, RSS", "factory with requests, cold"} < fresh
    assert "json" not in fresh


def test_the_table_has_a_line_for_every_row_and_shows_errors_in_cells(report):
    _, _, *lines = [line for line in report.text().splitlines() if line.startswith("|")]
    assert [line.split(" | ")[0][2:] for line in lines] == [row.name for row in ROWS]
    found = lines[[row.name for row in ROWS].index("json")]
    assert found == (
        "| json | 1,000 µs (1,000–1,000) | 2,000 µs (2,000–2,000) | Error: it \\| cannot "
        "| 0.50 | – | ≤ 1.00 × pyeryx: not evaluated |"
    )


def test_the_report_names_a_missing_subject(subjects):
    runner = Runner()
    runner.run(BENCHMARKS, subjects[:2], 1)
    text = Report(BENCHMARKS, runner, {}, {PYERYX: "no interpreter"}).text()
    assert "- pyeryx is not measured: no interpreter" in text
    assert "| missing |" in text


def test_the_data_has_every_measurement_and_every_failure(report, tmp_path):
    report.save(tmp_path)
    data = json.loads((tmp_path / "report.json").read_text())
    [found] = [row for row in data["rows"] if row["name"] == "json"]
    assert found["subjects"][NATIVE]["measurements"] == [0.002] * 3
    assert found["subjects"][PYERYX]["failures"][0]["detail"] == "all details"
    assert found["targets"] == [{"target": "≤ 1.00 × pyeryx", "found": None, "met": None}]


def test_every_group_has_a_chart_with_a_bar_for_every_median(report, tmp_path):
    report.save(tmp_path)
    for group in GROUPS:
        drawing = ElementTree.parse(tmp_path / f"{group}.svg").getroot()
        bars = [bar for bar in drawing.iter() if bar.tag.endswith("rect")]
        rows = [
            row for benchmark in BENCHMARKS if benchmark.group == group for row in benchmark.rows
        ]
        measured = [
            subject
            for row in rows
            for subject in (ERYX, NATIVE)
            if report.runner.median(row.name, subject) is not None
        ]
        # The background, and three colours in the legend.
        assert len(bars) == 1 + 3 + len(measured)


def test_row_names_are_unique_and_programs_exist():
    assert len({row.name for row in ROWS}) == len(ROWS)
    for benchmark in BENCHMARKS:
        if isinstance(benchmark.workload, Program):
            assert (FOLDER / f"{benchmark.workload.file}.py").is_file()


def test_a_slow_workload_runs_in_some_rounds_only(subjects):
    runner = Runner()
    runner.run(BENCHMARKS, subjects, 9)
    assert len(runner.cells["factory with requests, cold", ERYX].measurements) == 3
    assert len(runner.cells["factory with requests, cached", ERYX].measurements) == 9
