# SPDX-License-Identifier: Apache-2.0
"""Exports on one host: create, use, show, delete."""

import threading

import pytest

from lib.hosts import MIB, Hosts, Problem, Vm
from lib.proc import wait_for


@pytest.fixture
def host(lab):
    return Hosts(lab, profiles=("aurora", None), start=False, peers=False).a


def test_create_use_delete(lab, host):
    host.start()
    export = host.create_export(size=64 * MIB)
    assert export["status"] == "owned" and export["size_bytes"] == 64 * MIB
    assert host.export(export["id"]) == host.export(export["nqn"]) == export
    vm = Vm(lab, host)
    vm.guest.wait_writes(1000)
    with pytest.raises(Problem) as refused:  # its function is still enabled
        host.api("DELETE", f"/v1/exports/{export['id']}")
    assert refused.value.code == "BUSY"
    vm.guest.wait_writes(200)
    vm.guest.stop_well()
    host.api("DELETE", f"/v1/exports/{export['id']}")
    assert host.get("/v1/exports")["exports"] == []
    host.daemon.stop()
    with host.ssd.mmc() as mmc:  # a drive has one client at a time
        assert mmc.namespaces() == [] and mmc.exports() == []


@pytest.fixture
def hosts(lab):
    return Hosts(lab)


def test_delete_and_migrate_at_once(lab, hosts):
    """Whichever comes first wins, and the other is told; never half of both."""
    for _ in range(6):
        export = hosts.a.create_export(size=16 * MIB)
        answers = {}

        def delete():
            answers["delete"] = hosts.a.request("DELETE", f"/v1/exports/{export['id']}")

        def migrate():
            answers["migrate"] = hosts.a.request(
                "POST", "/v1/migrations",
                {"exports": [export["id"]], "to": "b", "dirty": "none", "hold": []})

        threads = [threading.Thread(target=f) for f in (delete, migrate)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        deleted, moved = answers["delete"][0] == 200, answers["migrate"][0] == 202
        assert deleted != moved, answers
        if moved:
            hosts.a.wait_state(answers["migrate"][1]["id"], "done")
            hosts.b.api("DELETE", f"/v1/exports/{export['id']}")
    for host in (hosts.a, hosts.b):
        host.daemon.stop()
    with hosts.b.ssd.mmc() as mmc:
        assert mmc.namespaces() == [] and mmc.exports() == []


def test_name_of_an_export_that_went_away(lab, hosts):
    """A host that still knows an old export of the same name refuses the new one, and both go on."""
    nqn = "nqn.2026-01.com.example:again"
    old = hosts.a.create_export(nqn=nqn, size=16 * MIB)
    for src, dst in ((hosts.a, hosts.b), (hosts.b, hosts.a)):
        src.wait_state(src.migrate(old["id"], dst.name, dirty="none")["id"], "done")
        wait_for(lambda: dst.export(old["id"])["status"] == "owned" and not
                 dst.get("/v1/migrations?open=1")["migrations"], f"{dst.name} owns it, idle", 30)
    hosts.a.api("DELETE", f"/v1/exports/{old['id']}")
    new = hosts.a.create_export(nqn=nqn, size=16 * MIB)
    m = hosts.a.migrate(new["id"], "b", dirty="none")
    failed = hosts.a.wait_state(m["id"], "failed")
    assert nqn in str(failed["error"]), failed
    assert hosts.a.export(new["id"])["status"] == "owned"
