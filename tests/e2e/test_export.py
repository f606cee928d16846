# SPDX-License-Identifier: Apache-2.0
"""Exports on one host: create, use, show, delete."""

import uuid

import pytest

from lib.hosts import MIB, Hosts, Problem, Vm


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
