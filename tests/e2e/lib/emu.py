# SPDX-License-Identifier: Apache-2.0
"""The emulated SSD, the emulated guest, and a bare client of an MMC."""

import json
import pathlib
import socket
import struct
import subprocess
import uuid

from .proc import Proc, program, wait_for

REFERENCE = uuid.UUID("9f1c5b62-6d0e-4c1b-8a57-1e5d2c7b4a10")  # the template both vendors list


class Ssd:
    """A drive: an image directory and the process that serves it."""

    def __init__(self, lab, name, profile="aurora", doorbells="map", functions=4):
        self.lab, self.name, self.profile = lab, name, profile
        self.dir = lab.dir / name
        self.args = ["--profile", profile, "--doorbells", doorbells, "--functions", functions]
        self.proc = None
        self.start()

    def start(self, *more):
        self.proc = self.lab.run(self.name, program("exp-emu-ssd"), "--dir", self.dir, *self.args,
                                 *more)
        before = self.proc.text().rfind("exp-emu-ssd --dir")  # a log holds several lives
        self.proc.wait_text("READY", after=max(before, 0))

    def fn(self, i):
        return self.dir / f"fn{i}"

    def mmc(self):
        return Mmc(self.dir / "mmc", self.lab)

    def image(self):
        """The drive's own metadata, as of its last completed command."""
        return json.loads((self.dir / "image.json").read_text())

    def media(self, nsid):
        """The file with the data of a namespace."""
        number = next(n["file"] for n in self.image()["namespaces"] if n["nsid"] == nsid)
        return self.dir / f"ns-{number}.img"

    def can_run(self, nqn):
        """Is a namespace of this export attached to a guest's function? Function 0 is the MMC."""
        image = self.image()
        return any(n["attached"] & ~1 for e in image["exports"] if e["nqn"] == nqn
                   for n in image["namespaces"] if n["nsid"] == e["unsid"])


class Refused(Exception):
    """The device answered with a status other than success."""

    def __init__(self, what, status):
        super().__init__(f"{what}: status {status >> 8}/{status & 0xff:02x}h")
        self.status = status


class Mmc:
    """Raw admin commands over one connection; closing it resets the MMC."""

    def __init__(self, directory, lab):
        self.popen = subprocess.Popen([program("exp-emu-admin"), str(directory), "-"],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        lab.at_end(self.close)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.popen.stdin.closed:
            return
        self.popen.stdin.close()
        self.popen.wait(timeout=20)
        self.popen.stdout.close()

    def try_cmd(self, opcode, nsid=0, data=None, out=0, **cdws):
        """The answer as it came: a dictionary with status, dw0, dw1, out (bytes)."""
        req = {"opcode": opcode, "nsid": nsid, **cdws}
        if data is not None:
            req["in"] = bytes(data).hex()
        if out:
            req["out_bytes"] = out
        self.popen.stdin.write(json.dumps(req) + "\n")
        self.popen.stdin.flush()
        answer = json.loads(self.popen.stdout.readline())
        assert answer["ok"], answer
        if "out" in answer:
            answer["out"] = bytes.fromhex(answer["out"])
        return answer

    def cmd(self, opcode, nsid=0, data=None, out=0, **cdws):
        answer = self.try_cmd(opcode, nsid, data, out, **cdws)
        if answer["status"]:
            raise Refused(f"opcode {opcode:02x}h {cdws}", answer["status"])
        return answer

    # --- Identify, namespaces ---

    def identify(self, cns, nsid=0, cdw10_high=0):
        return self.cmd(0x06, nsid, out=4096, cdw10=cns | cdw10_high << 16)["out"]

    def format_index(self, lba_bytes):
        """Which of the drive's block formats has this size."""
        page = self.identify(0x00, 0xFFFFFFFF)
        for i in range(page[25] + 1):
            metadata, shift = struct.unpack_from("<HB", page, 128 + 4 * i)
            if 1 << shift == lba_bytes and not metadata:
                return i
        raise AssertionError(f"no format with blocks of {lba_bytes} bytes")

    def create_ns(self, size_bytes, lba_bytes=4096):
        page = bytearray(4096)
        struct.pack_into("<QQ", page, 0, size_bytes // lba_bytes, size_bytes // lba_bytes)
        page[26] = self.format_index(lba_bytes)
        page[30] = 1  # shared
        return self.cmd(0x0D, data=page, cdw10=0)["dw0"]

    def delete_ns(self, nsid):
        self.cmd(0x0D, nsid, cdw10=1)

    def _attachment(self, nsid, cntlid, sel):
        page = bytearray(4096)
        struct.pack_into("<HH", page, 0, 1, cntlid)
        self.cmd(0x15, nsid, data=page, cdw10=sel)

    def attach(self, nsid, cntlid):
        self._attachment(nsid, cntlid, 0)

    def detach(self, nsid, cntlid):
        self._attachment(nsid, cntlid, 1)

    def attached(self, nsid):
        page = self.identify(0x12, nsid)
        return list(struct.unpack_from(f"<{struct.unpack_from('<H', page)[0]}H", page, 2))

    def namespaces(self):
        """Ids of the allocated ones."""
        return [n for n in struct.unpack("<1024I", self.identify(0x10)) if n]

    # --- exports ---

    def exports(self):
        """(ESUBID, NQN) of each."""
        page = self.cmd(0x2A, out=4096, cdw10=1, cdw15=1023)["out"]
        return [(struct.unpack_from("<H", page, 4 + 260 * i + 258)[0],
                 page[4 + 260 * i:4 + 260 * i + 256].rstrip(b"\0").decode())
                for i in range(struct.unpack_from("<H", page)[0])]

    def template(self):
        page = self.identify(0x22)
        for i in range(1, 128):
            if page[32 * i + 16:32 * i + 32] == REFERENCE.bytes:
                return i
        raise AssertionError("the Reference template is not listed")

    def create_export(self, nsid, config, nqn):
        """An export with one namespace and no controller; returns its ESUBID."""
        name = nqn.encode().ljust(256, b"\0")
        esubid = self.cmd(0x2A, out=256, cdw10=0, cdw11=1 << 31 | self.template())["dw0"] & 0xFFFF
        body = bytearray(4096)
        struct.pack_into("<I", body, 32, 1)
        struct.pack_into("<I", body, 292, nsid)
        self.cmd(0x31, data=body, cdw10=1, cdw14=esubid << 16 | 1 << 7)
        config = bytes(config[:108]) + name + bytes(config[364:])
        self.cmd(0x2D, data=config.ljust(4096, b"\0"), cdw10=6, cdw14=esubid << 16 | 1 << 7,
                 cdw15=len(config) // 4)
        return esubid

    def delete_export(self, esubid):
        """With its namespace inside; no controller of it may be enabled."""
        body = bytearray(4096)
        struct.pack_into("<I", body, 32, 1)
        self.cmd(0x31, data=body, cdw10=2, cdw14=esubid << 16 | 1 << 7)
        self.cmd(0x2D, cdw10=1, cdw14=esubid << 16 | 1 << 7)

    def associate_controller(self, esubid, cntlid):
        body = bytearray(4096)
        struct.pack_into("<HHHH", body, 0, 0, 0, cntlid, 0)
        self.cmd(0x2D, data=body, cdw10=5, cdw14=esubid << 16 | 1 << 7, cdw15=2)

    def config_state(self, esubid):
        return self.cmd(0x2A, out=412, cdw10=5, cdw14=esubid << 16, cdw15=412 // 4 - 1)["out"]

    # --- live migration ---

    def suspend(self, cntlid):
        self.cmd(0x41, cdw10=0, cdw11=1 << 16 | cntlid)

    def resume(self, cntlid):
        self.cmd(0x41, cdw10=1, cdw11=cntlid)

    def state_index(self):
        page = self.identify(0x20)
        versions, uuids = page[0], page[1]
        for k in range(1, uuids + 1):
            at = 2 * (versions + 1) + 16 * (k - 1)
            if page[at:at + 16] == REFERENCE.bytes:
                return k
        raise AssertionError("the Reference state is not listed")

    def get_state(self, cntlid):
        """The whole controller state, and whether the controller was suspended all along."""
        index, size, state, suspended = self.state_index(), 48, b"", True
        while len(state) < size:
            chunk = 4096 if state else 48
            answer = self.cmd(0x42, out=chunk, cdw10=0, cdw11=index << 16 | cntlid,
                              cdw12=len(state), cdw15=chunk // 4 - 1)
            suspended = suspended and bool(answer["dw0"] & 1)
            if not state:
                nvmecss, vss = (int.from_bytes(answer["out"][a:a + 16], "little") for a in (16, 32))
                size = 48 + 4 * (nvmecss + vss)
            state += answer["out"]
        return state[:size], suspended and bool(state[2] & 1)

    def set_state(self, cntlid, state):
        index, chunk = self.state_index(), 4096
        for at in range(0, len(state), chunk):
            part = state[at:at + chunk]
            seq = (1 if at == 0 else 0) | (2 if at + chunk >= len(state) else 0)
            self.cmd(0x41, data=part, cdw10=seq << 16 | 2, cdw11=index << 24 | cntlid,
                     cdw12=at, cdw15=len(part) // 4)


def reference_config(size_shift=12, serial="EXP0001", model="exported disk"):
    """A configuration state of the Reference template, 412 bytes, NQN left out."""
    b = bytearray(412)
    b[4:24] = serial.encode().ljust(20)
    b[24:64] = model.encode().ljust(40)
    b[64:72] = b"1.0".ljust(8)
    b[73] = 5  # MDTS: 128 KiB
    struct.pack_into("<HHHHHH", b, 74, 127, 7, 7, 0x000C, 0, 0)  # MQES NCQS NSQS ONCS AWUN AWUPF
    struct.pack_into("<I", b, 364, 1)  # ENSID
    struct.pack_into("<I", b, 368, size_shift << 16)  # LBAF0: LBADS
    b[380:396] = uuid.UUID("11112222-3333-4444-8555-666677778888").bytes
    b[396:412] = uuid.UUID("99990000-aaaa-4bbb-8ccc-ddddeeeeffff").bytes
    return b


class Guest:
    """exp-emu-guest and its control socket."""

    def __init__(self, lab, name, function, *args, phase="running"):
        self.control = lab.dir / f"{name}.ctl"
        self.report_file = lab.dir / f"{name}.json"
        self.proc = lab.run(name, program("exp-emu-guest"), "--function", function, "--control",
                            self.control, "--report", self.report_file, "--verbose", *args)
        self.sock = None
        lab.at_end(self.close)
        wait_for(self.connect, f"{name} has a control socket")
        if phase:
            self.wait_phase(phase)

    def connect(self):
        """False while nobody listens there."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.connect(str(self.control))
        except (FileNotFoundError, ConnectionRefusedError):
            self.close()
        return self.sock is not None

    def close(self):
        if self.sock:
            self.sock.close()
            self.sock = None

    def ask(self, verb, timeout=120.0, **fields):
        """One request; the answer as it came."""
        if not self.sock and not self.connect():
            raise AssertionError(f"the guest is gone: {self.proc.text()[-1500:]}")
        self.sock.settimeout(timeout)
        self.sock.sendall(json.dumps({"verb": verb, **fields}).encode() + b"\n")
        line = b""
        while not line.endswith(b"\n"):
            part = self.sock.recv(65536)
            if not part:
                raise AssertionError(f"guest hung up on {verb}: {self.proc.text()[-1500:]}")
            line += part
        return json.loads(line)

    def do(self, verb, **fields):
        """One request that has to succeed."""
        answer = self.ask(verb, **fields)
        assert answer["ok"], f"{verb}: {answer}"
        return answer

    def status(self):
        return self.do("status")["report"]

    def wait_phase(self, phase, seconds=30.0):
        wait_for(lambda: self.status()["phase"] == phase, f"the guest is {phase}", seconds)

    def wait_writes(self, more, seconds=30.0):
        """Until that many further writes were acknowledged, on every queue some."""
        first = self.status()
        share = max(1, more // (4 * len(first["queues"])))

        def enough():
            now = self.status()
            return now["acked_writes"] >= first["acked_writes"] + more and all(
                b["acked_writes"] >= a["acked_writes"] + share
                for a, b in zip(first["queues"], now["queues"]))

        wait_for(enough, f"{more} more writes", seconds)

    def stop(self):
        """Final check; the report and the exit status."""
        report = self.ask("stop", timeout=300.0)
        self.close()
        status = self.proc.wait()
        assert json.loads(self.report_file.read_text()) == report
        return report, status

    def stop_well(self):
        report, status = self.stop()
        assert status == 0 and report["outcome"] == "ok", report
        return report


def copy_media(src, dst):
    """One drive's data into another's file in place, holes as holes: behind both drives' backs."""
    subprocess.run(["dd", f"if={src}", f"of={dst}", "bs=1M", "conv=notrunc,sparse", "status=none"],
                   check=True)
