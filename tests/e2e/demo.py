#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demonstration behind tests/demo.sh: two hosts, a guest that writes, one live move, the proof."""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lib.hosts import Hosts, Problem, Vm  # noqa: E402
from lib.proc import Proc, program  # noqa: E402


class Lab:
    """What the hosts need of a test's lab, without a test around it."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="expd-demo-", dir="/var/tmp"))
        self.procs, self.endings = [], []

    def run(self, name, *argv, env=None):
        proc = Proc(name, argv, self.dir, env)
        self.procs.append(proc)
        return proc

    def at_end(self, fn):
        self.endings.append(fn)

    def finish(self, keep):
        for fn in reversed(self.endings):
            fn()
        for proc in reversed(self.procs):
            proc.end()
        if not keep:
            shutil.rmtree(self.dir)


def say(text=""):
    print(text, flush=True)


def parse_size(text):
    m = re.fullmatch(r"(\d+)([KMGT]?)", text)
    if not m or not int(m[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: 512M, 2G ...")
    return int(m[1]) << {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[m[2]]


def human(n):
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            return f"{n:.0f} {unit}" if n == int(n) else f"{n:.1f} {unit}"
        n /= 1024


def vmm(vm, hosts, ident, errors):
    """The VM manager's part: a controller at the destination, then the switch of the VM."""
    try:
        vm.prepare_target(hosts.b, ident)
        vm.follow(ident, seconds=600)
    except (AssertionError, OSError, Problem) as e:
        errors.append(str(e))


def newest_migration(host):
    found = host.get("/v1/migrations")["migrations"]
    return found[0]["id"] if found else None


def follow_with_expctl(hosts, nqn):
    """expctl migrate, as a person would; its live line goes straight to the terminal."""
    return subprocess.Popen([program("expctl"), "--socket", str(hosts.a.socket), "migrate", nqn,
                             "--to", "b"])


def fill(lab, hosts, args):
    """A first life of the VM, so that there is something to move: about half of the SSD is written."""
    say("A VM boots on it and fills about half of it ...")
    first = Vm(lab, hosts.a, 1, "first", "--rate", "0", "--queues", "4", "--read-percent", "0",
               "--size-max", "64K", "--deallocates", "0", "--write-zeroes", "0")
    first.guest.wait_writes(max(1000, args.size // 2 // (32 << 10)), seconds=600)
    report = first.guest.stop_well()
    say(f"  {report['acked_writes']} writes, all read back; the VM is switched off again")


def move(lab, hosts, args):
    say("Two hosts stand ready, each with an SSD of its own:")
    for host in (hosts.a, hosts.b):
        d = host.get("/v1/devices/ssd0")
        say(f"  host {host.name}: {d['model']} ({host.ssd.profile}), serial {d['serial']}")
    export = hosts.a.create_export(size=args.size)
    say(f"\nHost a exports a virtual SSD of {human(args.size)}:\n  {export['nqn']}")
    fill(lab, hosts, args)
    vm = Vm(lab, hosts.a, 1, "guest", "--rate", str(args.rate), "--queues", "4", "--adopt")
    say("Now it boots again and goes on writing on 4 queues; each block carries where, when and a "
        "checksum.")
    vm.guest.wait_writes(args.rate * 3, seconds=120)
    before = vm.guest.status()
    say(f"  {before['acked_writes']} writes acknowledged so far\n")
    say("Now the virtual SSD moves to host b, while the VM writes on:")
    errors = []
    ctl = follow_with_expctl(hosts, export["nqn"])
    ident = wait_for_migration(hosts.a, ctl)
    helper = threading.Thread(target=vmm, args=(vm, hosts, ident, errors))
    helper.start()
    status = ctl.wait(timeout=900)
    helper.join(timeout=120)
    m = hosts.a.migration(ident)
    if status or errors or m["state"] != "done":
        say("\nThe move failed: " + "; ".join(errors or [str(m.get("error"))]))
        return vm, m
    say("\nThe VM is on host b and goes on writing; then every block is read and compared.")
    vm.guest.wait_writes(args.rate * 2, seconds=120)
    return vm, m


def wait_for_migration(host, ctl):
    while True:
        ident = newest_migration(host)
        if ident:
            return ident
        if ctl.poll() is not None:
            raise SystemExit(f"expctl migrate ended with {ctl.returncode} before it began")


def summary(m, guest, hosts, size):
    steps = m.get("steps_us", {})
    bytes_ = m.get("bytes", {})
    moved = m["state"] == "done" and guest.get("outcome") == "ok"
    error = m.get("error") or {}
    return {
        "outcome": "moved" if moved else error.get("code", "GUEST_DAMAGED"),
        "namespace_bytes": size,
        "source": {"profile": hosts.a.ssd.profile},
        "destination": {"profile": hosts.b.ssd.profile},
        "guest": {k: guest.get(k) for k in ("acked_writes", "lost", "torn", "duplicated",
                                            "reordered", "identity_bytes_changed",
                                            "longest_gap_us")},
        "migration": {"id": m["id"], "rounds": m.get("rounds"), "bytes_sent": bytes_.get("sent"),
                      "blackout_us": m.get("blackout_us"), "steps_us": steps,
                      "attempts": m.get("attempt")},
    }


def tell(report, m, size, owners):
    g, mig = report["guest"], report["migration"]
    say("\nWhat the guest saw:")
    say(f"  {g['acked_writes']} writes acknowledged; lost {g['lost']}, torn {g['torn']}, "
        f"duplicated {g['duplicated']}, reordered {g['reordered']}")
    say(f"  bytes of identity that changed: {g['identity_bytes_changed']}")
    say(f"  longest time without an answer: {g['longest_gap_us'] / 1000:.1f} ms")
    say("What the daemons did:")
    say(f"  {human(mig['bytes_sent'])} sent for a namespace of {human(size)}, "
        f"{mig['rounds']} rounds")
    if mig["blackout_us"]:
        say(f"  blackout {mig['blackout_us'] / 1000:.1f} ms: " + ", ".join(
            f"{name} {us / 1000:.1f}" for name, us in mig["steps_us"].items() if us))
    say(f"  owner now, by both hosts' word: {', '.join(owners) or 'nobody'}")


def owners(hosts, nqn):
    found = []
    for host in (hosts.a, hosts.b):
        try:
            if host.export(nqn)["status"] == "owned":
                found.append(host.name)
        except Problem:
            pass
    return found


def main():
    parser = argparse.ArgumentParser(prog="tests/demo.sh")
    parser.add_argument("--report", type=pathlib.Path)
    parser.add_argument("--size", type=parse_size, default=2 << 30)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    lab = Lab()
    good = False
    try:
        hosts = Hosts(lab, blackout_limit_ms=1000)
        vm, m = move(lab, hosts, args)
        guest, status = vm.guest.stop()
        who = owners(hosts, m["exports"][0]["nqn"])
        report = summary(m, guest, hosts, args.size)
        tell(report, m, args.size, who)
        good = report["outcome"] == "moved" and status == 0 and who == ["b"]
        if args.report:
            args.report.write_text(json.dumps(report, indent=2) + "\n")
        say("\nNothing was lost, and the guest saw no other device." if good else
            f"\nThis did not hold. Logs: {lab.dir}")
    finally:
        lab.finish(args.keep or not good)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
