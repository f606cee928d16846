#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""symbols.py LIBRARY HEADERS - does libexp export what its installed headers declare, and no more?

Exit status 1 with the difference.
"""
import os
import re
import subprocess
import sys


def declared(folder):
    names = set()
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
        text = re.sub(r"^[ \t]*#.*$", "", text, flags=re.M)
        for m in re.finditer(r"\bEXP_API\b[^;{]*?(\w+)\s*\(", text):
            names.add(m.group(1))
    return names


def exported(library):
    out = subprocess.run(["nm", "-D", "--defined-only", library], check=True,
                         capture_output=True, text=True).stdout
    return {line.split()[-1].split("@")[0] for line in out.splitlines()}


def main():
    want, have = declared(sys.argv[2]), exported(sys.argv[1])
    for name in sorted(want - have):
        print("declared, not exported:", name)
    for name in sorted(have - want):
        print("exported, not declared:", name)
    print("%d symbols" % len(have))
    return 1 if want != have or not want else 0


sys.exit(main())
