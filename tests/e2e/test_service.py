# SPDX-License-Identifier: Apache-2.0
"""The daemon as a service: readiness, watchdog, reload, and an end that leaves nothing behind."""

import select
import signal
import socket
import subprocess
import sys
import time

import pytest

from lib.hosts import MIB, PORT, Hosts
from lib.proc import ROOT, program, wait_for

WATCHDOG_US = 300_000


class Manager:
    """What systemd is to the daemon: a datagram socket that takes its notifications."""

    def __init__(self, lab):
        self.path = lab.dir / "notify"
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(self.path))
        self.said = []
        lab.at_end(self.sock.close)

    def env(self):
        return {"NOTIFY_SOCKET": str(self.path), "WATCHDOG_USEC": str(WATCHDOG_US)}

    def listen(self, seconds=0.0):
        """Everything that has come by now; waits for something for so long."""
        until = time.monotonic() + seconds
        while select.select([self.sock], [], [], max(0, until - time.monotonic()))[0]:
            self.said.append(self.sock.recv(4096).decode().splitlines())
            until = 0

    def wait(self, line, after=0, seconds=30.0):
        """Until a notification behind number `after` has this line; its number, from 1."""
        def there():
            self.listen(0.05)
            return next((n for n, m in enumerate(self.said, 1) if n > after and line in m), None)

        return wait_for(there, f"the daemon notifies {line}", seconds, step=0)

    def lines(self, after=0):
        return [line for m in self.said[after:] for line in m]


@pytest.fixture
def hosts(lab):
    return Hosts(lab, start=False)


def start(lab, host, manager=None, name="expd"):
    return lab.run(name, "ip", "netns", "exec", host.netns, program("expd"), "--config", host.conf,
                   env=manager.env() if manager else None)


@pytest.fixture
def manager(lab):
    return Manager(lab)


@pytest.fixture
def running(lab, hosts, manager):
    """Host a, ready."""
    hosts.a.daemon = start(lab, hosts.a, manager)
    manager.wait("READY=1")
    return hosts.a


def sockets(host):
    return [p.name for p in (host.dir / "run").iterdir()]


def test_ready_watchdog_and_end(running, manager):
    """Ready means ready; the watchdog is answered for as long as the loop goes round."""
    assert running.request("GET", "/v1/health")[0] == 200
    assert "STATUS=running" in manager.said[0]
    n = 0
    for _ in range(5):  # with something in between, and without
        n = manager.wait("WATCHDOG=1", after=n, seconds=10)
        running.get("/v1/devices")
    running.create_export(size=16 * MIB)
    n = manager.wait("WATCHDOG=1", after=n, seconds=10)
    assert sorted(sockets(running)) == ["control.sock", "read.sock"]

    assert running.daemon.stop() == 0
    manager.listen()
    assert "STOPPING=1" in manager.lines(after=n)
    assert sockets(running) == []


def test_watchdog_is_not_answered_by_a_loop_that_stands(running, manager):
    n = manager.wait("WATCHDOG=1")
    running.daemon.popen.send_signal(signal.SIGSTOP)
    manager.listen()
    stopped = len(manager.said)
    manager.listen(4 * WATCHDOG_US / 1e6)
    assert len(manager.said) <= stopped + 1  # one may have been on its way
    running.daemon.popen.send_signal(signal.SIGCONT)
    manager.wait("WATCHDOG=1", after=max(n, len(manager.said)))


def test_ready_without_a_drive(lab, hosts, manager):
    """A drive that does not answer keeps nobody waiting; health says what is missing."""
    hosts.a.ssd.proc.kill()
    hosts.a.daemon = start(lab, hosts.a, manager)
    manager.wait("READY=1")
    health = hosts.a.get("/v1/health")
    assert health["status"] == "degraded"
    assert "DEVICE_UNAVAILABLE" in [f["code"] for f in health["findings"]]
    assert hosts.a.daemon.stop() == 0


def test_interrupt_ends_it_too(running):
    running.daemon.popen.send_signal(signal.SIGINT)
    assert running.daemon.wait(30) == 0


# --- reload ---


def reload(host, manager):
    """SIGHUP; what the log says of it."""
    manager.listen()
    n, log = len(manager.said), len(host.daemon.text())
    host.daemon.popen.send_signal(signal.SIGHUP)
    n = manager.wait("RELOADING=1", after=n)
    manager.wait("READY=1", after=n)
    return host.daemon.text()[log:]


def test_reload(hosts, running, manager):
    assert running.get("/v1/peers")["peers"][0]["rights"] == ["send", "receive"]
    hosts.configure(running, peer_rights="may_send", nqn="nqn.2014-08.x:*")
    assert "read anew" in reload(running, manager)
    peer = running.get("/v1/peers")["peers"][0]
    assert (peer["rights"], peer["nqn"]) == (["send"], "nqn.2014-08.x:*")

    good = running.conf.read_text()
    for text, why in ((good + "[peer x]\n", "section [peer x] has no address"),
                      (good.replace("may_send", "may_all"), 'rights has "may_all"'),
                      (good.replace(f":{PORT}\nca", ":1\nca"), "listen has changed"),
                      (good.replace("a.key", "b.key"), "b.key")):
        assert text != good
        running.conf.write_text(text)
        said = reload(running, manager)
        assert "reload refused" in said and why in said.replace("\\x22", '"'), said
        assert running.get("/v1/peers")["peers"][0] == peer
    assert running.daemon.stop() == 0


def test_new_certificate_without_a_restart(lab, hosts, running, manager):
    """The old one is taken away while the daemon runs; a peer that comes then sees the new one."""
    old = running.conf.read_text()
    running.conf.write_text(old.replace("/a.pem", "/a2.pem").replace("/a.key", "/a2.key"))
    subprocess.run(["sh", str(ROOT / "tests/support/pki.sh"), "host", str(hosts.pki), "a2", "--uri",
                    "spiffe://lab/host/a", "--days", "300"], check=True)
    assert "read anew" in reload(running, manager)
    export = running.create_export(size=16 * MIB)
    hosts.b.start()
    answer = running.post("/v1/preflight", {"exports": [export["id"]], "to": "b", "dirty": "none"})
    assert answer["ok"], answer
    seen = hosts.b.get("/v1/peers")["peers"][0]["cert_not_after_ms"] / 1000
    assert seen > time.time() + 200 * 86400


# --- what must not start, and what must end ---


def test_two_daemons(lab, hosts, running, manager):
    """The second one ends before it has touched anything of the first."""
    n = len(manager.said)
    second = start(lab, running, name="second")
    assert second.wait(30) == 1
    assert "journal.db" in second.text() and "another" in second.text(), second.text()
    assert running.get("/v1/health")["status"] in ("ok", "degraded")
    manager.wait("WATCHDOG=1", after=n)


def test_address_in_use(lab, hosts, manager):
    taken = lab.run("taken", "ip", "netns", "exec", hosts.a.netns, sys.executable, "-c",
                    "import socket, time\n"
                    f"s = socket.create_server(('{hosts.cable.addr[0]}', {PORT}))\n"
                    "print('listens at', s.getsockname(), flush=True)\n"
                    "time.sleep(600)")
    taken.wait_text("listens at (")
    daemon = start(lab, hosts.a, manager)
    assert daemon.wait(30) == 1
    assert "Address already in use" in daemon.text()
    manager.listen()
    assert "READY=1" not in manager.lines()
    assert sockets(hosts.a) == []


def test_settings_that_are_wrong(lab, hosts, manager):
    hosts.a.conf.write_text(hosts.a.conf.read_text() + "\n[peer c]\nadress = x\n")
    line = hosts.a.conf.read_text().splitlines().index("adress = x") + 1
    daemon = start(lab, hosts.a, manager)
    assert daemon.wait(30) == 1
    assert f"{hosts.a.conf}:{line}: unknown key adress in [peer c]" in daemon.text()
    manager.listen()
    assert manager.said == []


STRANGERS = """
import socket, sys, time
host, port = sys.argv[1], int(sys.argv[2])
kept = []
for hello in (b"", b"\\x16\\x03\\x01\\x02\\x00", b"GET / HTTP/1.1\\r\\n"):
    for _ in range(20):
        s = socket.create_connection((host, port))
        s.sendall(hello)
        kept.append(s)
print(len(kept), "connections", flush=True)
time.sleep(600)
"""


def test_end_with_strangers_on_the_line(lab, hosts, running):
    """Connections that have not said who they are, and clients that wait for nothing."""
    strangers = lab.run("strangers", "ip", "netns", "exec", running.netns, sys.executable, "-c",
                        STRANGERS, hosts.cable.addr[0], PORT)
    strangers.wait_text("60 connections")
    idle = [socket.socket(socket.AF_UNIX) for _ in range(5)]
    for s in idle:
        s.connect(str(running.socket))
    idle[0].sendall(b"GET /v1/events HTTP/1.1\r\n\r\n")
    assert idle[0].recv(100).startswith(b"HTTP/1.1 200")
    idle[1].sendall(b"GET /v1/ev")
    assert running.daemon.stop() == 0
    assert all(s.recv(65536) is not None for s in idle)
    for s in idle:
        s.close()


def test_end_while_it_starts(lab, hosts, manager):
    """A drive that takes the connection and never answers: the end does not wait for ever."""
    hosts.a.ssd.proc.kill()
    path = hosts.a.ssd.dir / "mmc" / "cntrl"
    path.unlink(missing_ok=True)
    mute = socket.socket(socket.AF_UNIX)
    mute.bind(str(path))
    mute.listen()
    daemon = start(lab, hosts.a, manager)
    wait_for(lambda: hosts.a.socket.exists(), "the control socket is there")
    status, health = hosts.a.request("GET", "/v1/health")
    assert (status, health["status"]) == (503, "starting")
    assert daemon.stop(60) == 0
    manager.listen()
    assert "READY=1" not in manager.lines() and "STOPPING=1" in manager.lines()
    mute.close()
