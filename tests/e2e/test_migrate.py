# SPDX-License-Identifier: Apache-2.0
"""Moves between two hosts: the guest loses nothing, sees no other device, and one host owns it."""

import signal

import pytest

from lib.hosts import MIB, Hosts, Problem, Vm
from lib.proc import wait_for

BLACKOUT_STEPS = ("suspend", "drain", "last_data", "get_state", "restore", "fence", "release",
                  "activate")


@pytest.fixture
def hosts(lab):
    return Hosts(lab)


def check_steps(done):
    """The blackout is known, and what it consisted of."""
    steps = done["steps_us"]
    assert all(steps[s] > 0 for s in BLACKOUT_STEPS + ("attempt",)), steps
    assert steps["hold"] == 0
    told = sum(steps[s] for s in BLACKOUT_STEPS)
    assert told <= done["blackout_us"] < told + 1_000_000  # commits lie between the steps


def start_vm(lab, host, *args, controller=1, name="guest", size=64 * MIB, lba=4096):
    """An export and a guest that has written on it."""
    export = host.create_export(size=size, lba=lba, controller=controller)
    vm = Vm(lab, host, controller, name, *args)
    vm.writes_on(1000)
    return export, vm


# --- live ---


@pytest.mark.smoke
def test_live_under_writes(lab, hosts):
    export, vm = start_vm(lab, hosts.a)
    done = vm.migrate(export, hosts.b)
    check_steps(done)
    hosts.check_owner(export, hosts.b)
    vm.writes_on(1000)
    hosts.wait_clean(export, hosts.b)
    assert vm.end_well()["moves"] == 1


def test_live_idle(lab, hosts):
    """Nothing is written during the move: there are no rounds, and it ends all the same."""
    export, vm = start_vm(lab, hosts.a)
    vm.guest.do("pause")
    done = vm.migrate(export, hosts.b)
    check_steps(done)
    assert done["bytes"]["remaining"] == 0
    vm.writes_on()
    hosts.wait_clean(export, hosts.b)
    vm.end_well()


@pytest.mark.parametrize("doorbells", ["map", "trap"])
def test_live_deep_queues(lab, doorbells):
    """Every queue is full when the guest is suspended; all of it is completed at the other end."""
    hosts = Hosts(lab, ssd_args={"doorbells": doorbells})
    export, vm = start_vm(lab, hosts.a, "--rate", 0, "--depth", 32, "--entries", 33)
    m = hosts.a.migrate(export["id"], "b", hold=["commit"])
    vm.prepare_target(hosts.b, m["id"])
    wait_for(lambda: hosts.a.migration(m["id"])["waiting_for"] == "commit", "it is restored")
    wait_for(lambda: vm.guest.status()["outstanding"] == 4 * 32, "every slot is taken")
    vm.take_over()
    hosts.a.verb(m["id"], "commit")
    hosts.b.wait_state(m["id"], "active", "done")
    vm.arrive()
    hosts.a.wait_state(m["id"], "done")
    hosts.check_owner(export, hosts.b)
    vm.writes_on(2000)
    vm.end_well()


@pytest.mark.parametrize("lba", [512, 4096])
def test_there_and_back_again(lab, hosts, lba):
    """A, B, A, B across unlike drives: one identity, and no pile of old copies."""
    export, vm = start_vm(lab, hosts.a, lba=lba)
    for to in (hosts.b, hosts.a, hosts.b):
        vm.migrate(export, to)
        hosts.wait_clean(export, to)
        assert vm.guest.do("identity")["identity_bytes_changed"] == 0
        vm.writes_on()
        for host in (hosts.a, hosts.b):  # the one in use, or the superseded one
            wait_for(lambda h=host: len(h.ssd.image()["namespaces"]) <= 1, "old copies go")
    assert hosts.a.export(export["id"])["status"] == "superseded"
    assert hosts.b.export(export["id"])["epoch"]["own"] == 4
    assert vm.end_well()["moves"] == 3


def test_same_vendor(lab):
    hosts = Hosts(lab, profiles=("aurora", "aurora"))
    export, vm = start_vm(lab, hosts.a)
    vm.migrate(export, hosts.b)
    vm.writes_on()
    vm.end_well()


def test_other_answers(lab):
    """A drive that answers the standard's open questions in another way."""
    hosts = Hosts(lab, profiles=("gentle", "borealis"))
    export, vm = start_vm(lab, hosts.a)
    vm.migrate(export, hosts.b)
    vm.writes_on()
    hosts.wait_clean(export, hosts.b)
    vm.migrate(export, hosts.a)
    vm.writes_on()
    hosts.wait_clean(export, hosts.a)
    vm.end_well()


def test_change_log_overflows(lab, hosts):
    """The daemon stands still while the guest writes: what the log lost is copied all the same."""
    export, vm = start_vm(lab, hosts.a, "--rate", 0, "--depth", 32, "--entries", 33, "--size-max",
                          "4K", "--read-percent", 0)
    m = hosts.a.migrate(export["id"], "b", hold=["switch"])
    vm.prepare_target(hosts.b, m["id"])
    hosts.a.wait_state(m["id"], "ready")
    hosts.a.daemon.popen.send_signal(signal.SIGSTOP)
    vm.writes_on(100_000)  # the log has room for 65,536 entries
    hosts.a.daemon.popen.send_signal(signal.SIGCONT)
    wait_for(lambda: hosts.a.migration(m["id"])["log"]["overflows"], "the overflow is noticed")

    def switched():
        try:
            return hosts.a.verb(m["id"], "switchover")
        except Problem as e:
            assert e.code == "CONFLICT", e
            return None

    wait_for(switched, "it is ready again")
    vm.follow(m["id"])
    hosts.check_owner(export, hosts.b)
    vm.writes_on()
    vm.end_well()


# --- offline ---


def test_offline_vm_is_off(lab, hosts):
    """The guest is down: nothing to suspend, the whole namespace is copied, the VM boots there."""
    export, vm = start_vm(lab, hosts.a)
    vm.end_well()
    m = hosts.a.migrate(export["id"], "b", dirty="none")
    done = hosts.a.wait_state(m["id"], "done")
    assert done["path"] == "cold"
    hosts.wait_clean(export, hosts.b)
    vm = Vm(lab, hosts.b, done["target"]["cntlid"], "guest-b", "--adopt")
    vm.writes_on()
    vm.end_well()


def test_offline_vm_is_on(lab, hosts):
    """Suspended first, copied then: long for the guest, but it loses nothing."""
    export, vm = start_vm(lab, hosts.a)
    done = vm.migrate(export, hosts.b, dirty="none")
    assert (done["path"], done["dirty"]) == ("reference", "none")
    hosts.check_owner(export, hosts.b)
    vm.writes_on()
    vm.end_well()


# --- several ---


def test_next_one_at_once(lab, hosts):
    """Back again as soon as it has arrived, while the first host still clears up."""
    export, vm = start_vm(lab, hosts.a)
    m = hosts.a.migrate(export["id"], "b")
    vm.prepare_target(hosts.b, m["id"])
    hosts.b.wait_state(m["id"], "active", "done")
    vm.take_over()
    vm.arrive()

    def started():
        try:
            return hosts.b.migrate(export["id"], "a")
        except Problem as e:
            assert e.code == "BUSY", e
            return None

    back = wait_for(started, "the destination has closed the first one")
    vm.prepare_target(hosts.a, back["id"])
    vm.follow(back["id"])
    assert hosts.a.migration(m["id"])["state"] == "done"
    hosts.wait_clean(export, hosts.a)
    vm.writes_on()
    vm.end_well()


@pytest.mark.parametrize("crosswise", [False, True])
def test_two_at_once(lab, hosts, crosswise):
    second = hosts.b if crosswise else hosts.a
    moves = []
    for host, controller in ((hosts.a, 1), (second, 2)):
        export, vm = start_vm(lab, host, controller=controller, name=f"guest{controller}")
        moves.append((export, vm, hosts.peer_of(host)))
    started = [vm.host.migrate(export["id"], to.name) for export, vm, to in moves]
    for m, (_, vm, to) in zip(started, moves):
        vm.prepare_target(to, m["id"])
    for m, (_, vm, to) in zip(started, moves):
        vm.follow(m["id"])
    for export, vm, to in moves:
        hosts.check_owner(export, to)
        vm.writes_on()
        vm.end_well()


def test_two_exports_in_one_job(lab, hosts):
    """Both are suspended, handed over and resumed together."""
    pairs = [start_vm(lab, hosts.a, controller=c, name=f"guest{c}", size=32 * MIB) for c in (1, 2)]
    m = hosts.a.post("/v1/migrations", {"exports": [e["id"] for e, _ in pairs], "to": "b"})
    memory = [vm.attach_target(hosts.b, m["id"], i) for i, (_, vm) in enumerate(pairs)]
    ranges = {r["iova"]: r for rs in memory for r in rs}  # two VMs: the same addresses
    hosts.b.verb(m["id"], "target-ready", {"memory": list(ranges.values())})
    for _, vm in pairs:
        vm.to.wait_state(m["id"], "active", "done")
        vm.take_over()
        vm.arrive()
    hosts.a.wait_state(m["id"], "done")
    for export, vm in pairs:
        hosts.wait_clean(export, hosts.b)
        vm.writes_on()
        vm.end_well()
