# SPDX-License-Identifier: Apache-2.0
"""Bad input from users, peers, files and the disk: a clear error and nothing lost."""

import contextlib
import ctypes
import os
import pathlib
import random
import re
import socket
import sqlite3
import ssl
import struct
import subprocess

import pytest

from lib.hosts import MIB, PORT, Hosts, Problem, UnixConnection, Vm
from lib.proc import ROOT, program, wait_for


@pytest.fixture
def hosts(lab):
    return Hosts(lab)


@pytest.fixture
def alone(lab):
    """Only host a runs."""
    hosts = Hosts(lab, start=False)
    hosts.a.start()
    return hosts


def start_vm(lab, hosts):
    export = hosts.a.create_export(size=32 * MIB)
    vm = Vm(lab, hosts.a)
    vm.writes_on()
    return export, vm


def check_all_is_well(hosts, export, vm):
    """Whatever was tried: it runs where it was, and can be moved."""
    hosts.check_owner(export, hosts.a)
    vm.writes_on()
    vm.migrate(export, hosts.b)
    hosts.wait_clean(export, hosts.b)
    vm.writes_on()
    vm.end_well()


# --- the control socket ---

EXPORT = '"device": "ssd0", "size_bytes": 16777216, "lba_bytes": 4096, "controller": 1'
NOBODY = "00000000-0000-4000-8000-000000000000"

BODIES = [  # what is wrong, the path, the body, words of the answer
    ("unknown field", "/v1/exports", f'{{{EXPORT}, "colour": "red"}}', ["colour"]),
    ("wrong type", "/v1/exports", '{"device": "ssd0", "size_bytes": "big"}', ["size_bytes"]),
    ("fraction", "/v1/exports", '{"device": "ssd0", "size_bytes": 1.5}', ["size_bytes"]),
    ("negative", "/v1/exports", '{"device": "ssd0", "size_bytes": -1}', ["size_bytes"]),
    ("missing", "/v1/exports", '{"size_bytes": 16777216}', ["device"]),
    ("twice", "/v1/exports", f'{{{EXPORT}, "device": "ssd0"}}', ["device"]),
    ("no object", "/v1/exports", "[]", ["object"]),
    ("no JSON", "/v1/exports", "size=1", ["JSON"]),
    ("no body", "/v1/exports", "", ["body"]),
    ("rest", "/v1/exports", f"{{{EXPORT}}} {{}}", ["JSON"]),
    ("UTF-8", "/v1/exports", b'{"device": "\xff\xfe"}', ["utf-8"]),
    ("deep", "/v1/exports", "[" * 20000 + "]" * 20000, []),
    ("no device", "/v1/exports", '{"device": "tape", "size_bytes": 16777216, "lba_bytes": 4096, '
     '"controller": 1}', ["tape"]),
    ("hold", "/v1/migrations", f'{{"exports": ["{NOBODY}"], "to": "b", "hold": ["lunch"]}}',
     ["lunch"]),
    ("no export", "/v1/migrations", f'{{"exports": ["{NOBODY}"], "to": "b"}}', [NOBODY]),
    ("no id", "/v1/migrations", '{"exports": [7], "to": "b"}', ["exports"]),
    ("limit", "/v1/migrations", f'{{"exports": ["{NOBODY}"], "to": "b", "blackout_limit_ms": 0}}',
     ["blackout_limit_ms"]),
]


@pytest.mark.parametrize("path,raw,words", [b[1:] for b in BODIES], ids=[b[0] for b in BODIES])
def test_bodies(request, path, raw, words, bodies_host):
    status, answer = bodies_host.request("POST", path, raw=raw)
    assert 400 <= status < 500, answer
    assert answer["code"] and answer["status"] == status and answer["title"]
    assert all(w in answer["detail"] for w in words), answer
    assert bodies_host.get("/v1/exports")["exports"] == []


@pytest.fixture(scope="module")
def bodies_host(tmp_path_factory):
    """One daemon for all of them: none of it leaves a trace."""
    from conftest import Lab
    work = Lab()
    try:
        hosts = Hosts(work, start=False)
        hosts.a.start()
        yield hosts.a
        assert hosts.a.daemon.stop() == 0
    finally:
        work.finish(failed=False)


def test_paths_and_methods(bodies_host):
    host = bodies_host
    for method, path, want in (("GET", "/v1/nothing", 404), ("GET", "/", 404),
                               ("GET", "/v2/version", 404), ("PUT", "/v1/exports", 405),
                               ("DELETE", "/v1/migrations", 405), ("POST", "/v1/version", 405),
                               ("GET", "/v1/exports/not-an-id", 400),
                               ("GET", f"/v1/exports/{NOBODY}", 404),
                               ("GET", f"/v1/migrations/{NOBODY}", 404),
                               ("POST", f"/v1/migrations/{NOBODY}/cancel", 404),
                               ("POST", f"/v1/migrations/{NOBODY}/explode", 404),
                               ("GET", "/v1/exports/%zz", 400), ("GET", "/v1/events?since=x", 400),
                               ("GET", "/v1/migrations?state=sleeping", 400),
                               ("GET", "/v1/" + "x" * 3000, 413)):
        status, answer = host.request(method, path)
        assert status == want, (method, path, status, answer)
        assert answer["code"] and answer["detail"], answer


def test_huge_body(bodies_host):
    for size in (65 * 1024, 900 * 1024):
        status, answer = bodies_host.request("POST", "/v1/exports", raw="x" * size)
        assert status == 413 and str(size) in answer["detail"], answer
    with contextlib.suppress(OSError):  # it need not read to the end of what it refuses
        status, _ = bodies_host.request("POST", "/v1/exports", raw="x" * (4 * MIB))
        assert status == 413
    assert bodies_host.get("/v1/version")


def test_garbage_on_the_socket(bodies_host):
    for junk in (b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\xff" * 70000,
                 b"POST /v1/exports HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                 b"POST /v1/exports HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(10)
        s.connect(str(bodies_host.socket))
        with contextlib.suppress(OSError):
            s.sendall(junk)
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
        s.close()
        assert bodies_host.get("/v1/version")


def test_read_socket_only_reads(bodies_host):
    def ask(method, path, body=None):
        conn = UnixConnection(bodies_host.socket.with_name("read.sock"))
        conn.request(method, path, body)
        answer = conn.getresponse()
        text = answer.read().decode()
        conn.close()
        return answer.status, text

    assert ask("GET", "/v1/exports")[0] == 200
    for method, path in (("POST", "/v1/exports"), ("DELETE", f"/v1/exports/{NOBODY}"),
                         ("POST", f"/v1/migrations/{NOBODY}/cancel")):
        status, text = ask(method, path, "{}" if method == "POST" else None)
        assert status in (403, 405) and "control.sock" in text, text


# --- configuration, keys, certificates ---


def check_config(host):
    """expd --check-config: status and what it said."""
    done = subprocess.run([program("expd"), "--config", host.conf, "--check-config"],
                          capture_output=True, text=True, timeout=20)
    return done.returncode, done.stderr + done.stdout


def refused(host, *words):
    """Both the check and a start refuse, and say all of these words."""
    status, said = check_config(host)
    assert status == 1 and all(w in said for w in words), said
    host.start(wait=False)
    assert host.daemon.wait(20) == 1
    assert all(w in host.daemon.text() for w in words), host.daemon.text()


@pytest.mark.parametrize("bad,why", [
    ("log_levle = info", ["unknown key log_levle", "[daemon]"]),
    ("log_level = loud", ["log_level", "loud", "debug"]),
    ("blackout_limit_ms = 0", ["blackout_limit_ms", "1 to 3600000"]),
    ("blackout_limit_ms = 10s", ["blackout_limit_ms", "10s"]),
    ("listen = 10.77.0.1", ["listen", "HOST:PORT"]),
    ("listen = 10.77.0.1:99999", ["99999"]),
    ("state_dir = state", ["state_dir", "absolute"]),
    ("allow_reset_on_restart = true", ["allow_reset_on_restart", "yes or no"]),
    ("what is this", ["key = value"]),
])
def test_configuration_typos(lab, conf_host, bad, why):
    """File and line are named, and what would be right."""
    lines = conf_host.good.splitlines()
    key = bad.split("=")[0].strip()
    at = next((i for i, line in enumerate(lines) if line.split("=")[0].strip() == key),
              None)
    if at is None:  # nothing of the kind is there: the line after [daemon]
        at = 1
        lines.insert(at, bad)
    else:
        lines[at] = bad
    conf_host.conf.write_text("\n".join(lines) + "\n")
    status, said = check_config(conf_host)
    assert status == 1 and f"{conf_host.conf}:{at + 1}: " in said, said
    assert all(w in said for w in why), said


@pytest.fixture(scope="module")
def conf_host():
    from conftest import Lab
    work = Lab()
    try:
        host = Hosts(work, start=False).a
        host.good = host.conf.read_text()
        assert check_config(host) == (0, check_config(host)[1])
        yield host
    finally:
        work.finish(failed=False)


def test_sections(lab, conf_host):
    """A section that does not exist, a name that is none, a section that lacks something."""
    n = len(conf_host.good.splitlines())
    for more, at, words in (("[daemons]\n", n + 1, ["[daemons]", "[daemon]"]),
                            ("[peer b/c]\n", n + 1, ["b/c"]),
                            ("[peer b]\n", n + 1, ["twice"]),
                            ("[daemon]\n", n + 1, ["twice"]),
                            ("[peer c]\naddress = c:1\n", n + 1, ["[peer c]", "identity"])):
        conf_host.conf.write_text(conf_host.good + more)
        status, said = check_config(conf_host)
        assert status == 1 and f"{conf_host.conf}:{at}: " in said, said
        assert all(w in said for w in words), said


def test_missing_things(lab):
    hosts = Hosts(lab, start=False)
    a = hosts.a
    good = a.conf.read_text()
    a.conf.write_text(re.sub("key_file.*\n", "", good))
    refused(a, f"{a.conf}:1", "[daemon]", "key_file")
    a.conf.write_text(good)
    key, cert = hosts.pki / "a.key", hosts.pki / "a.pem"
    key.chmod(0o644)
    refused(a, str(key), "0644", "chmod")
    key.chmod(0o600)
    key.rename(hosts.pki / "away")
    refused(a, str(key), "No such file")
    (hosts.pki / "b.key").rename(key)
    refused(a, "key")  # somebody else's
    key.write_text("not a key\n")
    key.chmod(0o600)
    refused(a, str(key))
    key.unlink()
    (hosts.pki / "away").rename(key)
    cert.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    refused(a, str(cert))
    a.conf.unlink()
    refused(a, str(a.conf), "No such file")


def certificate(hosts, name, *options, directory=None):
    subprocess.run(["sh", str(ROOT / "tests/support/pki.sh"), "host", str(directory or hosts.pki),
                    name, *options], check=True, capture_output=True)


@pytest.mark.parametrize("options,words", [(["--expired"], ["expired"]),
                                           (["--no-san"], ["SAN"])])
def test_own_certificate(lab, options, words):
    hosts = Hosts(lab, start=False)
    certificate(hosts, "a", *options)
    status, said = check_config(hosts.a)
    assert status == 1 and all(w in said for w in words) and "a.pem" in said, said


# --- strangers at the listener ---


@contextlib.contextmanager
def inside(netns):
    """Sockets made in here belong to this network namespace, for as long as they live."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as home, open(f"/run/netns/{netns}") as there:
        assert libc.setns(there.fileno(), 0) == 0
        try:
            yield
        finally:
            assert libc.setns(home.fileno(), 0) == 0


def dial(hosts, timeout=20):
    """TCP to host b from host a's namespace."""
    with inside(hosts.a.netns):
        s = socket.socket()
    s.settimeout(timeout)
    s.connect((hosts.cable.addr[1], PORT))
    return s


def tls(hosts, name="a", pki=None, **limits):
    """A client with the certificate of this name; its channel, or what went wrong."""
    pki = pki or hosts.pki
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["exp/1"])
    for k, v in limits.items():
        setattr(context, k, v)
    if name:
        context.load_cert_chain(pki / f"{name}.pem", pki / f"{name}.key")
    return context.wrap_socket(dial(hosts))


def hung_up(s):
    """Until the other side has ended the connection; what it said before."""
    said = b""
    with contextlib.suppress(OSError):
        while part := s.recv(65536):
            said += part
    s.close()
    return said


def said_since(host, mark, text):
    wait_for(lambda: text in host.daemon.text()[mark:], f"{host.name} says {text}")


STRANGERS = [("expired", ["--expired"], "expired"), ("no SAN", ["--no-san"], "SAN"),
             ("unknown", ["--uri", "spiffe://lab/host/mallory"], "spiffe://lab/host/mallory")]


def test_strangers(lab, hosts):
    export, vm = start_vm(lab, hosts)
    b = hosts.b
    for name, options, word in STRANGERS:
        certificate(hosts, "m", *options)
        mark = len(b.daemon.text())
        with contextlib.suppress(OSError):
            hung_up(tls(hosts, "m"))
        said_since(b, mark, word)
    foreign = lab.dir / "foreign"
    subprocess.run(["sh", str(ROOT / "tests/support/pki.sh"), "lab", str(foreign), "a"],
                   check=True, capture_output=True)
    for what, kw in (("foreign CA", {"pki": foreign}), ("no certificate", {"name": None}),
                     ("TLS 1.2", {"maximum_version": ssl.TLSVersion.TLSv1_2})):
        mark = len(b.daemon.text())
        with contextlib.suppress(OSError):
            hung_up(tls(hosts, **kw))
        said_since(b, mark, "connection ended before it was known whose it is")
    check_all_is_well(hosts, export, vm)


def test_garbage_at_the_listener(lab, hosts):
    export, vm = start_vm(lab, hosts)
    rng = random.Random(7471)
    for i in range(40):
        s = dial(hosts)
        with contextlib.suppress(OSError):
            s.sendall(rng.randbytes(rng.choice((1, 5, 100, 3000, 70000))))
            s.shutdown(socket.SHUT_WR)
        hung_up(s)
    check_all_is_well(hosts, export, vm)


def frames():
    rng = random.Random(4193)
    yield "no header", struct.pack("<II", 0, 0)
    yield "huge header", struct.pack("<II", 0xFFFFFFF0, 0)
    yield "huge payload", struct.pack("<II", 1, 0xFFFFFFF0) + b"\x08"
    yield "large before hello", struct.pack("<II", 400 * 1024, 0) + bytes(1000)
    yield "no protobuf", struct.pack("<II", 4, 0) + b"\xff\xff\xff\xff"
    yield "empty envelope", struct.pack("<II", 2, 0) + b"\x08\x00"
    yield "cut", struct.pack("<II", 100, 0) + b"\x0a"
    yield "bulk, nonsense", b"EXPBULK1" + bytes(72)
    yield "bulk, cut", b"EXPBULK1" + bytes(3)
    for i in range(40):
        n = rng.randrange(1, 200)
        yield f"random {i}", struct.pack("<II", n, 0) + rng.randbytes(n)
        yield f"raw {i}", rng.randbytes(rng.randrange(1, 300))


def test_malformed_frames_of_a_known_peer(lab, hosts):
    """The right certificate, the wrong bytes: said on both sides, and the daemon lives on."""
    export, vm = start_vm(lab, hosts)
    pid = hosts.b.daemon.popen.pid
    for what, data in frames():
        s = tls(hosts)
        with contextlib.suppress(OSError):
            s.sendall(data)
            s.unwrap()
        s.close()
    mark = len(hosts.b.daemon.text())
    s = tls(hosts)
    s.sendall(struct.pack("<II", 0xFFFFFFF0, 0))
    hung_up(s)
    assert hosts.b.daemon.alive() and hosts.b.daemon.popen.pid == pid
    check_all_is_well(hosts, export, vm)


def test_silent_connections(lab, hosts):
    """Peers that say nothing, many of them: a real one gets through, and they are let go."""
    export, vm = start_vm(lab, hosts)
    mute = tls(hosts)  # past the handshake, but without a word
    idle = [dial(hosts) for _ in range(300)]
    check_all_is_well(hosts, export, vm)
    for s in (mute, *idle):
        hung_up(s)


# --- the state directory ---


def end_refused(host, *words):
    host.start(wait=False)
    assert host.daemon.wait(20) == 1
    text = host.daemon.text()
    said = text[text.rindex("--config"):]
    assert all(w in said for w in words), said


def test_databases(lab, hosts):
    """A file that is not what it should be is named, left as it is, and the guest runs on."""
    export, vm = start_vm(lab, hosts)
    a, db = hosts.a, hosts.a.dir / "state" / "journal.db"
    assert a.daemon.stop() == 0
    good = db.read_bytes()

    def variant(sql):
        with contextlib.closing(sqlite3.connect(db)) as c:
            c.executescript(sql)
        for rest in ("-wal", "-shm"):
            pathlib.Path(f"{db}{rest}").unlink(missing_ok=True)

    def attempt(*words):
        bad = db.read_bytes()
        end_refused(a, str(db), *words)
        assert db.read_bytes() == bad
        vm.writes_on()
        db.write_bytes(good)

    variant("PRAGMA user_version = 99")
    attempt("99", "newer")
    variant("PRAGMA application_id = 4711")
    attempt("application id")
    db.write_bytes(b"this is a letter to my aunt, not a database\n" * 200)
    attempt("no SQLite file")
    middle = bytearray(good)
    middle[4096:8192] = os.urandom(4096)
    db.write_bytes(middle)
    end_refused(a, "journal")
    vm.writes_on()
    db.write_bytes(good)
    a.start()
    check_all_is_well(hosts, export, vm)


def test_second_daemon(lab, alone):
    a = alone.a
    export = a.create_export(size=16 * MIB)
    first = a.daemon
    end_refused(a, "state", "another")
    a.daemon = first
    assert first.alive() and a.export(export["id"])["status"] == "owned"
    # the same state directory from elsewhere
    text = a.conf.read_text()
    a.conf.write_text(text.replace(f"{a.dir}/run", f"{a.dir}/run2"))
    end_refused(a, str(a.dir / "state"))
    a.daemon = first
    assert a.export(export["id"])["status"] == "owned"


# --- a full disk ---


def small_disk(lab, host, mib=8):
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


@pytest.mark.parametrize("side", ["a", "b"])
def test_full_disk(lab, side):
    """Full at the source in ready: it goes back. At the destination: it waits, nothing is lost."""
    hosts = Hosts(lab, start=False)
    disk = small_disk(lab, hosts.a if side == "a" else hosts.b)
    for host in (hosts.a, hosts.b):
        host.start()
    export, vm = start_vm(lab, hosts)
    m = hosts.a.migrate(export["id"], "b", hold=["switch"])["id"]
    vm.prepare_target(hosts.b, m)
    hosts.a.wait_state(m, "ready")
    fill(disk)
    hosts.a.verb(m, "switchover")
    full = hosts.a if side == "a" else hosts.b
    full.daemon.wait_text("no space left")
    assert str(disk) in full.daemon.text()
    if side == "a":
        vm.writes_on()  # the guest need not wait for a disk
        hosts.check_owner(export, hosts.a)
        (disk / "filler").unlink()
        hosts.a.wait_state(m, "rolling-back")
        vm.stay()
        ended = hosts.a.wait_state(m, "failed")
        assert ended["error"]["code"] == "NO_SPACE", ended["error"]
        hosts.wait_clean(export, hosts.a)
        check_all_is_well(hosts, export, vm)
        return
    assert hosts.runnable(export) == ["a"]
    (disk / "filler").unlink()
    vm.follow(m)
    hosts.wait_clean(export, hosts.b)
    vm.writes_on()
    vm.end_well()
