# SPDX-License-Identifier: Apache-2.0
"""What must not move is refused, with a code, both values and a reason; nobody notices anything.

A refusal is the same from a dry run and from a migration, and after it the guest writes on at the
source and nothing has been made at the destination.
"""

import pytest

from lib.hosts import MIB, Hosts, Problem, Vm
from lib.proc import wait_for


def start_vm(lab, host, controller=1, name="guest", size=32 * MIB, lba=4096, **more):
    export = host.create_export(size=size, lba=lba, controller=controller, **more)
    vm = Vm(lab, host, controller, name)
    vm.writes_on()
    return export, vm


def body(export, **more):
    return {"exports": [export["id"]], "to": "b", **more}


def refusal(host, what, code):
    """The finding with this code of a dry run, which has to refuse."""
    answer = host.post("/v1/preflight", what)
    assert not answer["ok"]
    found = [f for f in answer["findings"] if f["code"] == code and f["severity"] == "refusal"]
    assert found, answer["findings"]
    assert found[0]["rule"] and found[0]["message"]
    return found[0]


def check_refused(hosts, export, vm, code, **more):
    """A dry run and a migration are refused for this reason; the finding."""
    found = refusal(hosts.a, body(export, **more), code)
    m = hosts.a.post("/v1/migrations", body(export, **more))
    ended = hosts.a.wait_state(m["id"], "failed")
    assert ended["error"]["code"] == "PREFLIGHT" and code in ended["error"]["message"]
    check_untouched(hosts, export, vm)
    return found


def check_untouched(hosts, export, vm):
    hosts.check_owner(export, hosts.a)
    if vm.guest.proc.alive():
        vm.writes_on()
    if hosts.b.ssd:
        assert hosts.b.ssd.image()["exports"] == [] == hosts.b.ssd.image()["namespaces"]
    assert hosts.b.get("/v1/migrations")["migrations"] == []


# --- drives that cannot take it ---


def test_too_small(lab):
    hosts = Hosts(lab, profiles=("aurora", "small"))
    export, vm = start_vm(lab, hosts.a, size=320 * MIB)
    found = check_refused(hosts, export, vm, "NO_CAPACITY")
    assert found["want"] == str(320 * MIB) and int(found["have"]) <= 256 * MIB
    vm.end_well()


def test_unlike_blocks(lab):
    hosts = Hosts(lab, profiles=("aurora", "fourk"))
    export, vm = start_vm(lab, hosts.a, lba=512)
    assert "512" in check_refused(hosts, export, vm, "LBA_FORMAT")["want"]
    vm.end_well()


def test_no_common_template(lab):
    hosts = Hosts(lab, profiles=("aurora", "no-template"))
    export, vm = start_vm(lab, hosts.a)
    check_refused(hosts, export, vm, "NO_COMMON_TEMPLATE")
    vm.end_well()


def test_nothing_to_export_there(lab):
    hosts = Hosts(lab, profiles=("aurora", "plain"))
    export, vm = start_vm(lab, hosts.a)
    check_refused(hosts, export, vm, "TARGET_NO_TEMPLATES")
    vm.end_well()


def test_no_drive_there(lab):
    hosts = Hosts(lab, profiles=("aurora", None))
    export, vm = start_vm(lab, hosts.a)
    check_refused(hosts, export, vm, "NO_DEVICE")
    vm.end_well()


def test_no_change_log(lab):
    """A live move is refused with the reason; an offline one of the very same guest goes."""
    hosts = Hosts(lab, profiles=("no-log", "borealis"))
    export, vm = start_vm(lab, hosts.a)
    assert hosts.a.get("/v1/devices/ssd0")["can"]["change_log"] is False
    found = check_refused(hosts, export, vm, "NO_CHANGE_LOG")
    assert "offline" in found["message"]
    done = vm.migrate(export, hosts.b, dirty="none")
    assert done["path"] == "reference"
    vm.writes_on()
    hosts.wait_clean(export, hosts.b)
    vm.end_well()


def test_live_move_of_a_vm_that_is_off(lab):
    """It is not taken for an offline one: somebody has to say so."""
    hosts = Hosts(lab)
    export, vm = start_vm(lab, hosts.a)
    vm.end_well()
    check_refused(hosts, export, vm, "NOT_ENABLED")


def test_drive_that_refuses_the_build(lab):
    """What no capability tells: the drive's own refusal ends the job, and nothing stays behind."""
    hosts = Hosts(lab, profiles=("aurora", "contrary"))
    export, vm = start_vm(lab, hosts.a)
    m = hosts.a.migrate(export["id"], "b")
    ended = hosts.a.wait_state(m["id"], "failed")
    assert "b gave up" in ended["error"]["message"] and export["nqn"] in ended["error"]["message"]
    assert hosts.b.wait_state(m["id"], "discarded")
    hosts.wait_clean(export, hosts.a)
    vm.writes_on()
    vm.end_well()


def test_two_want_the_last_room(lab):
    """Each would fit, both do not: one of them moves, the other stays and says why."""
    hosts = Hosts(lab, profiles=("aurora", "small"))
    pairs = [start_vm(lab, hosts.a, controller=c, name=f"guest{c}", size=160 * MIB)
             for c in (1, 2)]
    jobs = [hosts.a.migrate(export["id"], "b", hold=["switch"]) for export, _ in pairs]

    def one_is_refused():
        states = [hosts.a.migration(m["id"])["state"] for m in jobs]
        return "failed" in states and states

    states = wait_for(one_is_refused, "one of them is refused")
    stays = states.index("failed")
    goes = 1 - stays
    ended = hosts.a.migration(jobs[stays]["id"])
    assert ended["error"]["code"] in ("PREFLIGHT", "PEER_REFUSED", "NO_SPACE"), ended["error"]
    assert "capacity" in ended["error"]["message"].lower(), ended["error"]
    export, vm = pairs[goes]
    vm.prepare_target(hosts.b, jobs[goes]["id"])
    wait_for(lambda: hosts.a.migration(jobs[goes]["id"])["waiting_for"] == "switchover", "ready")
    hosts.a.verb(jobs[goes]["id"], "switchover")
    vm.follow(jobs[goes]["id"])
    hosts.wait_clean(export, hosts.b)
    hosts.check_owner(pairs[stays][0], hosts.a)
    for _, vm in pairs:
        vm.writes_on()
        vm.end_well()


# --- controllers and names at the destination ---


@pytest.fixture
def hosts(lab):
    return Hosts(lab)


def test_target_controller(lab, hosts):
    export, vm = start_vm(lab, hosts.a)
    taken = hosts.b.create_export(controller=2)
    for controller, code in ((0, "CONTROLLER_UNKNOWN"), (2, "CONTROLLER_TAKEN"),
                             (99, "CONTROLLER_UNKNOWN")):
        found = refusal(hosts.a, body(export, to_controller=controller), code)
        assert str(controller) in found["message"]
    done = vm.migrate(export, hosts.b, to_controller=3)
    assert done["target"] == {"device": "ssd0", "cntlid": 3, "state": "suspended"}
    hosts.check_owner(taken, hosts.b)
    vm.writes_on()
    vm.end_well()


def test_no_controller_is_free(lab, hosts):
    export, vm = start_vm(lab, hosts.a)
    others = [hosts.b.create_export(size=16 * MIB, controller=c) for c in (1, 2, 3, 4)]
    found = refusal(hosts.a, body(export), "NO_FREE_CONTROLLER")
    assert (found["have"], found["want"]) == ("0", "1")
    hosts.b.api("DELETE", f"/v1/exports/{others[2]['id']}")
    done = vm.migrate(export, hosts.b)
    assert done["target"]["cntlid"] == 3
    vm.writes_on()
    vm.end_well()


def test_name_is_owned_there(lab, hosts):
    nqn = "nqn.2014-08.org.example:twice"
    export, vm = start_vm(lab, hosts.a, nqn=nqn)
    other = hosts.b.create_export(nqn=nqn, controller=4)
    found = refusal(hosts.a, body(export), "OWNED_THERE")
    assert nqn in found["message"]
    m = hosts.a.migrate(export["id"], "b")
    assert "OWNED_THERE" in hosts.a.wait_state(m["id"], "failed")["error"]["message"]
    hosts.b.api("DELETE", f"/v1/exports/{other['id']}")
    vm.writes_on()
    vm.end_well()


# --- who may ---


def test_unknown_peer(lab, hosts):
    export, vm = start_vm(lab, hosts.a)
    for path in ("/v1/preflight", "/v1/migrations"):
        with pytest.raises(Problem) as refused:
            hosts.a.post(path, body(export, to="nobody"))
        assert refused.value.code == "PEER_UNKNOWN" and "nobody" in refused.value.body["detail"]
    check_untouched(hosts, export, vm)
    vm.end_well()


def reconfigured(lab, **keys):
    """Hosts of which each may have its own settings."""
    hosts = Hosts(lab, start=False)
    for host in (hosts.a, hosts.b):
        hosts.configure(host, **keys.get(host.name, {}))
        host.start()
    return hosts


def test_may_not_receive(lab):
    """The source does not hand over to a peer that may only send."""
    hosts = reconfigured(lab, a={"peer_rights": "may_send"})
    export, vm = start_vm(lab, hosts.a)
    found = check_refused(hosts, export, vm, "PEER_RIGHTS")
    assert "may_receive" in found["message"] and "destination" not in found["message"]
    vm.end_well()


def test_may_not_send(lab):
    """The destination takes nothing from a peer that may only receive."""
    hosts = reconfigured(lab, b={"peer_rights": "may_receive"})
    export, vm = start_vm(lab, hosts.a)
    found = check_refused(hosts, export, vm, "PEER_RIGHTS")
    assert "at the destination" in found["message"] and "may_send" in found["message"]
    vm.end_well()


@pytest.mark.parametrize("side", ["a", "b"])
def test_name_does_not_match(lab, side):
    hosts = reconfigured(lab, **{side: {"nqn": "nqn.2014-08.org.example:ours-*"}})
    export, vm = start_vm(lab, hosts.a)
    found = check_refused(hosts, export, vm, "PEER_RIGHTS")
    assert "ours-*" in found["message"]
    assert ("at the destination" in found["message"]) == (side == "b")
    vm.end_well()


def test_peer_with_another_identity(lab):
    """Certificates count, not addresses: who answers there is not who is meant."""
    hosts = reconfigured(lab, a={"identity": "spiffe://lab/host/c"})
    export, vm = start_vm(lab, hosts.a)
    m = hosts.a.migrate(export["id"], "b")
    ended = hosts.a.wait_state(m["id"], "failed")
    assert ended["error"]["code"] == "PEER_UNKNOWN", ended["error"]
    assert "spiffe://lab/host/c" in ended["error"]["message"], ended["error"]
    check_untouched(hosts, export, vm)
    vm.end_well()


def test_peer_does_not_know_us(lab):
    hosts = reconfigured(lab, b={"peers": False})
    export, vm = start_vm(lab, hosts.a)
    m = hosts.a.migrate(export["id"], "b")
    ended = hosts.a.wait_state(m["id"], "failed")
    assert ended["error"]["code"] == "PEER_UNKNOWN", ended["error"]
    assert "spiffe://lab/host/a" in ended["error"]["message"], ended["error"]
    check_untouched(hosts, export, vm)
    vm.end_well()


def test_peer_is_down(lab):
    hosts = Hosts(lab)
    export, vm = start_vm(lab, hosts.a)
    hosts.b.daemon.stop()
    m = hosts.a.migrate(export["id"], "b")
    ended = hosts.a.wait_state(m["id"], "failed")
    assert ended["error"]["code"] == "UNREACHABLE" and ended["error"]["retry"], ended["error"]
    hosts.b.start()
    check_untouched(hosts, export, vm)
    vm.migrate(export, hosts.b)
    vm.writes_on()
    vm.end_well()


@pytest.mark.parametrize("side", ["a", "b"])
def test_restart_would_reset_the_drive(lab, side):
    """Without leave for that a live move is refused, an offline one is not; health says so."""
    hosts = reconfigured(lab, **{side: {"allow_reset_on_restart": "no"}})
    export, vm = start_vm(lab, hosts.a)
    check_refused(hosts, export, vm, "RESET_ON_RESTART")
    for host in (hosts.a, hosts.b):
        codes = {f["code"]: f["message"] for f in host.get("/v1/health")["findings"]}
        assert ("NO_DESCRIPTOR_STORE" in codes) == (host.name == side)
        assert ("RESET_ON_RESTART" in codes) == (host.name != side)
    assert "live moves are refused" in \
        next(f["message"] for f in getattr(hosts, side).get("/v1/health")["findings"]
             if f["code"] == "NO_DESCRIPTOR_STORE")
    vm.migrate(export, hosts.b, dirty="none")
    vm.writes_on()
    hosts.wait_clean(export, hosts.b)
    vm.end_well()


# --- what this host may give ---


def test_not_ours(lab, hosts):
    export, vm = start_vm(lab, hosts.a)
    vm.migrate(export, hosts.b)
    hosts.wait_clean(export, hosts.b)
    with pytest.raises(Problem) as refused:
        hosts.a.migrate(export["id"], "b")
    assert refused.value.code == "NOT_OWNER" and "b" in refused.value.body["detail"]
    with pytest.raises(Problem) as refused:
        hosts.a.api("DELETE", f"/v1/exports/{export['id']}")
    assert refused.value.code == "NOT_OWNER"
    with pytest.raises(Problem) as refused:
        hosts.a.migrate("11111111-2222-4333-8444-555555555555", "b")
    assert refused.value.code == "NOT_FOUND"
    hosts.check_owner(export, hosts.b)
    vm.writes_on()
    vm.end_well()


def test_held_by_another_job(lab, hosts):
    export, vm = start_vm(lab, hosts.a)
    m = hosts.a.migrate(export["id"], "b", hold=["switch"])
    with pytest.raises(Problem) as refused:
        hosts.a.migrate(export["id"], "b")
    assert refused.value.code == "BUSY" and m["id"] in refused.value.body["detail"]
    with pytest.raises(Problem) as refused:
        hosts.a.api("DELETE", f"/v1/exports/{export['id']}")
    assert refused.value.code == "BUSY" and m["id"] in refused.value.body["detail"]
    hosts.a.verb(m["id"], "cancel")
    hosts.a.wait_state(m["id"], "cancelled")
    hosts.wait_clean(export, hosts.a)
    vm.writes_on()
    vm.end_well()


def test_too_many_jobs(lab):
    hosts = Hosts(lab, max_jobs=1)
    first, vm = start_vm(lab, hosts.a)
    second = hosts.a.create_export(size=16 * MIB, controller=2)
    m = hosts.a.migrate(first["id"], "b", hold=["switch"])
    with pytest.raises(Problem) as refused:
        hosts.a.migrate(second["id"], "b", dirty="none")
    assert refused.value.code == "BUSY" and "max_jobs" in refused.value.body["detail"]
    hosts.a.verb(m["id"], "cancel")
    hosts.a.wait_state(m["id"], "cancelled")
    m = hosts.a.migrate(second["id"], "b", dirty="none")
    hosts.a.wait_state(m["id"], "done")
    vm.writes_on()
    vm.end_well()
