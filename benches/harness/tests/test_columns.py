"""A column's process, with the interpreter that runs the tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

import processors
from columns import Column, Failure
from scenes import NATIVE, SCENES, Start
from settings import Settings


def scene(name):
    [found] = [scene for scene in SCENES if scene.rows[0].name == name]
    return found


@pytest.fixture
def column():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings = Settings(closed.getsockname()[1], 0, "", [], "")
    with subprocess.Popen(["sleep", "300"]) as servers:
        column = Column(NATIVE, sys.executable, settings, {}, servers.pid)
        yield column
        column.stop()
        servers.kill()


def test_a_process_answers_one_scene_after_another(column):
    for _ in range(2):
        [figure] = column.measure(scene("json"), fresh=False)
        assert 0 < figure < 60
    process = column.process
    column.measure(scene("json"), fresh=False)
    assert column.process is process


def test_a_fresh_process_is_one_that_ends(column):
    column.measure(scene("json"), fresh=False)
    [figure] = column.measure(scene("json"), fresh=True)
    assert figure > 0
    assert column.process is None


def test_a_scene_that_raises_is_a_failure_and_the_next_one_is_done(column):
    failure = column.measure(scene("connect, plain"), fresh=False)
    assert isinstance(failure, Failure)
    assert "Connection refused" in failure.line
    assert "Traceback" in failure.detail
    assert column.measure(scene("json"), fresh=False)[0] > 0


def test_two_sides_that_take_turns_share_a_processor(column):
    for name, which in (("connect, plain", processors.ONE), ("json", processors.ALL)):
        column.measure(scene(name), fresh=False)
        for process in (column.process.pid, column.servers):
            assert os.sched_getaffinity(process) == which


def test_a_process_that_ends_is_a_failure_and_another_one_is_begun(column):
    column.measure(scene("json"), fresh=False)
    column.process.kill()
    column.process.wait()
    failure = column.measure(scene("json"), fresh=False)
    assert failure == Failure("the process ended with status -9")
    assert column.measure(scene("json"), fresh=False)[0] > 0


def test_a_start_is_over_with_the_first_line(column):
    start = scene("process start to first result").does
    assert isinstance(start, Start)
    [figure] = column.start(start.programs[NATIVE])
    assert 0 < figure < 60
    failure = column.start("raise SystemExit('it is not there')")
    assert failure == Failure("it is not there", "it is not there\n")
