#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""man_check.py - do the manual pages say what the program does?

    man_check.py lint ROOT            mandoc has nothing to say about any page (77: no mandoc here)
    man_check.py states ROOT          every name of lib/model/states.def stands in expd.8, in bold
    man_check.py config ROOT EXPD     the example is what EXPD prints; each key stands in
                                      expd.conf.5; each option that EXPD knows stands in expd.8
"""
import pathlib
import re
import shutil
import subprocess
import sys

PAGES = ("daemon/expd.8", "daemon/expd.conf.5", "ctl/expctl.1")


def words(root, page):
    """The page as a reader sees it: without the marks of roff, minus signs as they are typed."""
    text = (root / page).read_text()
    text = re.sub(r"^\.\\\".*$", "", text, flags=re.M)
    return text.replace(r"\-", "-").replace("\\fB", "").replace("\\fR", "")


def lint(root):
    if not shutil.which("mandoc"):
        print("mandoc is not installed: nothing was checked")
        return 77
    said = 0
    for page in PAGES:
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(root / page)],
                              capture_output=True, text=True)
        print(done.stdout + done.stderr, end="")
        said |= bool(done.returncode or done.stdout or done.stderr)
    return 1 if said else 0


def states(root):
    found = re.findall(r'^EXP_[A-Z]+\(([A-Z_]+), \d+, "([a-z-]+)"\)',
                       (root / "lib/model/states.def").read_text(), flags=re.M)
    if len(found) < 20:
        print(f"only {len(found)} names found in states.def: has its form changed?")
        return 1
    bold = re.findall(r"^\.BR? (.*)$", words(root, "daemon/expd.8"), flags=re.M)
    said = set(re.findall(r"[\w-]+", " ".join(bold)))
    missing = [name for _, name in found if name not in said]
    for name in missing:
        print(f"daemon/expd.8 does not name {name}")
    return 1 if missing else 0


def config(root, expd):
    wrong = 0
    printed = subprocess.run([expd, "--print-config"], check=True, capture_output=True,
                             text=True).stdout
    if printed != (root / "daemon/expd.conf.example").read_text():
        print("daemon/expd.conf.example is not what expd --print-config prints")
        wrong = 1
    page = words(root, "daemon/expd.conf.5")
    keys = re.findall(r"^#?([a-z_]+) = ", printed, flags=re.M)
    for key in keys:
        if not re.search(rf"^\.TP\n\.B {key}$", page, flags=re.M):
            print(f"daemon/expd.conf.5 has no paragraph of {key}")
            wrong = 1
    for key in re.findall(r"^\.TP\n\.B ([a-z_]+)$", page, flags=re.M):
        if key not in keys:
            print(f"daemon/expd.conf.5 describes {key}, which expd does not know")
            wrong = 1
    usage = subprocess.run([expd, "--help"], check=True, capture_output=True, text=True).stdout
    page = words(root, "daemon/expd.8")
    for option in set(re.findall(r"--[a-z-]+", usage)):
        if option not in page:
            print(f"daemon/expd.8 does not name {option}")
            wrong = 1
    return wrong


def main(args):
    if len(args) == 2 and args[0] == "lint":
        return lint(pathlib.Path(args[1]))
    if len(args) == 2 and args[0] == "states":
        return states(pathlib.Path(args[1]))
    if len(args) == 3 and args[0] == "config":
        return config(pathlib.Path(args[1]), args[2])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
