# SPDX-License-Identifier: Apache-2.0
"""Daemons killed, links cut and drives dying at every point of a migration.

Whatever dies: one host owns the export, by the records of both and by the attachments on both drives;
the job ends on both sides; the guest lost nothing; and the next migration goes well. Points are
reached by conditions: a hold, a drive that is stopped, a link that is slow, a disk that is full.
"""

import signal
import subprocess

import pytest

from lib.hosts import MIB, Hosts, Problem, Vm, ip
from lib.proc import wait_for


@pytest.fixture
def hosts(lab):
    return Hosts(lab)


@pytest.fixture
def pair(lab, hosts):
    """An export of host a and the guest that writes on it."""
    return start_vm(lab, hosts)


def start_vm(lab, hosts):
    export = hosts.a.create_export(size=32 * MIB)
    vm = Vm(lab, hosts.a)
    vm.writes_on()
    return export, vm


# --- how things end, and come back ---


def end(host, how):
    if how == "kill":
        host.kill()
    else:
        assert host.daemon.stop() == 0


def freeze(lab, drive):
    """It answers nothing any more, until it is thawed."""
    drive.proc.popen.send_signal(signal.SIGSTOP)
    lab.at_end(lambda: thaw(drive))


def thaw(drive):
    if drive.proc.alive():
        drive.proc.popen.send_signal(signal.SIGCONT)


def slow(hosts, rate="30mbit"):
    """The copy takes a while: what host a sends is held back."""
    subprocess.run(["tc", "-n", hosts.cable.ns[0], "qdisc", "add", "dev", hosts.cable.dev[0],
                    "root", "tbf", "rate", rate, "burst", "32kb", "latency", "400ms"], check=True)


def fast(hosts):
    subprocess.run(["tc", "-n", hosts.cable.ns[0], "qdisc", "del", "dev", hosts.cable.dev[0],
                    "root"], check=True)


def deaf(hosts):
    """Host a hears nothing any more, but is heard."""
    subprocess.run(["ip", "netns", "exec", hosts.cable.ns[0], "nft",
                    "add table inet deaf; add chain inet deaf in "
                    "{ type filter hook input priority 0; policy drop; }; "
                    "add rule inet deaf in iif lo accept"], check=True)


def hears(hosts):
    subprocess.run(["ip", "netns", "exec", hosts.cable.ns[0], "nft", "delete table inet deaf"],
                   check=True)


# --- points of a migration ---


def waits_for(host, migration, state, what):
    """Until it waits in this state for this."""
    return wait_for(lambda: (m := host.wait_state(migration, state))["waiting_for"] == what and m,
                    f"the migration waits for {what}")


def to_preflight(lab, hosts, export, vm):
    freeze(lab, hosts.b.ssd)
    m = hosts.a.migrate(export["id"], "b")
    hosts.a.wait_state(m["id"], "preflight")
    return m["id"]


def to_copying(lab, hosts, export, vm):
    slow(hosts)
    m = hosts.a.migrate(export["id"], "b")
    wait_for(lambda: hosts.a.wait_state(m["id"], "preflight", "preparing", "copying")
             ["bytes"]["sent"] > 1 * MIB, "data flows")
    hosts.a.wait_state(m["id"], "copying")
    hosts.b.wait_state(m["id"], "receiving")
    return m["id"]


def to_ready(lab, hosts, export, vm):
    m = hosts.a.migrate(export["id"], "b", hold=["switch"])
    vm.prepare_target(hosts.b, m["id"])
    waits_for(hosts.a, m["id"], "ready", "switchover")
    return m["id"]


def to_restored(lab, hosts, export, vm, **more):
    m = hosts.a.migrate(export["id"], "b", hold=["commit"], **more)
    vm.prepare_target(hosts.b, m["id"])
    waits_for(hosts.a, m["id"], "switching", "commit")
    assert hosts.b.migration(m["id"])["state"] == "restored"
    return m["id"]


def to_fencing(lab, hosts, export, vm):
    m = to_restored(lab, hosts, export, vm)
    freeze(lab, hosts.a.ssd)
    hosts.a.verb(m, "commit")
    wait_for(lambda: hosts.a.migration(m)["waiting_for"] == "", "it is behind the hold")
    return m


def to_rolling_back(lab, hosts, export, vm):
    """The destination waits for its VMM, and so does the source."""
    m = to_restored(lab, hosts, export, vm)
    hosts.a.verb(m, "abort")
    waits_for(hosts.a, m, "rolling-back", "the destination to discard")
    hosts.b.wait_state(m, "discarding")
    return m


POINTS = {"preflight": to_preflight, "copying": to_copying, "ready": to_ready,
          "switching": to_restored, "fencing": to_fencing, "rolling-back": to_rolling_back}


# --- what has to hold afterwards ---


def no_open_jobs(hosts):
    for host in (hosts.a, hosts.b):
        wait_for(lambda h=host: h.get("/v1/migrations?open=1")["migrations"] == [],
                 f"no job is open at {host.name}")


def check_back(hosts, export, vm, migration, code, outcome="failed", known_to_b=True):
    """The guest went on at the source, nothing is left over, and the next move goes well."""
    if hasattr(vm, "to"):  # its VMM sees that it stays, and lets the target go
        hosts.a.wait_state(migration, "rolling-back", outcome)
        vm.stay()
        del vm.to
    ended = hosts.a.wait_state(migration, outcome)
    assert ended["error"]["code"] == code, ended["error"]
    if known_to_b:
        assert hosts.b.wait_state(migration, "discarded")
    hosts.wait_clean(export, hosts.a)
    no_open_jobs(hosts)
    vm.writes_on()
    vm.migrate(export, hosts.b)
    vm.writes_on()
    hosts.wait_clean(export, hosts.b)
    no_open_jobs(hosts)
    vm.end_well()


def check_moved(hosts, export, vm, migration):
    """It runs at the destination; the source took down; and it can go back."""
    hosts.b.wait_state(migration, "done")
    hosts.a.wait_state(migration, "done")
    hosts.wait_clean(export, hosts.b)
    no_open_jobs(hosts)
    vm.writes_on()
    vm.migrate(export, hosts.a)
    vm.writes_on()
    hosts.wait_clean(export, hosts.a)
    vm.end_well()


# --- the source's daemon ---


@pytest.mark.parametrize("how", ["kill", "stop"])
@pytest.mark.parametrize("point", ["preflight", "copying", "ready", "switching", "rolling-back"])
def test_source_before_release(lab, hosts, pair, point, how):
    """Before `released` a restart always goes back, and the guest never waits for the daemon."""
    export, vm = pair
    m = POINTS[point](lab, hosts, export, vm)
    end(hosts.a, how)
    vm.writes_on()
    thaw(hosts.b.ssd)
    hosts.a.start()
    if point == "copying":
        fast(hosts)
    stopped = how == "stop" and point == "switching"
    aborted = point == "rolling-back"
    check_back(hosts, export, vm, m, "CANCELLED" if stopped else "ABORTED" if aborted
               else "RESTARTED", "cancelled" if stopped or aborted else "failed",
               known_to_b=point != "preflight")


def test_source_while_fencing(lab, hosts, pair):
    """RESTORED is in, detach may be on its way to the drive: it goes back all the same."""
    export, vm = pair
    m = to_fencing(lab, hosts, export, vm)
    hosts.a.kill()
    thaw(hosts.a.ssd)
    hosts.a.start()
    check_back(hosts, export, vm, m, "RESTARTED")
