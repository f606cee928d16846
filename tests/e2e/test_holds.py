# SPDX-License-Identifier: Apache-2.0
"""The VM manager has a say: holds, their leases, abort, cancel in every phase, repeated requests."""

import pytest

from lib.hosts import MIB, Hosts, Problem, Vm
from lib.proc import wait_for


@pytest.fixture
def hosts(lab):
    return Hosts(lab)


@pytest.fixture
def pair(lab, hosts):
    """An export of host a and the guest that writes on it."""
    export = hosts.a.create_export(size=32 * MIB)
    vm = Vm(lab, hosts.a)
    vm.writes_on()
    return export, vm


def waits_for(host, migration, state, what):
    """Until it waits in this state for this."""
    return wait_for(lambda: (m := host.wait_state(migration, state))["waiting_for"] == what and m,
                    f"the migration waits for {what}")


def check_back(hosts, export, vm, migration, outcome, code):
    """It goes back: the guest runs at the source, and the destination forgets it."""
    hosts.a.wait_state(migration, "rolling-back")
    vm.writes_on()
    wait_for(lambda: "the VMM to release" in hosts.b.migration(migration)["waiting_for"],
             "the destination says whom it waits for")
    vm.stay()
    m = hosts.a.wait_state(migration, outcome)
    assert m["error"]["code"] == code, m["error"]
    assert hosts.b.migration(migration)["state"] == "discarded"
    hosts.wait_clean(export, hosts.a)
    assert hosts.b.get("/v1/migrations?open=1")["migrations"] == []


# --- holds ---


@pytest.mark.parametrize("hold", [["switch"], ["commit"], ["switch", "commit"]],
                         ids=lambda h: "+".join(h))
def test_hold(hosts, pair, hold):
    export, vm = pair
    m = hosts.a.migrate(export["id"], "b", hold=hold)
    vm.prepare_target(hosts.b, m["id"])
    if "switch" in hold:
        waits_for(hosts.a, m["id"], "ready", "switchover")
        vm.writes_on(100)
        vm.guest.do("pause")
        hosts.a.verb(m["id"], "switchover")
    if "commit" in hold:
        waits_for(hosts.a, m["id"], "switching", "commit")
        assert hosts.b.migration(m["id"])["state"] == "restored"
        assert hosts.runnable(export) == ["a"]  # held there, not fenced yet here
        vm.take_over()
        hosts.a.verb(m["id"], "commit")
        hosts.b.wait_state(m["id"], "active", "done")
    else:
        hosts.b.wait_state(m["id"], "active", "done")
        vm.take_over()
    vm.arrive()
    done = hosts.a.wait_state(m["id"], "done")
    assert (done["steps_us"]["hold"] > 0) == ("commit" in hold)
    hosts.wait_clean(export, hosts.b)
    vm.writes_on()
    vm.end_well()


@pytest.mark.smoke
@pytest.mark.parametrize("at", ["switch", "commit"])
def test_abort_at_hold(hosts, pair, at):
    export, vm = pair
    m = hosts.a.migrate(export["id"], "b", hold=[at])
    vm.prepare_target(hosts.b, m["id"])
    waits_for(hosts.a, m["id"], "ready" if at == "switch" else "switching",
              "switchover" if at == "switch" else "commit")
    hosts.a.verb(m["id"], "abort")
    check_back(hosts, export, vm, m["id"], "cancelled", "ABORTED")
    vm.migrate(export, hosts.b)  # and nothing stands in the way of the next one
    vm.writes_on()
    hosts.wait_clean(export, hosts.b)
    vm.end_well()


def test_lease_of_switch_ends(hosts, pair):
    """Back to copying, nothing is thrown away, and it becomes ready again."""
    export, vm = pair
    m = hosts.a.migrate(export["id"], "b", hold=["switch"], hold_lease_ms=300)
    vm.prepare_target(hosts.b, m["id"])
    hosts.a.wait_state(m["id"], "ready")
    hosts.a.wait_state(m["id"], "copying")
    hosts.a.wait_state(m["id"], "ready")

    def switched():  # ready for 300 ms at a time
        try:
            return hosts.a.verb(m["id"], "switchover")
        except Problem as e:
            assert e.code == "CONFLICT", e
            return None

    wait_for(switched, "a moment in which it is ready")
    vm.follow(m["id"])
    vm.writes_on()
    vm.end_well()


def test_lease_of_commit_ends(hosts, pair):
    export, vm = pair
    m = hosts.a.migrate(export["id"], "b", hold=["commit"], hold_lease_ms=500)
    vm.prepare_target(hosts.b, m["id"])
    check_back(hosts, export, vm, m["id"], "failed", "LEASE")
    vm.end_well()


def test_default_lease_is_configured(lab):
    hosts = Hosts(lab, hold_lease_ms=400)
    export = hosts.a.create_export(size=16 * MIB)
    vm = Vm(lab, hosts.a)
    m = hosts.a.migrate(export["id"], "b", hold=["commit"])
    assert m["hold_lease_ms"] == 400
    vm.prepare_target(hosts.b, m["id"])
    check_back(hosts, export, vm, m["id"], "failed", "LEASE")
    vm.end_well()


# --- cancel ---


@pytest.mark.parametrize("phase", ["first", "copying", "ready", "switching"])
def test_cancel(hosts, pair, phase):
    """In whatever phase it is noticed: the guest goes on at the source."""
    export, vm = pair
    m = hosts.a.migrate(export["id"], "b", hold=["switch", "commit"])
    if phase in ("ready", "switching"):
        vm.prepare_target(hosts.b, m["id"])
        waits_for(hosts.a, m["id"], "ready", "switchover")
    if phase == "switching":
        hosts.a.verb(m["id"], "switchover")
        waits_for(hosts.a, m["id"], "switching", "commit")
    if phase == "copying":
        hosts.a.wait_state(m["id"], "copying", "ready")
    hosts.a.verb(m["id"], "cancel")
    if phase in ("ready", "switching"):
        check_back(hosts, export, vm, m["id"], "cancelled", "CANCELLED")
    ended = hosts.a.wait_state(m["id"], "cancelled")
    assert ended["error"]["code"] == "CANCELLED" and ended["owner"]["host"] == "here"
    vm.writes_on()
    hosts.wait_clean(export, hosts.a)
    hosts.a.verb(m["id"], "cancel")  # again: it is what was asked for
    vm.end_well()


def test_cancel_at_the_destination(hosts, pair):
    export, vm = pair
    m = hosts.a.migrate(export["id"], "b", hold=["switch"])
    vm.prepare_target(hosts.b, m["id"])
    hosts.a.wait_state(m["id"], "ready")
    hosts.b.verb(m["id"], "cancel")
    check_back(hosts, export, vm, m["id"], "failed", "CANCELLED")
    vm.end_well()


def test_cancel_at_the_destination_when_restored(hosts, pair):
    """Only the source decides then, and the refusal says so."""
    export, vm = pair
    m = hosts.a.migrate(export["id"], "b", hold=["commit"])
    vm.prepare_target(hosts.b, m["id"])
    hosts.b.wait_state(m["id"], "restored")
    with pytest.raises(Problem) as refused:
        hosts.b.verb(m["id"], "cancel")
    assert refused.value.code == "CONFLICT" and "cancel it at a" in refused.value.body["detail"]
    vm.take_over()
    waits_for(hosts.a, m["id"], "switching", "commit")
    hosts.a.verb(m["id"], "commit")
    hosts.b.wait_state(m["id"], "active", "done")
    vm.arrive()
    vm.writes_on()
    vm.end_well()


@pytest.mark.parametrize("verb", ["cancel", "abort"])
def test_too_late(hosts, pair, verb):
    """After the release the answer says who owns it, on both hosts, in words."""
    export, vm = pair
    m = hosts.a.migrate(export["id"], "b")
    vm.prepare_target(hosts.b, m["id"])
    hosts.b.wait_state(m["id"], "active", "done")
    hosts.a.wait_state(m["id"], "released", "done")
    with pytest.raises(Problem) as refused:
        hosts.a.verb(m["id"], verb)
    assert refused.value.code == "TOO_LATE" and "b owns it" in refused.value.body["detail"]
    vm.take_over()
    vm.arrive()
    hosts.a.wait_state(m["id"], "done")
    with pytest.raises(Problem) as refused:
        hosts.a.verb(m["id"], verb)
    assert refused.value.code == "TOO_LATE" and "b owns it" in refused.value.body["detail"]
    hosts.check_owner(export, hosts.b)
    vm.writes_on()
    vm.end_well()


# --- repeated requests ---


def test_idempotency_key(hosts, pair):
    export, vm = pair
    body = {"exports": [export["id"]], "to": "b", "hold": ["switch"]}
    first = hosts.a.post("/v1/migrations", body, **{"Idempotency-Key": "move-1"})
    assert hosts.a.post("/v1/migrations", body, **{"Idempotency-Key": "move-1"})["id"] == \
        first["id"]
    with pytest.raises(Problem) as refused:
        hosts.a.post("/v1/migrations", {**body, "hold": []}, **{"Idempotency-Key": "move-1"})
    assert (refused.value.status, refused.value.code) == (422, "KEY_REUSED")
    hosts.a.verb(first["id"], "cancel")
    hosts.a.wait_state(first["id"], "cancelled")
    hosts.a.restart()
    again = hosts.a.post("/v1/migrations", body, **{"Idempotency-Key": "move-1"})
    assert (again["id"], again["state"]) == (first["id"], "cancelled")
    with pytest.raises(Problem) as refused:
        hosts.a.post("/v1/migrations", {**body, "to": "a"}, **{"Idempotency-Key": "move-1"})
    assert refused.value.code == "KEY_REUSED"
    assert len(hosts.a.get("/v1/migrations")["migrations"]) == 1
    vm.writes_on()
    vm.end_well()


def test_verbs_out_of_place(hosts, pair):
    """What does not belong here now is refused with a reason and changes nothing."""
    export, vm = pair
    m = hosts.a.migrate(export["id"], "b", hold=["switch"])
    vm.prepare_target(hosts.b, m["id"])
    hosts.a.wait_state(m["id"], "ready")
    memory = {"memory": [{"iova": 0, "bytes": 4096}]}
    for host, verb, body in ((hosts.a, "commit", None), (hosts.a, "target-ready", memory),
                             (hosts.b, "switchover", None), (hosts.b, "commit", None),
                             (hosts.b, "abort", None)):
        with pytest.raises(Problem) as refused:
            host.verb(m["id"], verb, body)
        assert refused.value.code == "CONFLICT", refused.value
    hosts.a.verb(m["id"], "switchover")
    vm.follow(m["id"])
    vm.writes_on()
    vm.end_well()
