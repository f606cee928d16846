#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""layers.py - does every #include follow the direction table? And the small rules of the house.

    layers.py ROOT         prints each violation as FILE:LINE: [RULE] what; exit status 1 if any
    layers.py --self-test  shows that every rule can fail

The build already hides the headers of folders that a target does not link. This check adds what
a compiler cannot know: which folder may use which installed library, and that nobody reaches a
header by a side door. It walks the tree, so a file counts before it is added to git.
"""
import os
import re
import sys
import tempfile

LIB = ("base", "model", "nvme", "device", "copy", "handover", "wire", "tls", "inventory", "control")

# Who may include whose headers, itself always included. "tests" is tests/ without tests/emu.
ARROWS = {
    "lib/base": (),
    "lib/model": ("base",),
    "lib/nvme": ("base",),
    "lib/device": ("nvme", "model", "base"),
    "lib/copy": ("model", "base"),
    "lib/handover": ("model", "base"),
    "lib/wire": ("model", "base"),
    "lib/tls": ("base",),
    "lib/inventory": ("model", "base"),
    "lib/control": ("model", "base"),
    "daemon": LIB,
    "ctl": ("control", "model", "base"),
    "tests/emu": ("base",),
    "tests": LIB + ("daemon", "ctl", "emu", "support"),
    "include/exp": (),
}
HOUSE = LIB + ("daemon", "ctl", "emu", "support")

# Installed libraries: pattern of the header, where it may stand (a folder or one file), and in
# how many files at most. The tests may also look at the other side of what they test.
LIBRARIES = (
    (r"event2/|event\.h$|evhttp\.h$", ("daemon", "tests"), None),
    (r"sqlite3\.h$", ("lib/inventory", "tests"), None),
    (r"libnvme", ("lib/device/transport_libnvme.c",), None),
    (r"json-c/|json\.h$", ("lib/base/json.c",), None),
    (r"curl/", ("lib/control",), None),
    (r"openssl/", ("lib/tls", "tests"), None),
    (r"protobuf-c/|(.*/)?[a-z_]+\.pb-c\.h$", ("lib/wire", "tests"), None),
    (r"systemd/", ("daemon",), None),
    (r"isa-l", ("lib/wire", "lib/base"), 1),
    (r"cmocka\.h$", ("tests",), None),
    (r"exp/[a-z]+\.h$", tuple(ARROWS), None),
)

# The C library and the kernel: anywhere, but see NO_IO.
SYSTEM = re.compile(
    r"(alloca|argp|assert|byteswap|complex|cpuid|ctype|dirent|dlfcn|elf|endian|err|errno|execinfo|"
    r"fcntl|features|fenv|float|fnmatch|getopt|glob|grp|ifaddrs|immintrin|inttypes|iso646|langinfo|"
    r"libgen|libintl|limits|link|locale|malloc|math|memory|mntent|netdb|nl_types|nmmintrin|paths|"
    r"poll|printf|pthread|pty|pwd|regex|sched|search|semaphore|setjmp|shadow|signal|spawn|stdalign|"
    r"stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|strings|sysexits|"
    r"syslog|termios|tgmath|threads|time|uchar|ucontext|unistd|utime|utmp|wchar|wctype|wordexp|"
    r"x86intrin)\.h$|(arpa|asm|linux|net|netinet|sys|sanitizer)/[a-z0-9_./-]+\.h$")

# Told things, answer with things to do: no clock, no chance, no descriptors, so that a simulation
# can drive them.
NO_IO = ("lib/handover", "lib/copy")
CALLS = re.compile(r"\bexp_(mono|wall)_[mu]s\b|\bexp_(random_bytes|uuid_new)\b")
IO = re.compile(r"base/fs\.h$|(dirent|fcntl|netdb|poll|pthread|signal|spawn|syslog|threads|"
                r"time|unistd)\.h$|(arpa|linux|net|netinet|sys)/")

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */"
C_FILES = (".c", ".h", ".def")
TEXT_FILES = C_FILES + (".py", ".sh", ".proto", ".cmake", "CMakeLists.txt", ".in")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")

WORDS = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', re.S)
DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(include|include_next|import)\b[ \t]*(.*?)[ \t]*$", re.M)
GUARD = re.compile(r"\A\s*#[ \t]*ifndef[ \t]+(\w+)[ \t]*\n[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]*\n")

RULES = {
    "arrow": "the direction table has no arrow for this include",
    "library": "only its own folder includes this library",
    "one-file": "this library is wrapped in one file",
    "unlisted": "a header of no known library: add it to the table, with its folder",
    "spelling": 'includes are "folder/name.h", or "name.h" for one beside it: no dots, no macros',
    "no-io": "this folder does no I/O and is told the time, never asks",
    "guard": "a header begins with an include guard of its own",
    "spdx": "the first line is the SPDX line",
    "space": "white space at the end of the line",
    "unfinished": "a note to ourselves instead of the work",
    "outside": "C sources live in include/, lib/, daemon/, ctl/ and tests/",
}


def place_of(path):
    """The row of ARROWS that the file at @path (relative, with slashes) belongs to, or None."""
    parts = path.split("/")
    two = "/".join(parts[:2])
    if two in ARROWS and len(parts) > 2:
        return two
    return parts[0] if parts[0] in ("daemon", "ctl", "tests") and len(parts) > 1 else None


def without_comments(text):
    """@text with comments blanked and continued lines joined; every line keeps its number."""
    def blank(m):
        return m.group() if m.group()[0] in "\"'" else re.sub(r"[^\n]", " ", m.group())
    joined = re.sub(r"\\\n([^\n]*)", lambda m: " " + m.group(1) + "\n", text)
    return WORDS.sub(blank, joined)


class Check:
    def __init__(self, root):
        self.root = root
        self.found = []          # (path, line, rule, what)
        self.guards = {}         # guard -> first file
        self.single = {}         # library pattern -> first file

    def add(self, path, line, rule, what):
        self.found.append((path, line, rule, what))

    def run(self):
        for folder, dirs, files in os.walk(self.root):
            top = os.path.samefile(folder, self.root)
            dirs[:] = sorted(d for d in dirs if not d.startswith(".") and d != "__pycache__"
                             and not (top and d == "build"))
            for name in sorted(files):
                full = os.path.join(folder, name)
                if name.endswith(TEXT_FILES) and os.path.isfile(full):
                    self.file(os.path.relpath(full, self.root).replace(os.sep, "/"), full)
        return self.found

    def file(self, path, full):
        with open(full, encoding="utf-8", errors="replace", newline="") as f:
            text = f.read()
        for n, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip():
                self.add(path, n, "space", repr(line[-20:]))
            if path.endswith(C_FILES) and UNFINISHED.search(line):
                self.add(path, n, "unfinished", line.strip())
        if not path.endswith(C_FILES):
            return
        if text.split("\n", 1)[0] != SPDX:
            self.add(path, 1, "spdx", "not " + SPDX)
        place = place_of(path)
        if not place:
            self.add(path, 1, "outside", "in no folder of the map")
            return
        code = without_comments(text)
        if path.endswith(".h"):
            self.guard(path, code)
        for m in CALLS.finditer(code) if place in NO_IO else ():
            self.add(path, code.count("\n", 0, m.start()) + 1, "no-io", m.group())
        for m in DIRECTIVE.finditer(code):
            self.include(path, place, code.count("\n", 0, m.start()) + 1, m.group(1), m.group(2))

    def guard(self, path, code):
        m = GUARD.match(code)
        if not m or m.group(1) != m.group(2) or not code.rstrip().endswith("#endif"):
            self.add(path, 1, "guard", "none, or it does not span the file")
        elif self.guards.setdefault(m.group(1), path) != path:
            self.add(path, 1, "guard", m.group(1) + " is that of " + self.guards[m.group(1)])

    def include(self, path, place, line, word, what):
        m = re.fullmatch(r'"([^"]+)"|<([^<>]+)>', what)
        name = m and (m.group(1) or m.group(2))
        if not name or word != "include":
            self.add(path, line, "spelling", word + " " + what)
            return
        if any(p in ("", ".", "..") for p in name.split("/")):
            self.add(path, line, "spelling", name)
            return
        if place in NO_IO and IO.match(name):
            self.add(path, line, "no-io", name)
        folder = name.split("/")[0]
        if folder in HOUSE and "/" in name and not name.endswith(".pb-c.h"):
            if folder != place.split("/")[-1] and folder not in ARROWS[place]:
                self.add(path, line, "arrow", "%s -> %s" % (place, name))
            return
        self.library(path, place, line, name, quoted=bool(m.group(1)))

    def library(self, path, place, line, name, quoted):
        for pattern, where, files in LIBRARIES:
            if not re.match(pattern, name):
                continue
            if place not in where and path not in where:
                self.add(path, line, "library", "%s: %s only" % (name, ", ".join(where)))
            elif files and self.single.setdefault(pattern, path) != path:
                self.add(path, line, "one-file", "%s: %s has it" % (name, self.single[pattern]))
            return
        if quoted:
            # a bare name is a neighbour: the compiler looks there first, so it crosses no line
            beside = os.path.join(self.root, os.path.dirname(path), name)
            if "/" in name or not os.path.isfile(beside):
                self.add(path, line, "spelling", name)
        elif not SYSTEM.match(name):
            self.add(path, line, "unlisted", name)


# --- self-test ---

def header(guard, body=""):
    return "%s\n/* why */\n#ifndef %s\n#define %s\n%s\n#endif\n" % (SPDX, guard, guard, body)


def source(body):
    return "%s\n%s\n" % (SPDX, body)


GOOD = {
    "lib/base/buf.h": header("EXP_BASE_BUF_H", "#include <stddef.h>"),
    "lib/base/json.c": source('#include <json-c/json.h>\n#include "base/buf.h"'),
    "lib/base/crc.c": source("#include <isa-l.h>\n#include <isa-l/crc.h>"),
    "lib/device/transport_libnvme.c": source("#include <libnvme.h>\n#include <sys/ioctl.h>"),
    "daemon/config.h": header("EXPD_CONFIG_H", '#include "base/buf.h"'),
    "lib/wire/msg.c": source('#include "peer.pb-c.h"\n#include "model/ids.h"'),
    "lib/control/client.c": source("#include <curl/curl.h>\n#include <exp/error.h>"),
    "lib/handover/src.c": source('#include <string.h>\n#include "handover/plan.h"'),
    "daemon/loop.c": source('#include <event2/event.h>\n#include "config.h"\n#include "tls/ctx.h"\n'
                            '/* #include <sqlite3.h> */\n// #include "../x.h"\n'
                            'const char *s = "#include <curl/curl.h> XXXXXX";'),
    "tests/emu/vfu.c": source('#include "emu/vfu.h"\n#include "base/le.h"\n#include <poll.h>'),
    "tests/unit/test_buf.c": source('#include "support/tests.h"\n#include "emu/vfu.h"'),
    "build/x.c": "#include <nothing.h> \n",
    ".cache/x.c": "#include <nothing.h> \n",
}

# One file more, and the (line, rule) it must be blamed for: typed by hand, not from the table.
BAD = (
    ("lib/model/a.c", source('#include "nvme/spec.h"'), 2, "arrow"),
    ("lib/model/a.c", source("#include <wire/msg.h>"), 2, "arrow"),
    ("lib/base/a.c", source('#include "model/ids.h"'), 2, "arrow"),
    ("lib/nvme/a.c", source('#include "model/ids.h"'), 2, "arrow"),
    ("lib/tls/a.c", source('#include "model/ids.h"'), 2, "arrow"),
    ("lib/handover/a.c", source('#include "copy/dirty.h"'), 2, "arrow"),
    ("lib/copy/a.c", source('#include "handover/src.h"'), 2, "arrow"),
    ("lib/device/a.c", source('#include "daemon/loop.h"'), 2, "arrow"),
    ("ctl/a.c", source('#include "wire/msg.h"'), 2, "arrow"),
    ("ctl/a.c", source('int x;\n#\tinclude\t"device/device.h"'), 3, "arrow"),
    ("tests/emu/a.c", source('#include "nvme/spec.h"'), 2, "arrow"),
    ("tests/emu/a.c", source('#include "model/ids.h"'), 2, "arrow"),
    ("daemon/a.c", source('#include "emu/vfu.h"'), 2, "arrow"),
    ("include/exp/a.h", header("A", '#include "base/buf.h"'), 5, "arrow"),
    ("lib/wire/a.c", source('/*\n*/ #include /* b */ "tls/\\\nctx.h"'), 3, "arrow"),
    ("lib/wire/a.c", source("#include <event2/event.h>"), 2, "library"),
    ("tests/emu/a.c", source("#include <event2/event.h>"), 2, "library"),
    ("daemon/a.c", source("#include <sqlite3.h>"), 2, "library"),
    ("lib/device/device.c", source("#include <libnvme.h>"), 2, "library"),
    ("lib/base/json_text.c", source("#include <json-c/json.h>"), 2, "library"),
    ("ctl/a.c", source("#include <json-c/json.h>"), 2, "library"),
    ("daemon/a.c", source("#include <curl/curl.h>"), 2, "library"),
    ("daemon/a.c", source("#include <openssl/ssl.h>"), 2, "library"),
    ("daemon/a.c", source("#include <protobuf-c/protobuf-c.h>"), 2, "library"),
    ("daemon/a.c", source('#include "wire/peer.pb-c.h"'), 2, "library"),
    ("ctl/a.c", source('#include "peer.pb-c.h"'), 2, "library"),
    ("lib/base/a.c", source("#include <systemd/sd-daemon.h>"), 2, "library"),
    ("lib/copy/a.c", source("#include <isa-l.h>"), 2, "library"),
    ("lib/base/a.c", source("#include <cmocka.h>"), 2, "library"),
    ("lib/wire/a.c", source("#include <isa-l/crc.h>"), 2, "one-file"),
    ("daemon/a.c", source("#include <glib.h>"), 2, "unlisted"),
    ("daemon/a.c", source('#include "../lib/wire/msg.h"'), 2, "spelling"),
    ("daemon/a.c", source('#include "wire/../tls/ctx.h"'), 2, "spelling"),
    ("daemon/a.c", source('#include "./loop.h"'), 2, "spelling"),
    ("daemon/a.c", source('#include "/usr/include/sqlite3.h"'), 2, "spelling"),
    ("daemon/a.c", source('#include "msg.h"'), 2, "spelling"),
    ("daemon/a.c", source('#include "sub/config.h"'), 2, "spelling"),
    ("lib/base/sub/a.c", source('#include "buf.h"'), 2, "spelling"),
    ("daemon/a.c", source('#define H "wire/msg.h"\n#include H'), 3, "spelling"),
    ("daemon/a.c", source("#include_next <stdio.h>"), 2, "spelling"),
    ("lib/handover/a.c", source('#include "base/fs.h"'), 2, "no-io"),
    ("lib/handover/a.c", source("u64 f(void) { return exp_mono_ms(); }"), 2, "no-io"),
    ("lib/copy/a.c", source("\nid = exp_uuid_new();"), 3, "no-io"),
    ("lib/handover/a.c", source("#include <unistd.h>"), 2, "no-io"),
    ("lib/copy/a.c", source("#include <sys/socket.h>"), 2, "no-io"),
    ("lib/model/a.h", source("int x;"), 1, "guard"),
    ("lib/model/a.h", source("#ifndef A\n#define B\n#endif"), 1, "guard"),
    ("lib/model/a.h", header("A") + "int x;\n", 1, "guard"),
    ("lib/model/a.h", header("EXP_BASE_BUF_H"), 1, "guard"),
    ("lib/model/a.c", "int x;\n", 1, "spdx"),
    ("lib/model/a.def", "X(1)\n", 1, "spdx"),
    ("lib/model/a.c", source("int x; "), 2, "space"),
    ("lib/model/a.c", source("int x;\r"), 2, "space"),
    ("lib/CMakeLists.txt", "a()\t\n", 1, "space"),
    ("lib/model/a.c", source("/* FI" "XME: later */"), 2, "unfinished"),
    ("lib/model/a.c", source("int x; // TO" "DO"), 2, "unfinished"),
    ("tools/a.c", source("int x;"), 1, "outside"),
    ("a.c", source("int x;"), 1, "outside"),
)


def check_tree(files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8", newline="") as f:
                f.write(text)
        return Check(root).run()


def self_test():
    wrong = ["a good tree is blamed: %s" % (v,) for v in check_tree(GOOD)]
    for path, text, line, rule in BAD:
        tree = dict(GOOD)
        tree[path] = text
        got = [(v[0], v[1], v[2]) for v in check_tree(tree)]
        if got != [(path, line, rule)]:
            wrong.append("%s, %r: wanted line %d [%s], got %s" % (path, text, line, rule, got))
    for rule in set(RULES) - {b[3] for b in BAD}:
        wrong.append("no test makes [%s] fail" % rule)
    for line in wrong:
        print(line)
    print("layers.py --self-test: %d cases, %d wrong" % (len(BAD) + 1, len(wrong)))
    return 1 if wrong else 0


def main(args):
    if args == ["--self-test"]:
        return self_test()
    if len(args) != 1 or not os.path.isdir(args[0]):
        print("usage: layers.py ROOT | --self-test", file=sys.stderr)
        return 2
    found = Check(args[0]).run()
    for path, line, rule, what in found:
        print("%s:%d: [%s] %s; %s" % (path, line, rule, what, RULES[rule]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
