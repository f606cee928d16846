#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Break the hand-over machines on purpose; the simulation must notice each time.

A mutant is a copy of lib/handover with one rule taken out by exact text replacement. A replacement
that does not fit exactly once is an error: the mutant has to follow the code. Nothing is ever
changed in the source tree, and the shipped library knows nothing of this.
"""
import argparse
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys

SRC = "src.c"
SRC_DECIDE = "src_decide.c"
DST = "dst.c"
DST_DECIDE = "dst_decide.c"
ANSWER = "answer.c"

# name, what the broken code does, [(file, old, new)]
MUTANTS = [
    ("no_fence", "released while the source is merely suspended", [
        (SRC_DECIDE, "EXP_HOLD_COMMIT ? EXP_SRC_PH_HOLD : EXP_SRC_PH_FENCE",
         "EXP_HOLD_COMMIT ? EXP_SRC_PH_HOLD : EXP_SRC_PH_CHECK"),
        (SRC_DECIDE, "case EXP_SRC_PH_HOLD: return EXP_SRC_PH_FENCE;",
         "case EXP_SRC_PH_HOLD: return EXP_SRC_PH_CHECK;")]),
    ("check_before_fence", "looks whether it is suspended, then detaches", [
        (SRC_DECIDE, "EXP_HOLD_COMMIT ? EXP_SRC_PH_HOLD : EXP_SRC_PH_FENCE",
         "EXP_HOLD_COMMIT ? EXP_SRC_PH_HOLD : EXP_SRC_PH_CHECK"),
        (SRC_DECIDE, "case EXP_SRC_PH_HOLD: return EXP_SRC_PH_FENCE;",
         "case EXP_SRC_PH_HOLD: return EXP_SRC_PH_CHECK;"),
        (SRC_DECIDE, "case EXP_SRC_PH_FENCE: return cold ? EXP_SRC_PH_RELEASE : EXP_SRC_PH_CHECK;",
         "case EXP_SRC_PH_FENCE: return EXP_SRC_PH_RELEASE;"),
        (SRC_DECIDE, "case EXP_SRC_PH_CHECK: return EXP_SRC_PH_RELEASE;",
         "case EXP_SRC_PH_CHECK: return EXP_SRC_PH_FENCE;")]),
    ("check_ignored", "does not mind what the check after the fence found", [
        (SRC, "if (act != EXP_ACT_GET_STATE && act != EXP_ACT_CHECK_SUSPENDED)",
         "if (act != EXP_ACT_GET_STATE)")]),
    ("target_suspended_only", "the target is attached, and suspended, before activating", [
        (DST_DECIDE, "case EXP_DST_PH_SET_STATE: return EXP_DST_PH_RESTORE;",
         "case EXP_DST_PH_SET_STATE: return EXP_DST_PH_ATTACH;"),
        (DST_DECIDE,
         "case EXP_DST_PH_ATTACH: return exp_dst_cold(m) ? EXP_DST_PH_VERIFY : EXP_DST_PH_RESUME;",
         "case EXP_DST_PH_ATTACH:\n"
         "if (m->c.job->state == EXP_DST_RECEIVING) return EXP_DST_PH_RESTORE;\n"
         "return exp_dst_cold(m) ? EXP_DST_PH_VERIFY : EXP_DST_PH_RESUME;")]),
    ("release_before_commit", "says RELEASE while the commit is still to come", [
        (SRC_DECIDE, "exp_core_act(c, rows[m->phase].act, m->phase_end_ms);",
         "exp_core_act(c, rows[m->phase].act, m->phase_end_ms);\n"
         "if (m->phase == EXP_SRC_PH_FENCE) exp_core_send(c, EXP_MSG_RELEASE);")]),
    ("resume_on_timeout", "resumes in released when ACTIVE does not come", [
        (SRC_DECIDE, "exp_core_repeat(c, EXP_MSG_RELEASE);\n",
         "exp_core_repeat(c, EXP_MSG_RELEASE);\n"
         "if (c->send_again.tries > 2 && !c->act)\n"
         "exp_core_act(c, c->step & 1 ? EXP_ACT_ATTACH : EXP_ACT_RESUME, EXP_NEVER_MS);\n"),
        (SRC, "case EXP_SRC_RELEASED: exp_src_advance(m); break;",
         "case EXP_SRC_RELEASED:\n"
         "if (m->phase != EXP_SRC_PH_TELL) exp_src_advance(m);\nbreak;")]),
    ("takes_over_on_timeout", "the destination runs it when RELEASE does not come", [
        (DST_DECIDE, "if (m->released) {", "if (m->released || c->send_again.tries > 3) {")]),
    ("discards_on_timeout", "the destination takes its vote back when nobody answers", [
        (DST_DECIDE, "\tif (c->stop) {\n\t\texp_dst_discard(m);\n\t\treturn;\n\t}\n\ttries =",
         "\tif (c->stop || c->send_again.tries > 3) {\n\t\texp_dst_discard(m);\n"
         "\t\treturn;\n\t}\n\ttries =")]),
    ("cancel_after_released", "a person can cancel what is released", [
        (SRC_DECIDE, "#define MOVES_RELEASED     TO(DONE)",
         "#define MOVES_RELEASED (TO(DONE) | TO(ROLLING_BACK))"),
        (SRC_DECIDE, "\tif (m->phase == EXP_SRC_PH_TELL && m->active) {",
         "\tif (c->stop) {\n\t\texp_src_roll_back(m);\n\t\treturn;\n\t}\n"
         "\tif (m->phase == EXP_SRC_PH_TELL && m->active) {"),
        (SRC, "\tcase EXP_SRC_READY:\n\tcase EXP_SRC_SWITCHING:\n\t\tc->plan->verb",
         "\tcase EXP_SRC_READY:\n\tcase EXP_SRC_SWITCHING:\n\tcase EXP_SRC_RELEASED:\n"
         "\t\tc->plan->verb"),
        (SRC, "\tcase EXP_SRC_RELEASED:\n\t\t/* R12",
         "\t\t/* R12")]),
    ("undecided_is_no", "the destination discards when the source has not decided", [
        (DST, "m->unknown = msg->answer == EXP_ANSWER_UNKNOWN;",
         "exp_core_stopf(c, EXP_INTENT_FAIL, EXP_CODE_GONE, \"not released\");")]),
    ("switching_goes_on", "a restart carries a switch on", [
        (SRC_DECIDE, "return exp_src_offline(m) ? EXP_SRC_PH_COPY_ALL : EXP_SRC_PH_DRAIN;",
         "if (m->c.step == 1) return EXP_SRC_PH_GET_STATE; /* first action of this life */\n"
         "return exp_src_offline(m) ? EXP_SRC_PH_COPY_ALL : EXP_SRC_PH_DRAIN;"),
        (SRC, "\tcase EXP_SRC_READY:\n\tcase EXP_SRC_SWITCHING:\n\t\t/* R4",
         "\tcase EXP_SRC_READY:\n\t\t/* R4"),
        (SRC, "\tcase EXP_SRC_ROLLING_BACK:\n\t\tm->phase = EXP_SRC_PH_STOP;\n",
         "\tcase EXP_SRC_SWITCHING:\n\t\tm->phase = EXP_SRC_PH_BEGIN;\n\t\texp_core_store(c);\n"
         "\t\tbreak;\n\tcase EXP_SRC_ROLLING_BACK:\n\t\tm->phase = EXP_SRC_PH_STOP;\n")]),
    ("no_tombstone", "DISCARDED is said of an unknown job without a record", [
        (ANSWER, "\t\tr->changes[r->n_changes++].owner.floor = m->exports[i].epoch;",
         "\t\tr->changes[r->n_changes].owner.floor = m->exports[i].epoch;")]),
    ("blob_applied_twice", "a restart in activating sets the stored controller state again", [
        (DST, "\t\texp_dst_own_all(m);\n\t\tm->phase = EXP_DST_PH_ATTACH;",
         "\t\texp_dst_own_all(m);\n\t\tm->phase = EXP_DST_PH_REHOLD;"),
        (DST_DECIDE, "case EXP_DST_PH_REHOLD: return EXP_DST_PH_VOTE;",
         "case EXP_DST_PH_REHOLD:\n"
         "return m->c.job->state == EXP_DST_ACTIVATING ? EXP_DST_PH_ATTACH : EXP_DST_PH_VOTE;"),
        (DST_DECIDE, "\telse if (!m->c.act && !exp_core_rests(&m->c))\n\t\tact(m);\n}\n\n"
         "static void decide_active",
         "\telse if (!m->c.act && !exp_core_rests(&m->c)) {\n\t\tact(m);\n"
         "\t\tm->c.plan->actions[0].apply_state = !exp_dst_cold(m);\n\t}\n}\n\n"
         "static void decide_active")]),
    ("active_before_resume", "ACTIVE is said before it runs", [
        (DST_DECIDE, "\telse if (!m->c.act && !exp_core_rests(&m->c))\n\t\tact(m);\n}\n\n"
         "static void decide_active",
         "\telse if (!m->c.act && !exp_core_rests(&m->c)) {\n\t\tact(m);\n"
         "\t\texp_core_send(&m->c, EXP_MSG_ACTIVE);\n\t}\n}\n\n"
         "static void decide_active")]),
    ("discarded_before_delete", "DISCARDED is said before anything is deleted", [
        (DST_DECIDE, "\t\texp_dst_move(m, EXP_DST_DISCARDING, EXP_DST_DISCARDED, "
         "EXP_DST_PH_CLOSE);\n\telse\n\t\tact(m);",
         "\t\texp_dst_move(m, EXP_DST_DISCARDING, EXP_DST_DISCARDED, EXP_DST_PH_CLOSE);\n"
         "\telse {\n\t\tact(m);\n\t\texp_core_send(c, EXP_MSG_DISCARDED);\n\t}")]),
    ("publish_before_promise", "failure is told while the destination still has it", [
        (SRC_DECIDE, "if (m->phase == EXP_SRC_PH_RUNS && m->discarded) {",
         "if (m->phase == EXP_SRC_PH_RUNS) {")]),
    ("closed_release_ignored", "RELEASE of a closed job has no answer", [
        (ANSWER, "\t\tif (s.all_owned)\n\t\t\tsend(ret, EXP_MSG_ACTIVE);\n\t\telse",
         "\t\tif (s.all_owned)\n\t\t\treturn;\n\t\telse")]),
    ("closed_prepare_ignored", "PREPARE of a closed job has no answer", [
        (ANSWER, "\tif (s->any_closed) {\n\t\tanswer_closed(r, known, m, s);\n\t\treturn;\n\t}",
         "\tif (s->any_closed)\n\t\treturn;")]),
    ("still_owner", "released does not take the ownership away", [
        (SRC_DECIDE, "\t\tc->owner[i].own = 0;\n", "")]),
    ("released_undone", "a failed commit of released is taken for not done", [
        (SRC, "\tif (c->job->state >= EXP_SRC_ROLLING_BACK)\n\t\treturn;",
         "\tif (c->job->state == EXP_SRC_ROLLING_BACK || c->job->state > EXP_SRC_RELEASED)\n"
         "\t\treturn;\n"
         "\tif (c->job->state == EXP_SRC_RELEASED)\n\t\tc->job->state = EXP_SRC_SWITCHING;")]),
    ("two_jobs_at_once", "a second job may begin on an export that has one", [
        (ANSWER, "\tif (s->any_busy)\n\t\treturn;", "\tif (0)\n\t\treturn;")]),
    ("floor_not_raised", "PREPARE does not close its epoch", [
        (DST_DECIDE,
         "\t\tc->owner[i].floor = EXP_MAX(c->owner[i].floor, c->job->exports[i].epoch);\n"
         "\t\texp_core_own(c, i, EXP_STATUS_UNCHANGED, &c->job->peer);\n", "\t\t(void)i;\n")]),
    ("epoch_used_again", "the next attempt has the number of the failed one", [
        (SRC_DECIDE, "\t\tc->owner[i].floor++;\n",
         "\t\tc->owner[i].floor = c->owner[i].own + 1;\n")]),
    ("no_discard_after_restart", "rolling-back waits without asking", [
        (SRC_DECIDE, "\tif (!m->discarded)\n\t\texp_core_repeat(&m->c, EXP_MSG_DISCARD);\n", "")]),
    ("no_rollback", "the guest is not resumed when the switch fails", [
        (SRC_DECIDE, "case EXP_SRC_PH_STOP: return EXP_SRC_PH_ATTACH;",
         "case EXP_SRC_PH_STOP: return EXP_SRC_PH_RUNS;")]),
    ("ready_unprobed", "nobody asks whether the destination is still there", [
        (SRC_DECIDE, "\texp_core_probe(&m->c, EXP_MSG_PREPARE);\n}\n\nstatic void decide_copying",
         "\t(void)m;\n}\n\nstatic void decide_copying")]),
]


def normal(text):
    """Layout is clang-format's business: runs of blanks and tabs count as one blank."""
    return re.sub(r"[ \t]+", " ", text)


def replace_once(text, old, new, where):
    flat, wanted = normal(text), normal(old)
    if flat.count(wanted) != 1:
        raise SystemExit(f"{where}: fits {flat.count(wanted)} times, not once:\n{old}")
    return flat.replace(wanted, new)


def run(cmd, **kw):
    return subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)


class Bench:
    def __init__(self, opts):
        self.root = pathlib.Path(opts.source)
        self.work = pathlib.Path(opts.work)
        self.opts = opts
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.flags = ["-std=gnu17", "-O1", "-w", "-D_GNU_SOURCE", f"-I{self.root}/include",
                      f"-I{self.root}/tests"]
        self.lib = sorted((self.root / "lib/handover").glob("*.c"))
        self.objects = {}
        common = [f"-I{self.root}/lib"]
        for c in self.lib + sorted((self.root / "tests/unit").glob("sim_*.c")):
            self.objects[c.name] = self.compile(c, self.work / (c.stem + ".o"), common)

    def compile(self, c, o, inc):
        r = run([self.opts.cc, *self.flags, *inc, "-c", "-o", str(o), str(c)])
        if r.returncode:
            raise SystemExit(f"{c}: does not compile\n{r.stdout}")
        return o

    def program(self, name, changes):
        d = self.work / name
        (d / "handover").mkdir(parents=True)
        texts = {}
        for file, old, new in changes:
            texts[file] = replace_once(
                texts.get(file) or (self.root / "lib/handover" / file).read_text(), old, new,
                f"mutant {name}, {file}")
        objects = dict(self.objects)
        for file, text in texts.items():
            c = d / "handover" / file
            c.write_text(text)
            objects[file] = self.compile(c, d / (c.stem + ".o"), [f"-I{self.root}/lib"])
        out = d / "sim"
        r = run([self.opts.cc, "-o", str(out), *map(str, objects.values()), *self.opts.libs])
        if r.returncode:
            raise SystemExit(f"{name}: does not link\n{r.stdout}")
        return out

    def caught(self, mutant):
        name, what, changes = mutant
        exe = self.program(name, changes)
        r = run([str(exe), "--seeds", str(self.opts.seeds)], errors="replace")
        if r.returncode == 0:
            return name, what, None
        m = re.search(r"^seed (\d+): (.*)$", r.stdout, re.M)
        how = f"seed {m[1]}: {m[2]}" if m else "the program stopped: " + r.stdout[-200:]
        return name, what, how


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--source", required=True, help="root of the source tree")
    p.add_argument("--work", required=True, help="folder to build in; emptied first")
    p.add_argument("--cc", default="cc")
    p.add_argument("--seeds", type=int, default=3000)
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--only", help="one mutant")
    p.add_argument("libs", nargs="+", help="libraries to link: model, base, ...")
    opts = p.parse_args()
    bench = Bench(opts)
    mutants = [m for m in MUTANTS if opts.only in (None, m[0])]
    missed = 0
    if run([str(bench.program("unchanged", [])), "--seeds", "50"]).returncode:
        raise SystemExit("the unchanged machines fail already")
    with concurrent.futures.ThreadPoolExecutor(opts.jobs) as pool:
        for name, what, how in pool.map(bench.caught, mutants):
            missed += how is None
            print(f"{'MISSED' if how is None else 'caught'}  {name}: {what}"
                  + (f"\n        {how}" if how else ""), flush=True)
    print(f"{len(mutants) - missed} passed, {missed} failed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
