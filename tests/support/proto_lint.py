#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""proto_lint.py - the rules of proto/README.md, as far as a program can check them

    proto_lint.py             compare peer.proto with peer.numbers and states.def
    proto_lint.py --record    append new numbers to peer.numbers; never changes or drops a line
    proto_lint.py --selftest  each rule is seen to fail on a broken copy
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

FIELD = re.compile(r"^(repeated\s+|optional\s+|required\s+)?([A-Za-z0-9_.]+)\s+([a-z0-9_]+)\s*=\s*(\d+)\s*(\[.*\])?;$")
VALUE = re.compile(r"^([A-Z0-9_]+)\s*=\s*(\d+)\s*;$")
# A flag that has to be set to keep what peers did before.
NEGATIVE = re.compile(r"(^|_)(no|not|disable|disabled|without|skip|legacy|old|compat)(_|$)")


class Bad(Exception):
    pass


def parse(text):
    """{(scope, number): (name, type)}, {scope: reserved numbers}, the errors found on the way"""
    items, reserved, errors, scopes = {}, {}, [], []
    for lineno, raw in enumerate(text.splitlines(), 1):
        line = raw.split("//")[0].strip()
        if not line:
            continue
        where = "line %d: " % lineno
        m = re.match(r"^(message|enum|oneof)\s+(\w+)\s*\{$", line)
        if m:
            scopes.append((m.group(1), m.group(2)))
            continue
        if line == "}":
            scopes.pop()
            continue
        if not scopes:
            if not re.match(r'^(syntax = "proto3";|package exp;)$', line):
                errors.append(where + "unexpected %r outside a message" % line)
            continue
        kind = scopes[-1][0]
        scope = ".".join(n for k, n in scopes if k != "oneof")
        m = re.match(r"^reserved\s+(.+);$", line)
        if m:
            for part in m.group(1).split(","):
                part = part.strip()
                if not part.startswith('"'):
                    lo, _, hi = part.partition(" to ")
                    reserved.setdefault(scope, set()).update(range(int(lo), int(hi or lo) + 1))
            continue
        m = VALUE.match(line) if kind == "enum" else FIELD.match(line)
        if not m:
            errors.append(where + "not understood: %r" % line)
            continue
        if kind == "enum":
            name, number, typ = m.group(1), int(m.group(2)), "value"
        else:
            label, typ, name, number = (m.group(1) or "").strip(), m.group(2), m.group(3), int(m.group(4))
            if label in ("optional", "required"):
                errors.append(where + "%s.%s is %s: absent must mean zero" % (scope, name, label))
            if m.group(5):
                errors.append(where + "%s.%s has options %s" % (scope, name, m.group(5)))
            if typ == "bool" and NEGATIVE.search(name):
                errors.append(where + "%s.%s: a flag that says no; false must be the old behaviour"
                              % (scope, name))
            if label == "repeated":
                typ = "repeated " + typ
        if (scope, number) in items:
            errors.append(where + "%s: number %d is given twice, to %s and %s"
                          % (scope, number, items[(scope, number)][0], name))
        if number in reserved.get(scope, ()):
            errors.append(where + "%s: number %d is reserved" % (scope, number))
        items[(scope, number)] = (name, typ)
        if kind == "enum":
            items.setdefault((scope, None), (None, "enum"))
    for scope, number in [k for k in items if k[1] is None]:
        zero = items.pop((scope, None)) and items.get((scope, 0))
        if not zero or not re.search(r"_(NONE|UNSET)$", zero[0]):
            errors.append("enum %s: 0 must be its NONE (or UNSET) value" % scope)
    return items, reserved, errors


def read_numbers(text):
    out = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        scope, number, name, typ = line.split(None, 3)
        out[(scope, int(number))] = (name, typ)
    return out


def compare(items, reserved, numbers):
    errors = []
    for (scope, number), (name, typ) in sorted(numbers.items()):
        now = items.get((scope, number))
        if now is None:
            if number not in reserved.get(scope, ()):
                errors.append("%s %d (%s) is gone and not reserved" % (scope, number, name))
        elif now != (name, typ):
            errors.append("%s %d was %s %s and is now %s %s: numbers are never reused"
                          % (scope, number, typ, name, now[1], now[0]))
    new = sorted(set(items) - set(numbers))
    return errors, new


def states(items, text):
    """the state enumerations say exactly what states.def says"""
    errors = []
    lists = {"SRC": ("SourceState", "SOURCE_"), "DST": ("DestinationState", "DESTINATION_"),
             "EXPORT": ("ExportStatus", "EXPORT_"), "TARGET": ("TargetState", "TARGET_")}
    for macro, (enum, prefix) in lists.items():
        want = {int(v): prefix + n for n, v in re.findall(r"^EXP_%s\((\w+), (\d+)," % macro, text, re.M)}
        have = {num: name for (scope, num), (name, _) in items.items() if scope == enum and num}
        if not want or want != have:
            errors.append("enum %s and states.def differ: %s" % (enum, sorted(set(want.items()) ^ set(have.items()))))
    return errors


def load(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def check(proto, numbers, sdef):
    items, reserved, errors = parse(proto)
    more, new = compare(items, reserved, read_numbers(numbers))
    errors += more
    errors += ["%s %d (%s) is not recorded: run proto_lint.py --record" % (s, n, items[(s, n)][0])
               for s, n in new]
    return errors + states(items, sdef)


def record():
    items, reserved, errors = parse(load("proto/peer.proto"))
    path = os.path.join(ROOT, "proto/peer.numbers")
    old = load("proto/peer.numbers") if os.path.exists(path) else (
        "# Every number that peer.proto ever gave out: scope, number, name, type. Append only;\n"
        "# written by tests/support/proto_lint.py --record.\n")
    more, new = compare(items, reserved, read_numbers(old))
    errors += more
    if errors:
        raise Bad("\n".join(errors))
    with open(path, "w", encoding="utf-8") as f:
        f.write(old)
        for scope, number in new:
            f.write("%s %d %s %s\n" % (scope, number, *items[(scope, number)]))
    print("%d new" % len(new))


def selftest():
    proto, numbers, sdef = load("proto/peer.proto"), load("proto/peer.numbers"), load("lib/model/states.def")

    def sub(a, b, text=proto):
        if a not in text:
            raise Bad("selftest is out of date: %r is not there" % a)
        return text.replace(a, b, 1)

    broken = {
        "a number with another type": (sub("uint32 attempt = 2", "uint64 attempt = 2"), numbers, sdef),
        "a number with another name": (sub("uint32 attempt = 2", "uint32 tries = 2"), numbers, sdef),
        "two fields on a number": (sub("uint32 attempt = 2", "uint32 attempt = 1"), numbers, sdef),
        "a field dropped and not reserved": (sub("  uint64 wall_ms = 8;", "  "), numbers, sdef),
        "a field not recorded": (sub("  uint64 wall_ms = 8;", "  uint64 wall_ms = 8;\n  uint32 x = 99;\n"),
                                 numbers, sdef),
        "a reserved number used": (sub("  uint64 wall_ms = 8;", "  reserved 8;\n  uint64 wall_ms = 8;"),
                                   numbers, sdef),
        "optional": (sub("uint64 wall_ms = 8", "optional uint64 wall_ms = 8"), numbers, sdef),
        "a default": (sub("uint64 wall_ms = 8", "uint64 wall_ms = 8 [deprecated = true]"), numbers, sdef),
        "a flag that says no": (sub("bool enabled = 2", "bool not_enabled = 2"),
                                sub("Controller 2 enabled", "Controller 2 not_enabled", numbers), sdef),
        "an enumeration without a zero": (sub("  ROLE_NONE = 0;\n", ""),
                                          sub("Role 0 ROLE_NONE value\n", "", numbers), sdef),
        "a state that states.def has not": (proto, numbers, sub("EXP_SRC(TAKEN, 11,", "EXP_SRC(TAKEN, 12,", sdef)),
        "another syntax": (sub('syntax = "proto3";', 'syntax = "proto2";'), numbers, sdef),
    }
    for what, args in broken.items():
        if not check(*args):
            raise Bad("selftest: %s was not noticed" % what)
    gone = sub("  uint64 wall_ms = 8;     //", '  reserved 8;\n  reserved "wall_ms";  //')
    if check(gone, numbers, sdef):
        raise Bad("selftest: a reserved field is refused")
    print("%d broken copies noticed" % len(broken))


def main():
    if sys.argv[1:] == ["--record"]:
        record()
        return
    if sys.argv[1:] == ["--selftest"]:
        selftest()
        return
    if sys.argv[1:]:
        raise Bad(__doc__)
    errors = check(load("proto/peer.proto"), load("proto/peer.numbers"), load("lib/model/states.def"))
    if errors:
        raise Bad("\n".join(errors))


if __name__ == "__main__":
    try:
        main()
    except Bad as e:
        sys.exit("proto_lint: %s" % e)
