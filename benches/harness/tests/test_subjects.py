"""The native subject, with the interpreter that runs the tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

import cpu_affinity
from benchmarks import BENCHMARKS, NATIVE, ProcessStart
from subjects import Failure, Subject
from worker_config import WorkerConfig


def benchmark(name):
    [found] = [benchmark for benchmark in BENCHMARKS if benchmark.rows[0].name == name]
    return found


@pytest.fixture
def subject():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        config = WorkerConfig(closed.getsockname()[1], 0, "", [], "")
    with subprocess.Popen(["sleep", "300"]) as servers:
        subject = Subject(NATIVE, sys.executable, config, {}, [servers.pid])
        yield subject
        subject.stop()
        servers.kill()


def test_a_worker_process_runs_several_benchmarks(subject):
    for _ in range(2):
        [measurement] = subject.measure(benchmark("json"), fresh=False)
        assert 0 < measurement < 60
    process = subject.process
    subject.measure(benchmark("json"), fresh=False)
    assert subject.process is process


def test_a_fresh_measurement_ends_its_process(subject):
    subject.measure(benchmark("json"), fresh=False)
    [measurement] = subject.measure(benchmark("json"), fresh=True)
    assert measurement > 0
    assert subject.process is None


def test_a_benchmark_that_raises_is_a_failure_and_the_next_one_runs(subject):
    failure = subject.measure(benchmark("connect, plain"), fresh=False)
    assert isinstance(failure, Failure)
    assert "Connection refused" in failure.line
    assert "Traceback" in failure.detail
    assert subject.measure(benchmark("json"), fresh=False)[0] > 0


def test_a_pinned_benchmark_runs_on_one_cpu_with_the_servers(subject):
    for name, cpus in (("connect, plain", cpu_affinity.ONE_CPU), ("json", cpu_affinity.ALL_CPUS)):
        subject.measure(benchmark(name), fresh=False)
        for process in (subject.process.pid, *subject.servers):
            assert os.sched_getaffinity(process) == cpus


def test_a_killed_worker_is_a_failure_and_the_next_benchmark_gets_a_new_one(subject):
    subject.measure(benchmark("json"), fresh=False)
    subject.process.kill()
    subject.process.wait()
    failure = subject.measure(benchmark("json"), fresh=False)
    assert failure == Failure("the process ended with status -9")
    assert subject.measure(benchmark("json"), fresh=False)[0] > 0


def test_a_process_start_ends_with_the_first_line(subject):
    start = benchmark("process start to first result").workload
    assert isinstance(start, ProcessStart)
    [measurement] = subject.time_start(start.programs[NATIVE])
    assert 0 < measurement < 60
    failure = subject.time_start("raise SystemExit('not found')")
    assert failure == Failure("not found", "not found\n")
