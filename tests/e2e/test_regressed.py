# SPDX-License-Identifier: Apache-2.0
"""A host whose database is an older copy has forgotten promises: nobody begins anything with it."""

import shutil

from lib.hosts import MIB, Hosts


def ask(host, export, to):
    return host.post("/v1/preflight", {"exports": [export["id"]], "to": to, "dirty": "none"})


def codes(answer):
    return [f["code"] for f in answer["findings"] if f["severity"] == "refusal"]


def test_older_database(lab):
    hosts = Hosts(lab)
    a, b = hosts.a, hosts.b
    of_a, of_b = a.create_export(size=32 * MIB), b.create_export(size=32 * MIB)
    assert codes(ask(a, of_a, "b")) == []

    b.daemon.stop()
    shutil.copytree(b.dir / "state", b.dir / "backup")
    b.start()
    b.create_export(size=32 * MIB, controller=2)
    assert codes(ask(a, of_a, "b")) == []  # a has seen that b went on

    b.daemon.stop()
    shutil.rmtree(b.dir / "state")
    shutil.copytree(b.dir / "backup", b.dir / "state")
    b.start()
    answer = ask(a, of_a, "b")
    assert not answer["ok"] and "JOURNAL_REGRESSED" in codes(answer)
    peer = a.get("/v1/peers")["peers"][0]
    assert (peer["name"], peer["condition"]) == ("b", "journal-regressed")
    assert "JOURNAL_REGRESSED" in codes(ask(b, of_b, "a"))  # and a takes nothing from it

    m = b.migrate(of_b["id"], "a", dirty="none")
    ended = b.wait_state(m["id"], "failed")
    assert "JOURNAL_REGRESSED" in ended["error"]["message"], ended["error"]
    assert a.get("/v1/migrations")["migrations"] == []

    a.restart()  # it is not forgotten
    assert "JOURNAL_REGRESSED" in codes(ask(a, of_a, "b"))
    hosts.check_owner(of_a, a)
