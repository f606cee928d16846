# SPDX-License-Identifier: Apache-2.0
"""Two hypervisor hosts: a network namespace, an emulated SSD and a daemon each, joined by a cable."""

import http.client
import itertools
import json
import os
import pathlib
import socket
import subprocess
import urllib.parse

from .emu import Guest, Ssd
from .proc import ROOT, Proc, program, wait_for

MIB = 1 << 20
PORT = 7471
_serial = itertools.count()


def ip(*args):
    subprocess.run(["ip", *map(str, args)], check=True, capture_output=True, text=True)


class Cable:
    """Two network namespaces and a veth pair between them; gone with the test."""

    def __init__(self, lab):
        tag = f"{os.getpid() % 100000:05d}{next(_serial) % 100:02d}"
        self.ns = [f"expd-{tag}{side}" for side in "ab"]
        self.dev = [f"v{tag}{side}" for side in "ab"]
        self.addr = ["10.77.0.1", "10.77.0.2"]
        lab.at_end(self.remove)
        for ns in self.ns:
            ip("netns", "add", ns)
        ip("link", "add", self.dev[0], "netns", self.ns[0], "type", "veth", "peer", "name",
           self.dev[1], "netns", self.ns[1])
        for ns, dev, addr in zip(self.ns, self.dev, self.addr):
            ip("-n", ns, "addr", "add", f"{addr}/24", "dev", dev)
            ip("-n", ns, "link", "set", dev, "up")
            ip("-n", ns, "link", "set", "lo", "up")

    def remove(self):
        for ns in self.ns:
            subprocess.run(["ip", "netns", "del", ns], capture_output=True)

    def cut(self):
        ip("-n", self.ns[0], "link", "set", self.dev[0], "down")

    def mend(self):
        ip("-n", self.ns[0], "link", "set", self.dev[0], "up")


class Problem(Exception):
    """An answer of the control API that is a problem document."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body
        self.code = body.get("code")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("expd", timeout=60)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Host:
    """One host: directory, drive, daemon. The configuration is written by Hosts."""

    def __init__(self, lab, name, netns, profile, ssd_args):
        self.lab, self.name, self.netns = lab, name, netns
        self.dir = lab.dir / name
        self.dir.mkdir()
        self.conf = self.dir / "expd.conf"
        self.socket = self.dir / "run" / "control.sock"
        self.ssd = Ssd(lab, f"ssd-{name}", profile, **ssd_args) if profile else None
        self.daemon = None

    def start(self, wait=True):
        self.daemon = self.lab.run(f"expd-{self.name}", "ip", "netns", "exec", self.netns,
                                   program("expd"), "--config", self.conf)
        if wait:
            self.wait_ready()

    def wait_ready(self):
        def ready():
            if not self.daemon.alive():
                raise AssertionError(f"expd {self.name} ended:\n{self.daemon.text()[-3000:]}")
            try:
                status, health = self.request("GET", "/v1/health")
            except OSError:
                return False
            return status == 200 and health

        return wait_for(ready, f"expd {self.name} is ready", 30)

    def kill(self):
        self.daemon.kill()

    def restart(self):
        """kill -9, then a new life."""
        self.kill()
        self.start()

    # --- the control API, as a control plane would use it ---

    def request(self, method, path, body=None, headers=None, raw=None):
        conn = UnixConnection(self.socket)
        data = raw if raw is not None else None if body is None else json.dumps(body)
        try:
            conn.request(method, path, data, headers or {})
            answer = conn.getresponse()
            text = answer.read().decode()
        finally:
            conn.close()
        try:
            return answer.status, json.loads(text) if text else None
        except json.JSONDecodeError:
            return answer.status, text

    def api(self, method, path, body=None, headers=None):
        status, answer = self.request(method, path, body, headers)
        if status >= 300:
            raise Problem(status, answer)
        return answer

    def get(self, path):
        return self.api("GET", path)

    def post(self, path, body=None, **headers):
        return self.api("POST", path, body, headers)

    def ctl(self, *args, check=True):
        """expctl; the finished process."""
        done = subprocess.run([program("expctl"), "--socket", str(self.socket), *map(str, args)],
                              capture_output=True, text=True, timeout=300)
        if check and done.returncode:
            raise AssertionError(f"expctl {args} = {done.returncode}: {done.stderr}{done.stdout}")
        return done

    # --- exports and migrations ---

    def create_export(self, size=64 * MIB, lba=4096, controller=1, **more):
        return self.post("/v1/exports", {"device": "ssd0", "size_bytes": size, "lba_bytes": lba,
                                         "controller": controller, **more})

    def export(self, ident):
        return self.get(f"/v1/exports/{urllib.parse.quote(ident, safe='')}")

    def migrate(self, ident, to, dirty="cdq", hold=(), **more):
        return self.post("/v1/migrations", {"exports": [ident], "to": to, "dirty": dirty,
                                            "hold": list(hold), **more})

    def migration(self, ident):
        return self.get(f"/v1/migrations/{ident}")

    def verb(self, ident, verb, body=None):
        return self.post(f"/v1/migrations/{ident}/{verb}", body)

    def wait_state(self, ident, *states, seconds=60.0):
        """Until the migration is in one of the states; a final one that is not asked for fails."""
        final = {"done", "failed", "cancelled", "taken", "discarded"}
        seen = None

        def there():
            nonlocal seen
            try:
                seen = self.migration(ident)
            except Problem as e:
                if e.status == 404:
                    return None
                raise
            if seen["state"] in states:
                return seen
            assert seen["state"] not in final, seen
            return None

        try:
            return wait_for(there, f"migration {ident} on {self.name} is {' or '.join(states)}",
                            seconds)
        except AssertionError as e:
            raise AssertionError(f"{e}; it is {json.dumps(seen, indent=1)}") from None


class Hosts:
    """Hosts a and b with certificates, configurations and running daemons."""

    def __init__(self, lab, profiles=("aurora", "borealis"), start=True, ssd_args=None,
                 **daemon):
        self.lab, self.cable = lab, Cable(lab)
        self.pki = lab.dir / "pki"
        subprocess.run(["sh", str(ROOT / "tests/support/pki.sh"), "lab", str(self.pki), "a", "b"],
                       check=True, capture_output=True)
        self.a, self.b = (Host(lab, name, ns, profile, ssd_args or {})
                          for name, ns, profile in zip("ab", self.cable.ns, profiles))
        for host in (self.a, self.b):
            self.configure(host, **daemon)
        if start:
            for host in (self.a, self.b):
                host.start()

    def peer_of(self, host):
        return self.b if host is self.a else self.a

    def owners(self, export):
        """Names of the hosts whose records say that they own it."""
        found = []
        for host in (self.a, self.b):
            try:
                if host.export(export["id"])["status"] == "owned":
                    found.append(host.name)
            except Problem as e:
                assert e.status == 404
        return found

    def runnable(self, export):
        """Names of the hosts whose drives say that it can run there."""
        return [h.name for h in (self.a, self.b) if h.ssd and h.ssd.can_run(export["nqn"])]

    def check_owner(self, export, host):
        """Exactly this host owns it, by the records and by the drives."""
        assert (self.owners(export), self.runnable(export)) == ([host.name], [host.name])

    def wait_clean(self, export, host):
        """This host owns it, and on the other drive nothing is left of it, but a superseded copy."""
        other = self.peer_of(host)

        def clean():
            image = other.ssd.image()
            known = {e["nsid"] for e in other.get("/v1/exports")["exports"]} - {None}
            return {n["nsid"] for n in image["namespaces"]} == known and \
                export["nqn"] not in [e["nqn"] for e in image["exports"]]

        wait_for(clean, f"nothing is left over at {other.name}")
        self.check_owner(export, host)

    def configure(self, host, peer_rights="may_send, may_receive", nqn="*", peers=True,
                  identity=None, **daemon):
        """Write the host's configuration; `daemon` adds or replaces keys of its first section."""
        mine = self.cable.addr["ab".index(host.name)]
        other = self.peer_of(host)
        theirs = self.cable.addr["ab".index(other.name)]
        keys = {"runtime_dir": host.dir / "run", "state_dir": host.dir / "state",
                "listen": f"{mine}:{PORT}", "ca_file": self.pki / "ca.pem",
                "cert_file": self.pki / f"{host.name}.pem",
                "key_file": self.pki / f"{host.name}.key", "log_level": "info",
                "allow_reset_on_restart": "yes", "blackout_limit_ms": 30000, **daemon}
        text = "[daemon]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items() if v is not None)
        if host.ssd:
            text += f"\n[device ssd0]\ntransport = vfio-user:{host.ssd.dir / 'mmc'}\n"
        if peers:
            text += (f"\n[peer {other.name}]\naddress = {theirs}:{PORT}\n"
                     f"identity = {identity or f'spiffe://lab/host/{other.name}'}\n"
                     f"rights = {peer_rights}\nnqn = {nqn}\n")
        host.conf.write_text(text)


class Vm:
    """A guest on an export, and its VMM's part of a move."""

    def __init__(self, lab, host, controller=1, name="guest", *args, phase="running"):
        self.host, self.controller = host, controller
        self.guest = Guest(lab, name, host.ssd.fn(controller), *args, phase=phase)

    def attach_target(self, host, migration, export=0):
        """Step 1 of the contract, the VMM's half: a function gets this VM's memory and queue."""
        m = wait_for(lambda: self._target(host, migration), "a target controller is known", 30)
        self.to, self.to_controller = host, m["exports"][export]["target_cntlid"]
        return self.guest.do("attach-target", function=str(host.ssd.fn(self.to_controller)),
                             bus_master=False)["memory"]

    def prepare_target(self, host, migration):
        """Step 1 of the contract."""
        memory = self.attach_target(host, migration)
        host.verb(migration, "target-ready", {"memory": memory})

    @staticmethod
    def _target(host, migration):
        try:
            m = host.migration(migration)
        except Problem as e:
            if e.status == 404:
                return None
            raise
        return m if m["state"] == "receiving" and m.get("target", {}).get("cntlid") is not None \
            else None

    def follow(self, migration, seconds=60.0):
        """Steps 3 to 5 when nothing is held: go on where the export is active."""
        self.to.wait_state(migration, "active", "done", seconds=seconds)
        self.take_over()
        self.arrive()
        return self.host_before.wait_state(migration, "done", seconds=seconds)

    def take_over(self):
        """Step 3: the source does no DMA any more, the target may."""
        self.guest.do("memory-pass")
        self.guest.do("bus-master-on")

    def arrive(self, **how):
        """Steps 4 and 5."""
        self.guest.do("move", **how)
        self.guest.do("drop-source")
        self.host_before, self.host, self.controller = self.host, self.to, self.to_controller

    def migrate(self, export, to, seconds=60.0, **more):
        """A whole live move; the source's record of it."""
        m = self.host.migrate(export["id"], to.name, **more)
        self.prepare_target(to, m["id"])
        return self.follow(m["id"], seconds)

    def stay(self):
        self.guest.do("drop-target")

    def writes_on(self, more=500):
        """It runs where it is: further writes are acknowledged on every queue."""
        self.guest.wait_writes(more)

    def end_well(self):
        """The last check of every block and every identity byte; the report."""
        identity = self.guest.do("identity")
        assert identity["identity_bytes_changed"] == 0
        report = self.guest.stop_well()
        assert [report[k] for k in ("lost", "torn", "duplicated", "reordered", "foreign",
                                    "identity_bytes_changed")] == [0] * 6, report
        return report
