# SPDX-License-Identifier: Apache-2.0
"""Processes with logs, and waiting for a condition with a deadline."""

import os
import pathlib
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]


def build_dir():
    """Where the programs were built: $EXP_BUILD, else build/debug in the tree."""
    return pathlib.Path(os.environ.get("EXP_BUILD", ROOT / "build" / "debug")).resolve()


def program(name):
    """Path of a built program; it may lie in any of the places where targets are built."""
    for sub in ("tests/emu", "daemon", "ctl", "."):
        path = build_dir() / sub / name
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    raise FileNotFoundError(f"{name} is not built in {build_dir()}; set EXP_BUILD")


def wait_for(condition, what, seconds=20.0, step=0.01):
    """Call condition() until it is true, and return what it returned; AssertionError at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(step)


class Proc:
    """A process of a test. Its output goes to a log file; it is ended by its own process id only."""

    def __init__(self, name, argv, log_dir, env=None):
        self.name = name
        self.log = pathlib.Path(log_dir) / f"{name}.log"
        with open(self.log, "ab") as out:
            out.write((" ".join(map(str, argv)) + "\n").encode())
            out.flush()
            self.popen = subprocess.Popen(
                [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, env={**os.environ, **(env or {})})

    def text(self):
        return self.log.read_text(errors="replace")

    def alive(self):
        return self.popen.poll() is None

    def wait_text(self, text, seconds=20.0, after=0):
        """Until the log holds text behind offset `after`."""

        def there():
            found = text in self.text()[after:]
            if not found and not self.alive():
                raise AssertionError(f"{self.name} ended with {self.popen.returncode} before it "
                                     f"said {text!r}:\n{self.text()[-2000:]}")
            return found

        wait_for(there, f"{self.name} says {text!r}", seconds)

    def wait(self, seconds=60.0):
        return self.popen.wait(timeout=seconds)

    def kill(self):
        """kill -9"""
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(timeout=20)

    def stop(self, seconds=30.0):
        """SIGTERM, then the exit status; SIGKILL when that does not help."""
        if self.alive():
            self.popen.terminate()
        try:
            return self.popen.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {seconds} s of SIGTERM") from None

    def end(self):
        """For clean-up: whatever it takes."""
        if self.alive():
            self.popen.terminate()
            try:
                self.popen.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.kill()
