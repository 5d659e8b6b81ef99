"""Runs a file of pydantic's tests in a sandbox, and prints the outcomes as JSON.

Two constants precede it: `FILE`, the path of the file in the folder of the tests, and `SKIPPED`,
the listed tests in it.
"""

import json
import os

import pydantic
import pytest

# Tests name files relative to the folder of the source, and look at the plugins, which the first
# model loads.
os.chdir("/packages")
pydantic.create_model("First")
MARKERS = ("timeout", "skip_json_schema_validation", "thread_unsafe", "parallel_threads")


class Outcomes:
    """A plugin that skips listed tests, and keeps how the others end."""

    def __init__(self):
        self.outcomes = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config, items):
        kept = []
        for item in items:
            name = self.name(item.nodeid)
            if any(
                name == test or (test.endswith("*") and name.startswith(test[:-1]))
                for test in SKIPPED
            ):
                self.outcomes[name] = "listed"
            else:
                kept.append(item)
        items[:] = kept

    def pytest_collectreport(self, report):
        if report.failed:
            self.outcomes[self.name(report.nodeid)] = f"failed: {str(report.longrepr)[-2000:]}"
        elif report.skipped:
            reason = str(report.longrepr[2])
            self.outcomes[self.name(report.nodeid)] = f"skipped:{reason[:100]}"

    def pytest_runtest_logreport(self, report):
        name = self.name(report.nodeid)
        if report.failed:
            self.outcomes[name] = f"failed: {str(report.longrepr)[-2000:]}"
        elif report.skipped:
            if hasattr(report, "wasxfail"):
                self.outcomes[name] = "passed"
            else:
                reason = str(report.longrepr[2]).removeprefix("Skipped: ")
                self.outcomes[name] = f"skipped:{reason[:100]}"
        elif report.when == "call":
            self.outcomes[name] = "passed"

    @staticmethod
    def name(nodeid):
        return nodeid.removeprefix("tests/")


plugin = Outcomes()
status = pytest.main(
    [
        f"/packages/tests/{FILE}",
        "--rootdir=/packages",
        "--confcutdir=/packages/tests",
        "-c/dev/null",
        "-qq",
        "-pno:cacheprovider",
        # Descriptors of streams cannot be duplicated.
        "-pno:faulthandler",
        "--capture=sys",
        "--benchmark-disable",
        # Of the settings of pydantic.
        "-ostrict=true",
        "-omarkers=" + "\n".join(MARKERS),
        "-Werror",
        "-Wignore:path is deprecated.*:DeprecationWarning:",
    ],
    plugins=[plugin],
)
if status in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR):
    plugin.outcomes[f"{FILE}::"] = f"failed: pytest ended with {status}"
print("\n" + json.dumps(plugin.outcomes))
