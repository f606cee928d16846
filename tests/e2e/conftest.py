# SPDX-License-Identifier: Apache-2.0
"""Fixtures: each test has a directory of its own and ends every process that it started."""

import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lib.proc import Proc  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Let fixtures see how the test itself ended."""
    outcome = yield
    setattr(item, f"report_{call.when}", outcome.get_result())


class Lab:
    """Where a test works: a short path (a socket's name has 107 bytes), in memory if there is room."""

    def __init__(self):
        base = "/dev/shm" if shutil.disk_usage("/dev/shm").free > 2 << 30 else None
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="expd-", dir=base))
        self.procs, self.endings = [], []

    def run(self, name, *argv, env=None):
        proc = Proc(name, argv, self.dir, env)
        self.procs.append(proc)
        return proc

    def at_end(self, fn):
        self.endings.append(fn)

    def sanitizer_findings(self):
        """Logs in which a sanitizer spoke: that fails a test whatever else it saw."""
        words = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
                 "WARNING: ThreadSanitizer", "DEADLYSIGNAL")
        return [log.name for log in sorted(self.dir.glob("*.log"))
                if any(w in log.read_text(errors="replace") for w in words)]

    def finish(self, failed):
        for fn in reversed(self.endings):
            fn()
        for proc in reversed(self.procs):
            proc.end()
        findings = self.sanitizer_findings()
        if failed or findings:
            for log in sorted(self.dir.glob("*.log")):
                print(f"--- {log} ---\n{log.read_text(errors='replace')[-6000:]}")
            print(f"kept: {self.dir}")
            assert not findings, f"a sanitizer found something: see {findings} in {self.dir}"
            return
        shutil.rmtree(self.dir)


@pytest.fixture
def lab(request):
    work = Lab()
    yield work
    report = getattr(request.node, "report_call", None)
    work.finish(failed=report is None or report.failed)
