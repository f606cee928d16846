#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""install_check.py BUILD - does `cmake --install` put in place what belongs there, and no more?

Installs into a directory of its own and starts what it finds there. BUILD has to be built.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

# LIB stands for lib/ or lib/TRIPLET, as GNUInstallDirs decides.
EXPECTED = """
LIB/libexp.so
LIB/libexp.so.0
LIB/libexp.so.0.1.0
LIB/pkgconfig/libexp.pc
bin/expctl
include/exp/control.h
include/exp/error.h
include/exp/types.h
lib/systemd/system/expd.service
lib/sysusers.d/expd.conf
lib/tmpfiles.d/expd.conf
sbin/expd
share/bash-completion/completions/expctl
share/doc/expd/ARCHITECTURE.md
share/doc/expd/CHANGELOG.md
share/doc/expd/LICENSE
share/doc/expd/README.md
share/doc/expd/expd.conf.example
share/doc/expd/nvme.conf
share/man/man1/expctl.1
share/man/man5/expd.conf.5
share/man/man8/expd.8
""".split()
PROGRAMS = ("bin/expctl", "sbin/expd")


def installed(top):
    found = []
    for folder, _, files in os.walk(top):
        for name in files:
            found.append(str((pathlib.Path(folder) / name).relative_to(top)))
    lib = [f for f in found if f.endswith("/libexp.so")]
    prefix = lib[0][:-len("libexp.so")] if lib else None
    return sorted("LIB/" + f[len(prefix):] if prefix and f.startswith(prefix) and
                  ("libexp" in f or "pkgconfig" in f) else f for f in found)


def main(build):
    wrong = 0
    with tempfile.TemporaryDirectory() as tmp:
        done = subprocess.run(["cmake", "--install", build, "--prefix", tmp],
                              capture_output=True, text=True)
        if done.returncode:
            print(done.stdout + done.stderr)
            return 1
        found = installed(tmp)
        for name in sorted(set(EXPECTED) - set(found)):
            print(f"not installed: {name}")
            wrong = 1
        for name in sorted(set(found) - set(EXPECTED)):
            print(f"installed, and nobody knows why: {name}")
            wrong = 1
        for name in PROGRAMS:
            path = pathlib.Path(tmp) / name
            if not path.exists():
                continue
            said = subprocess.run([path, "--version"], capture_output=True, text=True)
            if said.returncode or not said.stdout.startswith(path.name):
                print(f"{name} --version = {said.returncode}: {said.stdout}{said.stderr}")
                wrong = 1
    return wrong


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
