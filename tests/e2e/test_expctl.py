# SPDX-License-Identifier: Apache-2.0
"""expctl against a server of canned answers: exit codes, tables, --json, lines while it watches.

No daemon and no drive: what is tested is what a person or a script sees.
"""

import http.server
import json
import os
import pty
import re
import signal
import socketserver
import subprocess
import threading

import pytest

from lib.proc import ROOT, program, wait_for

ID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
NQN = "nqn.2014-08.org.example:vm7"
JSON = "application/json"
PROBLEM = "application/problem+json"


class Answer:
    def __init__(self, body, status=200, kind=JSON, headers=(), cut=None):
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.kind, self.headers, self.cut = status, kind, headers, cut


class Server(socketserver.ThreadingUnixStreamServer):
    """Answers each (method, path) with the next of its list; the last one stays."""

    daemon_threads = True

    def __init__(self, path):
        self.answers, self.requests, self.lock = {}, [], threading.Lock()
        super().__init__(str(path), Handler)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def say(self, method, path, *answers):
        self.answers[method, path] = list(answers)

    def close(self):
        self.shutdown()
        self.server_close()
        self.thread.join()

    def bodies(self, method, path):
        return [r["body"] for r in self.requests if (r["method"], r["path"]) == (method, path)]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            self.server.requests.append({"method": self.command, "path": self.path,
                                         "body": body.decode(), "headers": dict(self.headers)})
            found = self.server.answers.get((self.command, self.path))
            answer = (found.pop(0) if len(found) > 1 else found[0]) if found else Answer(
                {"code": "NOT_FOUND", "detail": f"no such path: {self.path}", "errno": 2}, 404,
                PROBLEM)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body[:answer.cut])
        if answer.cut is not None:
            self.close_connection = True

    do_GET = do_POST = do_DELETE = handle_any


@pytest.fixture
def server(lab):
    s = Server(lab.dir / "s")
    lab.at_end(s.close)
    return s


def expctl(server, *args, env=None, **more):
    base = {k: v for k, v in os.environ.items() if k != "EXPCTL_SOCKET"}
    return subprocess.run([program("expctl"), "--socket", server.server_address, *args],
                          capture_output=True, text=True, timeout=60, env={**base, "TZ": "UTC",
                                                                           **(env or {})}, **more)


def problem(code, detail, status, **more):
    return Answer({"code": code, "detail": detail, "status": status, "retry": False, "errno": 16,
                   "nvme_status": 0, **more}, status, PROBLEM)


def migration(state, **more):
    final = state in ("done", "failed", "cancelled", "taken")
    m = {
        "id": ID, "role": "source", "state": state, "condition": "", "open": not final,
        "attempt": 1, "epoch": 2,
        "owner": {"host": "peer" if state == "done" else "here",
                  "peer": "b" if state == "done" else None,
                  "epoch": 2 if state == "done" else 1, "text": "so it is"},
        "next": "nothing; it goes on by itself",
        "exports": [{"id": ID, "nqn": NQN, "epoch": 2, "own": 1, "floor": 2,
                     "size_bytes": 2 << 30, "lba_bytes": 4096, "device": "ssd0", "serial": "S1",
                     "cntlid": 1, "esubid": 3, "nsid": 1, "target_cntlid": 2, "state_bytes": 0}],
        "peer": "b", "peer_host": None,
        "target": {"device": "ssd1", "cntlid": 2, "state": "enabled"},
        "path": "reference", "dirty": "cdq", "hold": [], "hold_lease_ms": 30000,
        "blackout_limit_ms": 1000, "intent": "go", "verdict": "converges",
        "bytes": {"namespace": 2 << 30, "allocated": 1000, "sent": 3 << 20, "zero": 0, "acked": 1,
                  "resent": 0, "remaining": 0 if final else 580},
        "rates": {"send_bytes_per_s": 812 << 20, "dirty_bytes_per_s": 12 << 20},
        "rounds": 3, "log": {"entries": 1, "overflows": 0}, "eta_ms": 5000,
        "forecast_blackout_us": 12345, "blackout_us": 23456 if state == "done" else None,
        "steps_us": {"suspend": 1500, "hold": 0, "activate": 900},
        "created_ms": 1700000000000, "updated_ms": 1700000001000,
    }
    m.update(more)
    return m


# --- exit codes ---

def test_no_daemon_is_3(lab):
    done = subprocess.run([program("expctl"), "--socket", str(lab.dir / "none"), "device", "list"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert done.stdout == ""
    assert "is expd running" in done.stderr


def test_socket_from_the_environment(server):
    server.say("GET", "/v1/devices", Answer({"devices": []}))
    done = subprocess.run([program("expctl"), "device", "list", "-q"], capture_output=True,
                          text=True, timeout=60,
                          env={**os.environ, "EXPCTL_SOCKET": server.server_address})
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("args", [
    ["fly"], ["device"], ["device", "show"], ["migrate", NQN], ["migrate", "vm7", "--to", "b"],
    ["migrate", NQN, "--to", "a b"], ["migrate", NQN, "--to", "b", "--hold", "swich"],
    ["migrate", NQN, "--to", "b", "--dirty", "log"], ["migrate", NQN, "--to", "b", "--wait", "x"],
    ["migrate", NQN, "--to", "b", "--blackout-limit-ms", "0"],
    ["migrate", NQN, "--to", "b", "--to-controller", "70000"],
    ["migrate", NQN, "--to", "b", "--key", ""],
    ["export", "create", "--size", "2G", "--controller", "1"],
    ["export", "create", "--device", "d", "--controller", "1"],
    ["export", "create", "--device", "d", "--size", "2G"],
    ["export", "create", "--device", "d", "--size", "many", "--controller", "1"],
    ["export", "create", "--device", "d", "--size", "2G", "--controller", "1", "--nqn", "x"],
    ["migration", "target-ready", ID], ["migration", "target-ready", ID, "--memory", "0"],
    ["migration", "target-ready", ID, "--memory", ":1"],
    ["migration", "list", "--limit"], ["events", "--since", "yesterday"],
    ["device", "show", "x" * 3000],
])
def test_wrong_usage_is_2_and_asks_nothing(server, args):
    done = expctl(server, *args)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr
    assert not server.requests


def test_refusal_is_1_with_the_sentence(server):
    server.say("DELETE", f"/v1/exports/{ID}",
               problem("BUSY", "held by migration 7", 409, retry=True))
    done = expctl(server, "export", "delete", ID)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "expctl: held by migration 7 (try again)\n"


def test_answer_of_something_else_is_1(server):
    server.say("GET", "/v1/version", Answer(b"<html>", kind="text/html"))
    done = expctl(server, "version")
    assert done.returncode == 1
    assert "is this expd?" in done.stderr


def test_cut_answer_is_3(server):
    server.say("GET", "/v1/devices", Answer({"devices": []}, cut=5))
    done = expctl(server, "device", "list")
    assert done.returncode == 3
    assert "hung up in the middle" in done.stderr


def test_full_output_is_1(server):
    server.say("GET", "/v1/devices", Answer({"devices": []}))
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([program("expctl"), "--socket", server.server_address, "device",
                               "list"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert "No space left" in done.stderr


# --- --json ---

def test_json_is_the_answer_byte_for_byte(server):
    body = b'{ "devices" :[],\t"new field": [1.50, "\\u001b"] }'
    server.say("GET", "/v1/devices", Answer(body))
    done = expctl(server, "--json", "device", "list")
    assert done.returncode == 0
    assert done.stdout.encode() == body + b"\n"
    assert done.stderr == ""


def test_json_of_an_error_is_the_document(server):
    doc = {"code": "NOT_FOUND", "detail": "export x is not known", "errno": 2}
    server.say("GET", "/v1/exports/x", Answer(doc, 404, PROBLEM))
    done = expctl(server, "export", "show", "x", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == doc
    assert "export x is not known" in done.stderr


def test_json_of_a_watched_migration_is_one_object(server):
    server.say("POST", "/v1/migrations", Answer(migration("preflight"), 202))
    server.say("GET", f"/v1/migrations/{ID}", Answer(migration("copying")),
               Answer(migration("done")))
    done = expctl(server, "migrate", NQN, "--to", "b", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == migration("done")


def test_json_of_a_migration_that_failed_is_1(server):
    server.say("GET", f"/v1/migrations/{ID}", Answer(migration("failed")))
    done = expctl(server, "migration", "follow", ID, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == migration("failed")


def test_json_when_detached_is_the_first_answer(server):
    server.say("POST", "/v1/migrations", Answer(migration("preflight"), 202))
    done = expctl(server, "migrate", NQN, "--to", "b", "--json", "--detach")
    assert done.returncode == 0
    assert json.loads(done.stdout) == migration("preflight")


# --- escaping ---

EVIL = "\x1b[2J\x1b]0;owned\x07\r\n\u202eabc\u00e4"


@pytest.mark.parametrize("args,path,key", [
    (["device", "list"], "/v1/devices", "devices"), (["peer", "list"], "/v1/peers", "peers"),
    (["export", "list"], "/v1/exports", "exports"),
    (["migration", "list"], "/v1/migrations", "migrations"),
    (["device", "list", "-q"], "/v1/devices", "devices"),
    (["export", "list", "-q"], "/v1/exports", "exports"),
    (["peer", "list", "-q"], "/v1/peers", "peers"),
    (["migration", "list", "-q"], "/v1/migrations", "migrations"),
    (["device", "show", "x"], "/v1/devices/x", None),
    (["export", "show", "x"], "/v1/exports/x", None),
    (["migration", "show", "x"], "/v1/migrations/x", None),
    (["version"], "/v1/version", None), (["check"], "/v1/health", None),
])
def test_nothing_but_ascii_reaches_the_screen(server, args, path, key):
    # every field of every answer at once, as strings that try to take the screen over
    fields = ("name transport data state model serial firmware subnqn nvme no_change_log "
              "no_ns_data address identity condition host build nqn id status device job nguid "
              "uuid template owner_peer role peer path dirty verdict next version intent").split()
    doc = {f: EVIL for f in fields}
    doc.update(error={"code": EVIL, "message": EVIL}, owner={"host": EVIL, "peer": EVIL,
                                                              "text": EVIL},
               target={"device": EVIL, "cntlid": 1, "state": EVIL}, rights=[EVIL], hold=[EVIL],
               steps_us={EVIL: 5}, seen_ms=1, exports=[{"nqn": EVIL, "id": EVIL, "device": EVIL}],
               findings=[{"code": EVIL, "severity": EVIL, "message": EVIL, "rule": EVIL,
                          "have": EVIL, "want": EVIL}])
    server.say("GET", path, Answer({key: [doc]} if key else doc))
    for other in ("/v1/devices", "/v1/peers"):
        if other != path:
            server.say("GET", other, Answer({other[4:]: [doc]}))
    done = expctl(server, *args)
    assert done.returncode in (0, 1)
    assert "\\x1b[2J" in done.stdout
    for text in (done.stdout, done.stderr):
        assert re.fullmatch(r"[\n\x20-\x7e]*", text), repr(text)


def test_errors_and_events_are_escaped(server):
    server.say("GET", "/v1/version", problem("SYSTEM", EVIL, 500))
    done = expctl(server, "version")
    assert re.fullmatch(r"[\n\x20-\x7e]*", done.stderr) and "\\x1b[2J" in done.stderr
    line = json.dumps({"seq": 1, "time_ms": 5, "type": EVIL, "job": EVIL, "export": None,
                       "detail": {"x": EVIL}}) + "\n"
    server.say("GET", "/v1/events?follow=0&since=0",
               Answer(line.encode(), kind="application/x-ndjson"))
    done = expctl(server, "events", "--since", "0")
    assert done.returncode == 0
    assert re.fullmatch(r"[\n\x20-\x7e]*", done.stdout) and "\\x1b[2J" in done.stdout


# --- devices, peers, exports ---

def test_device_table(server):
    server.say("GET", "/v1/devices", Answer({"devices": [
        {"name": "ssd0", "state": "ready", "model": "Acme 9", "serial": "A1",
         "free_bytes": 1 << 30, "total_bytes": 2 << 30, "exports": 3, "free_controllers": 4,
         "can": {"change_log": True}},
        {"name": "ssd1", "state": "unavailable", "error": {"message": "no socket"}}]}))
    done = expctl(server, "device", "list")
    rows = [re.split(r"  +", line.strip()) for line in done.stdout.splitlines()]
    assert rows == [
        ["NAME", "STATE", "MODEL", "SERIAL", "FREE / SIZE", "EXPORTS", "FREE CTRLS", "MOVES"],
        ["ssd0", "ready", "Acme 9", "A1", "1.0 GiB / 2.0 GiB", "3", "4", "live"],
        ["ssd1", "unavailable", "-", "-", "-", "-", "-", "-"]]
    assert expctl(server, "device", "list", "-q").stdout == "ssd0\nssd1\n"


def test_export_create_sends_what_was_asked(server):
    server.say("POST", "/v1/exports", Answer({"id": ID, "nqn": NQN}, 201))
    done = expctl(server, "export", "create", "--device", "ssd0", "--size", "2G", "--lba", "512",
                  "--controller", "0x3", "--nqn", NQN)
    assert (done.returncode, done.stdout) == (0, ID + "\n")
    assert NQN in done.stderr
    assert [json.loads(b) for b in server.bodies("POST", "/v1/exports")] == [
        {"device": "ssd0", "size_bytes": 2 << 30, "lba_bytes": 512, "controller": 3, "nqn": NQN}]
    expctl(server, "export", "create", "--device", "ssd0", "--size", "1M", "--controller", "1")
    assert json.loads(server.bodies("POST", "/v1/exports")[1]) == {
        "device": "ssd0", "size_bytes": 1 << 20, "lba_bytes": 4096, "controller": 1}


def test_export_show_says_who_owns_it(server):
    e = {"id": ID, "nqn": NQN, "status": "owned", "size_bytes": 2 << 30, "lba_bytes": 4096,
         "device": "ssd0", "serial": "S1", "cntlid": 1, "nsid": 7, "ensid": 1, "ecntlid": 1,
         "nguid": None, "uuid": None, "epoch": {"own": 5, "floor": 6, "maxown": 5},
         "owner_peer": None, "job": None}
    path = "/v1/exports/nqn.2014-08.org.example%3Avm7"
    server.say("GET", path, Answer(e))
    done = expctl(server, "export", "show", NQN)
    assert done.returncode == 0
    assert "this host, by epoch 5" in done.stdout
    assert "ssd0 (serial S1), controller 1, namespace 7" in done.stdout
    e.update(status="superseded", epoch={"own": 0, "floor": 9, "maxown": 5}, owner_peer="b",
             device=None)
    server.say("GET", path, Answer(e))
    done = expctl(server, "export", "show", NQN)
    assert "b; this host had it last by epoch 5" in done.stdout
    assert "nowhere on this host" in done.stdout


def test_export_list_and_delete(server):
    server.say("GET", "/v1/exports", Answer({"exports": [
        {"id": ID, "nqn": NQN, "status": "owned", "size_bytes": 1 << 20, "device": "ssd0",
         "cntlid": 4, "epoch": {"own": 5, "floor": 6}, "job": None}]}))
    done = expctl(server, "export", "list")
    assert re.split(r"  +", done.stdout.splitlines()[1].strip()) == [
        NQN, "owned", "1.0 MiB", "ssd0", "4", "5/6", "-"]
    assert expctl(server, "export", "list", "--quiet").stdout == ID + "\n"
    server.say("DELETE", f"/v1/exports/{ID}", Answer({"id": ID}))
    done = expctl(server, "export", "delete", ID)
    assert (done.returncode, done.stdout) == (0, ID + "\n")


def test_peer_table(server):
    server.say("GET", "/v1/peers", Answer({"peers": [
        {"name": "b", "connected": True, "condition": "", "address": "10.0.0.2:7700",
         "rights": ["send", "receive"], "seen_ms": 1700000000000, "skew_ms": -12},
        {"name": "c", "connected": False, "condition": "", "address": "c:1", "rights": [],
         "seen_ms": None, "skew_ms": None, "error": {"message": "connection refused"}},
        {"name": "d", "connected": True, "condition": "journal-regressed", "address": "d:1",
         "rights": [], "seen_ms": 1}]}))
    rows = [re.split(r"  +", line.strip())
            for line in expctl(server, "peer", "list").stdout.splitlines()[1:]]
    assert rows[0] == ["b", "connected", "10.0.0.2:7700", "send,receive", "2023-11-14 22:13:20",
                       "-12 ms"]
    assert rows[1][:3] == ["c", "away", "c:1"] and rows[1][-1] == "connection refused"
    assert rows[2][1] == "journal-regressed"


# --- check, version, events ---

def health(server, status, http=200, findings=(), devices=(), peers=()):
    server.say("GET", "/v1/health", Answer(
        {"status": status, "findings": list(findings), "uptime_ms": 61000, "open_jobs": 2,
         "database": {"counter": 9, "wal_bytes": 4096}}, http))
    server.say("GET", "/v1/devices", Answer({"devices": list(devices)}))
    server.say("GET", "/v1/peers", Answer({"peers": list(peers)}))


def test_check_of_a_host_in_order(server):
    health(server, "ok", devices=[{"name": "ssd0", "state": "ready", "no_change_log": None}],
           peers=[{"name": "b", "connected": True, "condition": ""}])
    done = expctl(server, "check")
    assert done.returncode == 0
    assert "ok, up 1 min 1 s, 2 open migrations" in done.stdout
    assert "ssd0: ready" in done.stdout and "b: connected" in done.stdout


def test_check_explains_each_finding(server):
    finding = {"code": "RESET_ON_RESTART", "severity": "refusal", "message": "no live moves",
               "have": "no store", "want": "a store", "rule": "descriptors survive"}
    health(server, "degraded", findings=[finding, {**finding, "severity": "note", "code": "N"}],
           devices=[{"name": "ssd0", "state": "ready", "no_change_log": "the kernel cannot"}],
           peers=[{"name": "b", "connected": False, "condition": "",
                   "error": {"message": "refused"}},
                  {"name": "c", "connected": True, "condition": "journal-regressed"}])
    done = expctl(server, "check")
    assert done.returncode == 1
    assert "RESET_ON_RESTART: no live moves" in done.stdout
    assert "is no store, needed a store (descriptors survive)" in done.stdout
    assert "no live moves: the kernel cannot" in done.stdout
    assert "b: not connected: refused" in done.stdout
    assert "c: journal-regressed" in done.stdout


@pytest.mark.parametrize("devices,code", [
    ([{"name": "ssd0", "state": "unavailable", "error": {"message": "gone"}}], 1),
    ([{"name": "ssd0", "state": "opening"}], 0),
])
def test_check_of_devices(server, devices, code):
    health(server, "degraded", devices=devices)
    assert expctl(server, "check").returncode == code


def test_check_of_a_daemon_that_starts(server):
    health(server, "starting", http=503)
    done = expctl(server, "check")
    assert done.returncode == 1
    assert "starting" in done.stdout
    done = expctl(server, "check", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["status"] == "starting"


def test_version_of_both(server):
    server.say("GET", "/v1/version", Answer({"version": "0.9", "build": "gcc", "host": ID,
                                             "wire": {"min": 1, "max": 2}}))
    done = expctl(server, "version")
    assert done.returncode == 0
    assert re.match(r"expctl \d+\.\d+\.\d+\n", done.stdout)
    assert "0.9 gcc" in done.stdout and "1 to 2" in done.stdout and ID in done.stdout
    done = expctl(server, "--version")
    assert re.fullmatch(r"expctl \d+\.\d+\.\d+\n", done.stdout)


def test_events_since_a_number(server):
    lines = b"".join(json.dumps({"seq": n, "time_ms": 1700000000000, "type": "mmc-reset",
                                 "job": None, "export": None, "detail": {"n": n}}).encode() + b"\n"
                     for n in (5, 6))
    server.say("GET", "/v1/events?follow=0&since=4", Answer(lines, kind="application/x-ndjson"))
    done = expctl(server, "events", "--since", "4")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["5", "6"]
    assert "2023-11-14 22:13:20" in done.stdout and "mmc-reset" in done.stdout
    done = expctl(server, "events", "--since", "4", "--json")
    assert done.stdout.encode() == lines
    server.say("GET", "/v1/events?follow=1&since=4",
               problem("GONE", "7 to 9 are here", 410))
    done = expctl(server, "events", "--since", "4", "--follow")
    assert (done.returncode, done.stderr) == (1, "expctl: 7 to 9 are here\n")


# --- preflight and migrate ---

def test_preflight_says_why_not(server):
    server.say("POST", "/v1/preflight", Answer({
        "ok": False, "findings": [
            {"code": "SKEW", "severity": "warning", "message": "clocks differ"},
            {"code": "MDTS", "severity": "refusal", "message": "too small", "have": "4",
             "want": "5", "rule": "b >= a"}],
        "target": {"device": None, "controllers": []}, "path": None,
        "estimate": {"bytes": 1 << 30, "eta_ms": None, "blackout_us": None}}))
    for args in (["preflight", NQN, "--to", "b"], ["migrate", NQN, "--to", "b", "--dry-run"]):
        done = expctl(server, *args)
        assert done.returncode == 1
        assert done.stdout.endswith("refusal  MDTS: too small\n         is 4, needed 5 (b >= a)\n"
                                    "warning  SKEW: clocks differ\n")
    assert not server.bodies("POST", "/v1/migrations")
    server.say("POST", "/v1/preflight", Answer({
        "ok": True, "findings": [], "target": {"device": "ssd1", "controllers": [{"cntlid": 2}]},
        "path": "reference",
        "estimate": {"bytes": 1 << 30, "eta_ms": 9000, "blackout_us": 12345}}))
    done = expctl(server, "preflight", NQN, "--to", "b")
    assert done.returncode == 0
    assert "1.0 GiB to send, 9.0 s, blackout 12.3 ms" in done.stdout
    assert "ssd1, controller 2" in done.stdout


def test_migrate_sends_what_was_asked(server):
    server.say("POST", "/v1/migrations", Answer(migration("preflight"), 202))
    done = expctl(server, "migrate", NQN, ID, "--to", "b", "--to-device", "ssd1", "--hold",
                  "switch,commit", "--hold-lease-ms", "5000", "--dirty", "none",
                  "--blackout-limit-ms", "250", "--key", "k 1", "--detach")
    assert (done.returncode, done.stdout) == (0, ID + "\n")
    assert [json.loads(b) for b in server.bodies("POST", "/v1/migrations")] == [
        {"exports": [NQN, ID], "to": "b", "to_device": "ssd1", "hold": ["switch", "commit"],
         "hold_lease_ms": 5000, "dirty": "none", "blackout_limit_ms": 250}]
    assert server.requests[0]["headers"]["Idempotency-Key"] == "k 1"
    expctl(server, "migrate", NQN, "--to", "b", "--to-controller", "3", "--detach")
    assert json.loads(server.bodies("POST", "/v1/migrations")[1]) == {
        "exports": [NQN], "to": "b", "to_controller": 3, "hold": [], "dirty": "cdq"}
    assert re.fullmatch(r"[0-9a-f-]{36}", server.requests[1]["headers"]["Idempotency-Key"])


def test_lost_answer_can_be_asked_again(server):
    server.say("POST", "/v1/migrations", Answer(migration("preflight"), 202, cut=3))
    done = expctl(server, "migrate", NQN, "--to", "b")
    assert done.returncode == 3
    key = server.requests[0]["headers"]["Idempotency-Key"]
    assert f"--key {key}" in done.stderr


def test_refused_migration_names_every_refusal(server):
    server.say("POST", "/v1/migrations", problem(
        "PREFLIGHT", "MDTS: too small", 409, findings=[
            {"code": "MDTS", "severity": "refusal", "message": "too small"},
            {"code": "SKEW", "severity": "warning", "message": "clocks differ"},
            {"code": "ROOM", "severity": "refusal", "message": "no room"}]))
    done = expctl(server, "migrate", NQN, "--to", "b")
    assert done.returncode == 1
    assert done.stderr == "expctl: MDTS: too small\n  too small\n  no room\n"


def watched(server, *states):
    server.say("POST", "/v1/migrations", Answer(migration("preflight"), 202))
    server.say("GET", f"/v1/migrations/{ID}", *(Answer(s) for s in states))
    return expctl(server, "migrate", NQN, "--to", "b")


def test_migrate_tells_plain_lines_when_not_a_terminal(server):
    done = watched(server, migration("preparing", bytes={}, rates={}, eta_ms=None,
                                     forecast_blackout_us=None),
                   migration("copying"), migration("copying"),
                   migration("ready", next="held as asked: switchover", waiting_for="switchover"),
                   migration("done"))
    assert done.returncode == 0
    assert done.stdout == f"{ID}\ndone: b owns it; 3.0 MiB sent in 1.0 s, blackout 23.4 ms\n"
    assert "\r" not in done.stderr and "\x1b" not in done.stderr
    lines = done.stderr.splitlines()
    assert lines[0] == "preparing"
    assert lines[1] == ("copying       42 %  812 MiB/s  dirty 12 MiB/s  ETA 5.0 s  "
                        "blackout ~12.3 ms")
    assert lines[2].startswith("ready         42 %")
    assert lines[2].endswith("  waits for switchover; held as asked: switchover")
    assert lines[3] == "done          blackout 23.4 ms"
    assert len(lines) == 4


def test_migrate_that_fails_says_why_and_what_now(server):
    error = {"code": "BLACKOUT", "message": "1,000 ms were over", "errno": 62, "nvme_status": 0,
             "retry": True}
    done = watched(server, migration("copying"),
                   migration("failed", error=error, next="start anew"))
    assert done.returncode == 1
    assert done.stdout == ID + "\n"
    assert "the migration is failed: 1,000 ms were over" in done.stderr
    assert "owner: so it is" in done.stderr and "do next: start anew" in done.stderr


def test_cancelled_migration_is_1(server):
    assert watched(server, migration("cancelled")).returncode == 1


def test_daemon_that_comes_back_is_waited_for(server):
    starting = Answer({"code": "STARTING", "detail": "recovering", "retry": True, "errno": 11},
                      503, PROBLEM)
    server.say("GET", f"/v1/migrations/{ID}", Answer(migration("copying")),
               Answer({}, cut=1), starting, Answer(migration("done")))
    done = expctl(server, "migration", "follow", ID)
    assert done.returncode == 0
    assert done.stderr.count("waiting for it to come back") == 1


def test_watched_migration_that_vanishes_is_1(server):
    server.say("GET", f"/v1/migrations/{ID}", Answer(migration("copying")),
               problem("NOT_FOUND", "migration is not known", 404))
    done = expctl(server, "migration", "follow", ID)
    assert done.returncode == 1
    assert "not known" in done.stderr


def test_wait_that_is_over_is_4(server):
    server.say("GET", f"/v1/migrations/{ID}", Answer(migration("copying")))
    done = expctl(server, "migration", "follow", ID, "--wait", "0")
    assert (done.returncode, done.stdout) == (4, "")
    assert f"expctl migration follow {ID}" in done.stderr
    done = expctl(server, "migration", "follow", ID, "--wait", "0", "--json")
    assert (done.returncode, json.loads(done.stdout)["state"]) == (4, "copying")


def test_interrupted_watching_is_4(server):
    server.say("GET", f"/v1/migrations/{ID}", Answer(migration("copying")))
    proc = subprocess.Popen([program("expctl"), "--socket", server.server_address, "migration",
                             "follow", ID], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)
    wait_for(lambda: len(server.requests) > 1, "it watches")
    proc.send_signal(signal.SIGINT)
    out, err = proc.communicate(timeout=60)
    assert (proc.returncode, out) == (4, "")
    assert "it goes on" in err


def test_one_live_line_on_a_terminal(server):
    server.say("GET", f"/v1/migrations/{ID}", Answer(migration("copying")),
               Answer(migration("switching")), Answer(migration("done")))
    master, slave = pty.openpty()
    proc = subprocess.Popen([program("expctl"), "--socket", server.server_address, "migration",
                             "follow", ID], stdout=subprocess.PIPE, stderr=slave, text=True)
    os.close(slave)
    seen = b""
    try:
        while chunk := os.read(master, 4096):
            seen += chunk
    except OSError:
        pass  # the other side has closed it
    os.close(master)
    out = proc.communicate(timeout=60)[0]
    assert proc.returncode == 0
    assert out == "done: b owns it; 3.0 MiB sent in 1.0 s, blackout 23.4 ms\n"
    parts = seen.decode().split("\r\x1b[K")
    assert parts[0] == "" and parts[1].startswith("copying       42 %")
    assert parts[2].startswith("switching") and parts[3].startswith("done          blackout 23.4 ms")
    assert seen.count(b"\n") == 1
    assert all(len(p.rstrip("\r\n")) < 80 for p in parts)


# --- migrations ---

def test_migration_list_filters(server):
    query = "/v1/migrations?state=rolling-back&export=nqn.2014-08.org.example%3Avm7&limit=5&open=1"
    two = migration("done", exports=migration("done")["exports"] * 3)
    server.say("GET", query, Answer({"migrations": [migration("copying",
                                                              condition="needs-operator"), two]}))
    done = expctl(server, "migration", "list", "--state", "rolling-back", "--export", NQN, "--open",
                  "--limit", "5")
    assert done.returncode == 0, done.stderr
    rows = [re.split(r"  +", line.strip()) for line in done.stdout.splitlines()]
    assert rows[1] == [ID, "source", "copying, needs-operator", "b", "-", "2023-11-14 22:13:21",
                       NQN]
    assert rows[2] == [ID, "source", "done", "b", "23.4 ms", "2023-11-14 22:13:21", NQN, "2 more"]


def test_migration_show_at_night(server):
    error = {"code": "DEVICE_STATUS", "message": "suspend: refused", "errno": 121,
             "nvme_status": 0x13a, "retry": False}
    server.say("GET", f"/v1/migrations/{ID}", Answer(migration(
        "rolling-back", condition="suspend-unknown", error=error, next="wait for the drive",
        hold=["switch", "commit"], waiting_for="the drive")))
    done = expctl(server, "migration", "show", ID)
    assert done.returncode == 0
    text = re.sub(r" +", " ", done.stdout)
    assert "state rolling-back, suspend-unknown (open, attempt 1)\n" in text
    assert "owner this host, by epoch 1\n so it is\n" in text
    assert "error DEVICE_STATUS: suspend: refused\n" in text
    assert "NVMe status code type 1h, status code 3Ah\n" in text
    assert "waits for the drive\n" in text
    assert "do next wait for the drive\n" in text
    assert "data 3.0 MiB sent (1000 B allocated), 580 B remain, 3 rounds\n" in text
    assert "to b (this host is the source)\n" in text
    assert "target ssd1, controller 2, enabled\n" in text
    assert "hold at switch and commit, 30.0 s at most\n" in text
    assert "blackout forecast 12.3 ms (limit 1.0 s)\n" in text
    assert "steps suspend 1.5 ms, activate 900 us\n" in text
    # what matters first
    order = [text.index(w) for w in ("state ", "owner ", "error ", "do next ", "target ")]
    assert order == sorted(order)


def test_migration_show_of_a_move_that_is_done(server):
    server.say("GET", f"/v1/migrations/{ID}", Answer(migration("done")))
    text = re.sub(r" +", " ", expctl(server, "migration", "show", ID).stdout)
    assert "owner b, by epoch 2\n so it is\n" in text
    assert "state done (ended, attempt 1)\n" in text
    assert "blackout 23.4 ms (limit 1.0 s)\n" in text
    assert "error" not in text


@pytest.mark.parametrize("verb", ["switchover", "commit", "abort", "cancel"])
def test_verbs_of_a_migration(server, verb):
    server.say("POST", f"/v1/migrations/{ID}/{verb}", Answer(migration("switching")))
    done = expctl(server, "migration", verb, ID)
    assert (done.returncode, done.stdout) == (0, "switching\n")
    assert server.bodies("POST", f"/v1/migrations/{ID}/{verb}") == [""]
    server.say("POST", f"/v1/migrations/{ID}/{verb}",
               problem("TOO_LATE", "host b owns it", 409))
    done = expctl(server, "migration", verb, ID)
    assert (done.returncode, done.stderr) == (1, "expctl: host b owns it\n")


def test_target_ready_sends_the_memory(server):
    path = f"/v1/migrations/{ID}/target-ready"
    server.say("POST", path, Answer(migration("receiving", role="destination")))
    done = expctl(server, "migration", "target-ready", ID, "--memory", "0:1G", "--memory",
                  "0x100000000:4096")
    assert (done.returncode, done.stdout) == (0, "receiving\n")
    assert [json.loads(b) for b in server.bodies("POST", path)] == [
        {"memory": [{"iova": 0, "bytes": 1 << 30}, {"iova": 1 << 32, "bytes": 4096}]}]


# --- what is written about it ---

def verbs():
    """[(noun, verb or None, [options])] from the program's own help."""
    text = subprocess.run([program("expctl"), "help"], capture_output=True, text=True,
                          timeout=60).stdout
    found = []
    for line in text.split("Options of every verb")[0].splitlines():
        m = re.match(r"  ([a-z]+)(?: ([a-z-]+))?(?: [A-Z\[]\S*(?: \S+)?)?  +\S", line)
        if not m:
            continue
        words = [w for w in m.groups() if w]
        detail = subprocess.run([program("expctl"), "help", *words], capture_output=True,
                                text=True, timeout=60).stdout
        own = detail.split("Options of every verb")[0]
        found.append((words, re.findall(r"^  (--[a-z-]+)", own, re.M)))
    assert len(found) > 15
    return found


def test_manual_page_has_every_verb_and_option():
    page = (ROOT / "ctl/expctl.1").read_text().replace("\\-", "-")
    for words, options in verbs():
        assert " ".join(words) in page, words
        for option in options:
            assert option in page, option
    for option in ("--socket", "--json", "--quiet", "--help", "--version"):
        assert option in page


def test_completion_has_every_verb_and_option():
    script = ROOT / "ctl/expctl.bash"

    def complete(*words):
        line = ["expctl", *words]
        run = (f"source {script}; COMP_WORDS=({' '.join(map(repr, line))}); "
               f"COMP_CWORD={len(line) - 1}; _expctl; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        return subprocess.run(["bash", "-c", run], capture_output=True, text=True, timeout=60,
                              check=True, env={"PATH": "/usr/bin:/bin"}).stdout.split()

    nouns = {words[0] for words, _ in verbs()}
    assert set(complete("''")) == nouns
    for words, options in verbs():
        if len(words) == 2:
            assert words[1] in complete(words[0], "''")
        assert set(complete(*words, "--")) == set(options) | {"--socket", "--json", "--quiet",
                                                              "--help"}, words
