# SPDX-License-Identifier: Apache-2.0
"""The emulated SSD and the emulated guest, alone with each other: no daemon.

Every claim that later tests make through the guest's report rests on what is shown here: that it
sees its I/O verified, and that it notices damage when there is some.
"""

import json
import random
import struct
import time

import pytest

from lib.emu import Guest, Ssd, copy_media, reference_config
from lib.proc import wait_for

MIB = 1 << 20
NQN = "nqn.2014-08.org.nvmexpress:uuid:6e7c1f0a-2b3d-4c5e-8f90-a1b2c3d4e5f6"


def plain_namespace(ssd, cntlid=1, size=32 * MIB, lba=512):
    """A namespace for function cntlid, no export."""
    with ssd.mmc() as mmc:
        nsid = mmc.create_ns(size, lba)
        mmc.attach(nsid, cntlid)
    return nsid


@pytest.fixture(params=["map", "trap"])
def ssd(request, lab):
    return Ssd(lab, "ssd", doorbells=request.param)


def test_io_is_verified(lab, ssd):
    plain_namespace(ssd)
    guest = Guest(lab, "guest", ssd.fn(1), "--rate", 4000)
    guest.wait_writes(6000)
    assert guest.do("verify")["well"]
    guest.wait_writes(1000)
    report = guest.stop_well()
    assert report["verified_blocks"] == 2 * 32 * MIB // 4096
    assert report["doorbells_mapped"] == ("map" in ssd.args)
    assert all(report[k] > 0 for k in ("reads", "write_zeroes", "deallocates", "flushes"))


@pytest.mark.parametrize("lba", [512, 4096])
@pytest.mark.parametrize("profile", ["aurora", "borealis"])
def test_full_queues(lab, profile, lba):
    ssd = Ssd(lab, "ssd", profile)
    plain_namespace(ssd, lba=lba)
    guest = Guest(lab, "guest", ssd.fn(1), "--rate", 0, "--depth", 32, "--entries", 33, "--queues",
                  7, "--size-max", "64K")
    guest.wait_writes(20000, seconds=60)
    guest.stop_well()


def test_data_and_metadata_survive_kill(lab, ssd):
    nsid = plain_namespace(ssd)
    guest = Guest(lab, "guest", ssd.fn(1))
    for _ in range(2):
        guest.wait_writes(1500)
        before = json.loads((ssd.dir / "image.json").read_text())
        ssd.proc.kill()
        guest.wait_phase("device-gone")
        assert not guest.ask("run")["ok"]
        ssd.start()
        assert json.loads((ssd.dir / "image.json").read_text())["namespaces"] == \
            before["namespaces"]
        with ssd.mmc() as mmc:
            assert mmc.attached(nsid) == [1]
        guest.do("reattach", function=str(ssd.fn(1)))
        guest.wait_writes(500)
        assert guest.do("verify")["well"]
    report = guest.stop_well()
    assert report["reattached"] == 2


def test_guest_waits_for_its_namespace(lab, ssd):
    guest = Guest(lab, "guest", ssd.fn(2), phase="waiting-for-namespace")
    assert not guest.ask("pause")["ok"]
    plain_namespace(ssd, 2)
    guest.wait_phase("running")
    guest.wait_writes(100)
    guest.stop_well()


def test_no_namespace_is_an_error(lab, ssd):
    guest = Guest(lab, "guest", ssd.fn(3), "--namespace-wait", 0, phase=None)
    assert guest.proc.wait() == 1
    assert "no namespace was attached" in json.loads(guest.report_file.read_text())["error"]


def test_two_guests_on_one_drive(lab, ssd):
    plain_namespace(ssd, 1)
    plain_namespace(ssd, 2)
    guests = [Guest(lab, f"guest{i}", ssd.fn(i), "--seed", i) for i in (1, 2)]
    for guest in guests:
        guest.wait_writes(2000)
    for guest in guests:
        guest.stop_well()


def test_pause_keeps_commands_outstanding(lab, ssd):
    plain_namespace(ssd)
    guest = Guest(lab, "guest", ssd.fn(1), "--rate", 0)
    guest.wait_writes(500)
    guest.do("pause")
    frozen = guest.status()
    assert frozen["phase"] == "paused" and frozen["outstanding"] > 0
    again = guest.status()
    assert again["acked_writes"] == frozen["acked_writes"]
    assert again["outstanding"] == frozen["outstanding"]
    assert again["longest_gap_us"] >= frozen["longest_gap_us"]
    guest.do("run")
    guest.wait_writes(500)
    guest.stop_well()


def test_a_second_guest_takes_over_what_the_first_wrote(lab, ssd):
    plain_namespace(ssd)
    first = Guest(lab, "first", ssd.fn(1))
    first.wait_writes(1500)
    first.stop_well()
    second = Guest(lab, "second", ssd.fn(1), "--adopt", "--seed", 9)
    second.wait_writes(1500)
    second.stop_well()
    # without being told, it has to take it for somebody else's data
    third = Guest(lab, "third", ssd.fn(1))
    report, status = third.stop()
    assert status == 1 and report["outcome"] == "damaged" and report["foreign"] > 0


# --- the guest notices ---


def _written_blocks(media):
    """Numbers of 4 KiB blocks that carry the guest's stamp."""
    data = media.read_bytes()
    return [b for b in range(len(data) // 4096) if data[b * 4096:b * 4096 + 8] == b"EmuBlock"]


def _poke(media, block, data):
    with open(media, "r+b") as f:
        f.seek(block * 4096)
        f.write(data)


def plant_lost(media, blocks):
    _poke(media, blocks[0], bytes(4096))


def plant_torn(media, blocks):
    _poke(media, blocks[0], bytes(512))


def plant_garbage(media, blocks):
    _poke(media, blocks[0], b"\x17" * 4096)


def plant_duplicate(media, blocks):
    data = media.read_bytes()
    _poke(media, blocks[0], data[blocks[1] * 4096:blocks[1] * 4096 + 4096])


@pytest.mark.parametrize("plant, kind", [
    (plant_lost, ("lost", "reordered")), (plant_torn, ("torn",)),
    (plant_garbage, ("torn",)), (plant_duplicate, ("duplicated",)),
])
def test_damage_is_noticed(lab, plant, kind):
    ssd = Ssd(lab, "ssd")
    nsid = plain_namespace(ssd)
    guest = Guest(lab, "guest", ssd.fn(1), "--read-percent", 0)
    guest.wait_writes(1000)
    guest.do("pause")
    guest.do("run")
    guest.do("verify")
    guest.do("pause")
    # commands may be in flight: take blocks nobody writes just now, many of them
    blocks = _written_blocks(ssd.media(nsid))
    random.Random(1).shuffle(blocks)
    for i in range(0, 200, 2):
        plant(ssd.media(nsid), blocks[i:i + 2])
    guest.do("run")
    answer = guest.do("verify")
    assert not answer["well"]
    assert sum(answer["report"][k] for k in kind) > 0, answer
    assert answer["report"]["damage"]
    report, status = guest.stop()
    assert status == 1 and report["outcome"] == "damaged"


# --- moves, with a person in the daemon's place ---


class Pair:
    """An export on one drive with a guest, and its empty twin on another drive of another vendor."""

    def __init__(self, lab, *guest_args, size=32 * MIB, lba=512, doorbells=("map", "map")):
        self.src = Ssd(lab, "a", "aurora", doorbells[0])
        self.dst = Ssd(lab, "b", "borealis", doorbells[1])
        self.a, self.b = self.src.mmc(), self.dst.mmc()
        self.size, self.lba = size, lba
        self.ns_a = self.a.create_ns(size, lba)
        export = self.a.create_export(self.ns_a, reference_config(lba.bit_length() - 1), NQN)
        self.a.attach(self.ns_a, 1)
        self.a.associate_controller(export, 1)
        self.config = self.a.config_state(export)
        self.make_twin()
        self.guest = Guest(lab, "guest", self.src.fn(1), *guest_args)
        self.guest.wait_writes(500)

    def make_twin(self, config=None):
        self.ns_b = self.b.create_ns(self.size, self.lba)
        self.twin = self.b.create_export(self.ns_b, config or self.config, NQN)
        self.b.associate_controller(self.twin, 1)
        assert self.b.config_state(self.twin) == (config or self.config)

    def drop_twin(self):
        """What an aborted move leaves: a committed state lasts until the export goes."""
        self.b.delete_export(self.twin)
        self.b.delete_ns(self.ns_b)

    def switch_over(self, tamper=lambda state: state):
        """Suspend at a, everything over to b, Resume there: what the daemon will do."""
        self.a.suspend(1)
        state, suspended = self.a.get_state(1)
        assert suspended
        state = tamper(state)
        copy_media(self.src.media(self.ns_a), self.dst.media(self.ns_b))
        self.a.detach(self.ns_a, 1)
        assert self.a.get_state(1)[1]
        self.b.set_state(1, state)
        self.b.attach(self.ns_b, 1)
        self.b.resume(1)

    def turn_round(self):
        self.src, self.dst = self.dst, self.src
        self.a, self.b = self.b, self.a
        self.ns_a, self.ns_b = self.ns_b, self.ns_a


def move(pair, pause=None, bus_master=True, tamper=lambda state: state):
    """pause: None, or the vCPUs stand still from "before" or "after" the Suspend on."""
    guest = pair.guest
    memory = guest.do("attach-target", function=str(pair.dst.fn(1)),
                      bus_master=bus_master)["memory"]
    assert sum(r["bytes"] for r in memory) == 64 * MIB
    pair.b.suspend(1)
    if pause == "after":
        pair.a.suspend(1)
        # commands that the source will not fetch any more
        wait_for(lambda: guest.status()["outstanding"] > 0, "commands wait in the queues")
    if pause:
        guest.do("pause")
        guest.do("memory-pass")
    pair.switch_over(tamper)
    if not bus_master:
        assert not guest.ask("move")["ok"]
        guest.do("bus-master-on")
    # who was paused all along has rung nothing that the state does not know
    assert guest.do("move")["ring"] == (pause is None)


def arrive(pair):
    pair.guest.wait_writes(500)
    pair.guest.do("drop-source")
    assert pair.guest.do("identity")["identity_bytes_changed"] == 0


@pytest.mark.parametrize("rate", [0, 2000])
@pytest.mark.parametrize("pause", [None, "before", "after"])
@pytest.mark.parametrize("doorbells", [("map", "map"), ("trap", "map"), ("map", "trap")])
def test_move_between_unlike_drives(lab, doorbells, pause, rate):
    pair = Pair(lab, "--rate", rate, doorbells=doorbells)
    move(pair, pause)
    arrive(pair)
    report = pair.guest.stop_well()
    assert report["moves"] == 1 and report["memory_passes"] == int(pause is not None)
    assert report["longest_gap_us"] > 0


def _queues(state):
    """Offsets of the SQ and of the CQ entries in a Reference state."""
    sqs, cqs = struct.unpack_from("<HH", state, 48 + 64 + 2)
    first = 48 + 64 + 8
    return [first + 24 * i for i in range(sqs)], [first + 24 * (sqs + i) for i in range(cqs)]


def forget_unfetched(state):
    state = bytearray(state)
    for at in _queues(state)[0]:
        state[at + 18:at + 20] = state[at + 16:at + 18]  # tail = head
    return state


def fetch_again(state):
    state = bytearray(state)
    for at in _queues(state)[0]:
        size, head = struct.unpack_from("<H6xH", state, at + 8)
        struct.pack_into("<H", state, at + 16, (head - 1) % (size + 1))
    return state


def wrong_phase(state):
    state = bytearray(state)
    for at in _queues(state)[1]:
        state[at + 16] ^= 4
    return state


def skip_a_completion(state):
    state = bytearray(state)
    for at in _queues(state)[1]:
        size, tail = struct.unpack_from("<H4xH", state, at + 8)
        if tail < size:  # not over the end: the phase would have to follow
            struct.pack_into("<H", state, at + 14, tail + 1)
    return state


@pytest.mark.parametrize("tamper, kinds", [
    (forget_unfetched, {"lost"}), (fetch_again, {"duplicated", "reordered"}),
    (wrong_phase, {"lost"}), (skip_a_completion, {"lost", "torn", "duplicated"}),
])
def test_wrong_state_is_noticed(lab, tamper, kinds):
    pair = Pair(lab, "--rate", 0, "--patience", 2)
    move(pair, "after", tamper=tamper)
    wait_for(lambda: any(pair.guest.status()["completions"][k] for k in kinds),
             f"the guest sees that something was {kinds}")
    report, status = pair.guest.stop()
    assert status == 1 and report["outcome"] == "damaged"
    if tamper is forget_unfetched:
        assert report["phase"] == "stuck"  # no command comes back, so the check cannot end


def test_there_and_back_again(lab):
    pair = Pair(lab, "--rate", 0, lba=4096)
    for turn in range(4):
        move(pair, [None, "before", "after", None][turn], bus_master=turn != 2)
        arrive(pair)
        pair.turn_round()
    assert pair.guest.stop_well()["moves"] == 4


def test_nothing_is_written_before_bus_mastering(lab):
    memory = lab.dir / "memory"
    pair = Pair(lab, "--rate", 0, "--memory", memory)
    move_to = str(pair.dst.fn(1))
    pair.guest.do("attach-target", function=move_to, bus_master=False)
    pair.b.suspend(1)
    pair.a.suspend(1)
    wait_for(lambda: pair.guest.status()["outstanding"] > 0, "commands wait in the queues")
    pair.guest.do("pause")
    pair.switch_over()
    held = memory.read_bytes()
    time.sleep(0.2)  # nothing can be waited for: nothing is to happen
    assert memory.read_bytes() == held
    pair.guest.do("bus-master-on")
    # its commands are executed now, though no interrupt goes anywhere yet
    wait_for(lambda: memory.read_bytes() != held, "the target completes what it found")
    pair.guest.do("move")
    arrive(pair)
    assert pair.guest.stop_well()["completed_on_arrival"] > 0


def test_another_face_is_noticed(lab):
    pair = Pair(lab)
    other = bytearray(pair.config)
    other[4:11] = b"EXP0002"
    other[380] ^= 0xFF  # NGUID
    pair.drop_twin()
    pair.make_twin(bytes(other))
    move(pair)
    pair.guest.wait_writes(100)
    # one digit of the serial number; the first byte of the NGUID, in CNS 00h and 03h
    assert pair.guest.do("identity")["identity_bytes_changed"] == 3
    report, status = pair.guest.stop()
    assert status == 1 and report["identity_bytes_changed"] >= 3


def test_aborted_move_goes_on_at_the_source(lab):
    pair = Pair(lab, "--rate", 0)
    for _ in range(3):
        pair.guest.do("attach-target", function=str(pair.dst.fn(1)))
        pair.b.suspend(1)
        pair.a.suspend(1)
        state, suspended = pair.a.get_state(1)
        assert suspended
        pair.a.detach(pair.ns_a, 1)
        pair.b.set_state(1, state)
        # before the point of no return: everything back
        pair.a.attach(pair.ns_a, 1)
        pair.a.resume(1)
        pair.guest.do("drop-target")
        pair.drop_twin()
        pair.make_twin()
        pair.guest.wait_writes(500)
        assert pair.guest.do("identity")["identity_bytes_changed"] == 0
    assert pair.guest.stop_well()["moves"] == 0


def test_source_drive_dies_after_the_move(lab):
    pair = Pair(lab, "--rate", 0)
    pair.guest.do("attach-target", function=str(pair.dst.fn(1)))
    pair.b.suspend(1)
    pair.switch_over()
    pair.src.proc.kill()
    pair.guest.wait_phase("device-gone")
    pair.guest.do("move")
    pair.guest.wait_writes(500)
    pair.guest.do("drop-source")
    pair.guest.stop_well()


def test_forgotten_data_is_noticed(lab):
    """The same move without the data: the guest must not call it well."""
    pair = Pair(lab)
    pair.guest.do("attach-target", function=str(pair.dst.fn(1)))
    pair.b.suspend(1)
    pair.a.suspend(1)
    state, _ = pair.a.get_state(1)
    pair.a.detach(pair.ns_a, 1)
    pair.b.set_state(1, state)
    pair.b.attach(pair.ns_b, 1)
    pair.b.resume(1)
    pair.guest.do("move")
    report, status = pair.guest.stop()
    assert status == 1 and report["lost"] + report["reordered"] > 0


def test_control_socket_refuses_nonsense(lab):
    ssd = Ssd(lab, "ssd")
    plain_namespace(ssd)
    guest = Guest(lab, "guest", ssd.fn(1))
    assert guest.ask("dance")["code"] == "NOT_FOUND"
    assert guest.ask("status", colour="red")["code"] == "UNKNOWN_FIELD"
    assert guest.ask("move")["code"] == "CONFLICT"
    assert guest.ask("drop-source")["code"] == "CONFLICT"
    assert guest.ask("attach-target")["code"] == "INVALID"
    assert guest.ask("attach-target", function=str(lab.dir / "nowhere"))["code"] == "UNREACHABLE"
    # somebody is there already
    assert guest.ask("attach-target", function=str(ssd.fn(1)))["code"] == "DEVICE_GONE"
    guest.wait_writes(100)
    guest.stop_well()
