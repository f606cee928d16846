# SPDX-License-Identifier: Apache-2.0
"""Daemons killed, links cut and drives dying at every point of a migration.

Whatever dies: one host owns the export, by the records of both and by the attachments on both drives;
the job ends on both sides; the guest lost nothing; and the next migration goes well. Points are
reached by conditions: a hold, a drive that is stopped, a link that is slow, a disk that is full.
"""

import contextlib
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


def small_disk(lab, host, mib=8):
    """The state directory of a host gets a disk of its own, with room for a few megabytes."""
    disk = host.dir / "state"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0700", "tmpfs", disk],
                   check=True)
    lab.at_end(lambda: subprocess.run(["umount", "-l", disk], check=True))
    return disk


def fill(disk):
    with open(disk / "filler", "wb", buffering=0) as f, contextlib.suppress(OSError):
        while True:
            f.write(bytes(4096))


def clear(disk):
    (disk / "filler").unlink()


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
    return to_copying_slowly(hosts, export)


def to_copying_slowly(hosts, export):
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


def hand_over(vm):
    """The VMM's last memory pass, which takes stopped vCPUs, before it says commit."""
    vm.guest.do("pause")
    vm.take_over()


def arrive(vm):
    """Go on at the destination. It ran on after Suspend, so the doorbells are rung again."""
    vm.arrive(ring=True)


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


def end_unharmed(vm):
    """Commands may have failed, visibly; whatever was acknowledged is there, once and whole."""
    assert vm.guest.do("identity")["identity_bytes_changed"] == 0
    report, _ = vm.guest.stop()
    assert [report[k] for k in ("lost", "torn", "duplicated", "reordered", "foreign",
                                "identity_bytes_changed")] == [0] * 6, report


def check_moved(hosts, export, vm, migration, end_it=Vm.end_well):
    """It runs at the destination; the source took down; and it can go back."""
    hosts.b.wait_state(migration, "done")
    hosts.a.wait_state(migration, "done")
    hosts.wait_clean(export, hosts.b)
    no_open_jobs(hosts)
    vm.writes_on()
    vm.migrate(export, hosts.a)
    vm.writes_on()
    hosts.wait_clean(export, hosts.a)
    end_it(vm)


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


def test_source_while_preparing(lab):
    """The destination cannot store the job, its disk is full; the source goes away meanwhile."""
    hosts = Hosts(lab, start=False)
    disk = small_disk(lab, hosts.b)
    for host in (hosts.a, hosts.b):
        host.start()
    export, vm = start_vm(lab, hosts)
    fill(disk)
    m = hosts.a.migrate(export["id"], "b")["id"]
    waits_for(hosts.a, m, "preparing", "the destination to build the target")
    hosts.b.daemon.wait_text("commit failed")
    hosts.a.restart()
    hosts.a.wait_state(m, "rolling-back")
    vm.writes_on()
    clear(disk)
    check_back(hosts, export, vm, m, "RESTARTED")


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_source_released(lab, hosts, pair, how):
    """Nobody answers RELEASE: from here on the source never runs it, however often it restarts."""
    export, vm = pair
    m = to_restored(lab, hosts, export, vm)
    hand_over(vm)
    hosts.cable.cut()
    hosts.a.verb(m, "commit")
    waits_for(hosts.a, m, "released", "the destination to activate")
    assert hosts.runnable(export) == []
    for _ in range(2):
        end(hosts.a, how)
        hosts.a.start()
        waits_for(hosts.a, m, "released", "the destination to activate")
        assert hosts.runnable(export) == []
    with pytest.raises(Problem) as refused:
        hosts.a.verb(m, "cancel")
    assert refused.value.code == "TOO_LATE", refused.value
    hosts.cable.mend()
    hosts.b.wait_state(m, "active", "done")
    arrive(vm)
    check_moved(hosts, export, vm, m)


@pytest.mark.parametrize("who", ["a", "b"])
def test_active_is_lost(lab, hosts, pair, who):
    """The destination runs and has closed its job; the source does not know. One of them dies."""
    export, vm = pair
    m = to_restored(lab, hosts, export, vm)
    hand_over(vm)
    deaf(hosts)
    hosts.a.verb(m, "commit")
    hosts.b.wait_state(m, "done")
    arrive(vm)
    vm.writes_on()
    assert hosts.a.migration(m)["state"] == "released"
    hosts.check_owner(export, hosts.b)
    (hosts.a if who == "a" else hosts.b).restart()
    hosts.check_owner(export, hosts.b)
    hears(hosts)
    check_moved(hosts, export, vm, m)


# --- the destination's daemon ---


@pytest.mark.parametrize("how", ["kill", "stop"])
@pytest.mark.parametrize("point", ["copying", "ready", "rolling-back"])
def test_destination_before_restored(lab, hosts, pair, point, how):
    export, vm = pair
    m = POINTS[point](lab, hosts, export, vm)
    end(hosts.b, how)
    vm.writes_on()
    assert hosts.runnable(export) == ["a"]
    hosts.b.start()
    if point == "copying":
        fast(hosts)
    check_back(hosts, export, vm, m, "ABORTED" if point == "rolling-back" else "PEER_GONE",
               "cancelled" if point == "rolling-back" else "failed")


def test_destination_before_it_stored_the_job(lab):
    hosts = Hosts(lab, start=False)
    disk = small_disk(lab, hosts.b)
    for host in (hosts.a, hosts.b):
        host.start()
    export, vm = start_vm(lab, hosts)
    fill(disk)
    m = hosts.a.migrate(export["id"], "b")["id"]
    hosts.b.daemon.wait_text("commit failed")
    hosts.b.kill()
    clear(disk)
    hosts.b.start()
    vm.prepare_target(hosts.b, m)  # PREPARE came again
    vm.follow(m)
    check_moved(hosts, export, vm, m)


def test_destination_while_it_builds(lab, hosts, pair):
    """Killed with the target half built on its drive: built again, or given up with the copy.

    What was created and not recorded yet stays behind, held: nothing on the drive tells it from what
    somebody else has made.
    """
    export, vm = pair
    slow(hosts)
    m = hosts.a.migrate(export["id"], "b")["id"]
    wait_for(lambda: hosts.b.ssd.image()["namespaces"], "the first thing is built", step=0)
    freeze(lab, hosts.b.ssd)
    hosts.b.kill()
    half = hosts.a.migration(m)["state"] == "preparing"  # else it was faster than this test
    thaw(hosts.b.ssd)
    vm.writes_on()
    hosts.b.start()
    fast(hosts)
    if half:
        vm.prepare_target(hosts.b, m)
        vm.follow(m)
        hosts.check_owner(export, hosts.b)
        held = [n for n in hosts.b.ssd.image()["namespaces"] if not n["attached"] & ~1]
        assert len(held) <= 1
        no_open_jobs(hosts)
        vm.writes_on()
        vm.end_well()
    else:
        check_back(hosts, export, vm, m, "PEER_GONE")


@pytest.mark.parametrize("after", ["commit", "abort"])
def test_destination_restored(lab, hosts, pair, after):
    """It holds what it has, and whatever the source decides is done when it is back."""
    export, vm = pair
    m = to_restored(lab, hosts, export, vm)
    for _ in range(2):
        hosts.b.restart()
        waits_for(hosts.b, m, "restored", "the source to release or discard")
        assert hosts.runnable(export) == ["a"]
    hosts.b.kill()
    if after == "abort":
        hosts.a.verb(m, "abort")
        vm.writes_on()
        hosts.b.start()
        check_back(hosts, export, vm, m, "ABORTED", "cancelled")
        return
    hosts.b.start()
    waits_for(hosts.b, m, "restored", "the source to release or discard")
    hand_over(vm)
    hosts.a.verb(m, "commit")
    hosts.b.wait_state(m, "active", "done")
    arrive(vm)
    check_moved(hosts, export, vm, m)


@pytest.mark.parametrize("after", ["commit", "lease"])
def test_destination_asked_to_stop_when_restored(lab, hosts, pair, after):
    """It finishes what is in its blackout before it goes, whichever way it ends."""
    export, vm = pair
    m = to_restored(lab, hosts, export, vm, hold_lease_ms=30000 if after == "commit" else 700)
    hosts.b.daemon.popen.terminate()
    hosts.b.daemon.wait_text("stopping")
    if after == "commit":
        hand_over(vm)
        hosts.a.verb(m, "commit")
    else:
        hosts.a.wait_state(m, "rolling-back")
    assert hosts.b.daemon.wait() == 0
    if after == "commit":
        arrive(vm)
        vm.writes_on()
        hosts.b.start()
        check_moved(hosts, export, vm, m)
    else:
        vm.writes_on()
        hosts.b.start()
        check_back(hosts, export, vm, m, "LEASE")


def test_destination_activating(lab, hosts, pair):
    """The release is in and stored; attach or Resume may be on its way to the drive.

    With the daemon goes the suspension: commands that the guest had outstanding find no namespace.
    """
    export, vm = pair
    m = to_restored(lab, hosts, export, vm)
    hand_over(vm)
    freeze(lab, hosts.b.ssd)
    hosts.a.verb(m, "commit")
    hosts.b.wait_state(m, "activating")
    hosts.b.kill()
    assert hosts.a.migration(m)["state"] == "released"
    thaw(hosts.b.ssd)
    hosts.b.start()
    hosts.b.wait_state(m, "active", "done")
    arrive(vm)
    check_moved(hosts, export, vm, m, end_unharmed)


# --- both ---


@pytest.mark.parametrize("first", ["a", "b"])
@pytest.mark.parametrize("point", ["copying", "switching", "released", "activating"])
def test_both(lab, hosts, pair, point, first):
    export, vm = pair
    moved = point in ("released", "activating")
    if moved:
        m = to_restored(lab, hosts, export, vm)
        hand_over(vm)
        if point == "released":
            hosts.cable.cut()
        else:
            freeze(lab, hosts.b.ssd)
        hosts.a.verb(m, "commit")
        hosts.a.wait_state(m, "released")
        if point == "activating":
            hosts.b.wait_state(m, "activating")
    else:
        m = POINTS[point](lab, hosts, export, vm)
    for host in (hosts.a, hosts.b):
        host.kill()
    if point == "released":
        hosts.cable.mend()
    thaw(hosts.b.ssd)
    if not moved:
        vm.writes_on()
    order = [hosts.a, hosts.b]
    for host in order if first == "a" else reversed(order):
        host.start()
    if point == "copying":
        fast(hosts)
    if moved:
        hosts.b.wait_state(m, "active", "done")
        arrive(vm)
        check_moved(hosts, export, vm, m, end_unharmed)
    else:
        check_back(hosts, export, vm, m, "RESTARTED")


# --- the link ---


@pytest.mark.parametrize("point", ["copying", "ready", "switching"])
def test_link_before_release(lab, hosts, pair, point):
    export, vm = pair
    m = POINTS[point](lab, hosts, export, vm)
    hosts.cable.cut()
    vm_waits = point == "switching"  # the guest is suspended there, by request
    if not vm_waits:
        vm.writes_on()
    hosts.a.verb(m, "cancel")  # nobody needs to wait for a link
    hosts.a.wait_state(m, "rolling-back")
    vm.writes_on()
    hosts.cable.mend()
    if point == "copying":
        fast(hosts)
    check_back(hosts, export, vm, m, "CANCELLED", "cancelled")


def test_link_released(lab, hosts, pair):
    export, vm = pair
    m = to_restored(lab, hosts, export, vm)
    hand_over(vm)
    hosts.cable.cut()
    hosts.a.verb(m, "commit")
    waits_for(hosts.a, m, "released", "the destination to activate")
    assert hosts.b.migration(m)["state"] == "restored" and hosts.runnable(export) == []
    hosts.cable.mend()
    hosts.b.wait_state(m, "active", "done")
    arrive(vm)
    check_moved(hosts, export, vm, m)


# --- the drives ---


def test_drive_of_the_guest_dies(hosts, pair):
    """The guest's device is gone with it: the job ends, and with the drive everything is back."""
    export, vm = pair
    slow(hosts)
    m = to_copying_slowly(hosts, export)
    hosts.a.ssd.proc.kill()
    vm.guest.wait_phase("device-gone")
    hosts.a.wait_state(m, "rolling-back")
    fast(hosts)
    hosts.a.ssd.start()
    wait_for(lambda: hosts.a.get("/v1/devices/ssd0")["state"] == "ready", "the drive is back", 30)
    vm.guest.do("reattach", function=str(hosts.a.ssd.fn(vm.controller)))
    ended = hosts.a.wait_state(m, "failed")
    assert ended["error"]["code"] in ("DEVICE_GONE", "DEVICE", "ABORTED"), ended["error"]
    hosts.b.wait_state(m, "discarded")
    hosts.wait_clean(export, hosts.a)
    no_open_jobs(hosts)
    vm.writes_on()
    vm.migrate(export, hosts.b)
    vm.writes_on()
    hosts.wait_clean(export, hosts.b)
    end_unharmed(vm)


def test_drive_of_the_destination_dies(hosts, pair):
    export, vm = pair
    slow(hosts)
    m = to_copying_slowly(hosts, export)
    hosts.b.ssd.proc.kill()
    hosts.a.wait_state(m, "rolling-back", "failed")
    vm.writes_on()
    assert hosts.runnable(export) == ["a"]
    fast(hosts)
    hosts.b.ssd.start()
    wait_for(lambda: hosts.b.get("/v1/devices/ssd0")["state"] == "ready", "the drive is back", 30)
    ended = hosts.a.wait_state(m, "failed")
    assert "b gave up" in ended["error"]["message"], ended["error"]
    hosts.b.wait_state(m, "discarded")
    hosts.wait_clean(export, hosts.a)
    no_open_jobs(hosts)
    vm.migrate(export, hosts.b)
    vm.writes_on()
    hosts.wait_clean(export, hosts.b)
    vm.end_well()
