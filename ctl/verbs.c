/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs.c - the table: what expctl can do. Help, parsing and dispatch read it; expctl.1 and
 * expctl.bash are compared with it by a test.
 */
#include "ctl/ctl.h"

static const struct ctl_option create_options[] = {
	{ "device", "NAME", "drive that the export is made on", false },
	{ "size", "SIZE", "of the namespace: 2G, 512M, bytes", false },
	{ "lba", "BYTES", "logical block, 512 or 4096 (default)", false },
	{ "controller", "CNTLID", "controller that the guest has", false },
	{ "nqn", "NQN", "name of the export; made up when left out", false },
	{ 0 },
};

/* of preflight and of migrate */
static const struct ctl_option move_options[] = {
	{ "to", "PEER", "host that it moves to", false },
	{ "to-device", "NAME", "drive there (default: the first that fits)", false },
	{ "to-controller", "CNTLID", "controller there (default: the first free one)", false },
	{ "hold", "LIST", "wait at these points: switch, commit, or switch,commit", false },
	{ "hold-lease-ms", "MS", "how long to wait there (default: the daemon's)", false },
	{ "dirty", "cdq|none", "the drive's change log (default), or none: the guest stands",
	  false },
	{ "blackout-limit-ms", "MS", "give up rather than let the guest stand longer", false },
	{ 0 },
};

static const struct ctl_option migrate_options[] = {
	{ "dry-run", NULL, "only check, as preflight does", false },
	{ "detach", NULL, "print the id and do not wait", false },
	{ "wait", "SECONDS", "stop waiting then, with exit status 4", false },
	{ "key", "KEY", "Idempotency-Key: the same key again is the same migration", false },
	{ 0 },
};

static const struct ctl_option follow_options[] = {
	{ "wait", "SECONDS", "stop waiting then, with exit status 4", false },
	{ 0 },
};

static const struct ctl_option list_options[] = {
	{ "state", "STATE", "only those in this state", false },
	{ "export", "EXPORT", "only those of this export", false },
	{ "open", NULL, "only those that have not ended", false },
	{ "limit", "N", "at most that many (default 100)", false },
	{ 0 },
};

static const struct ctl_option target_ready_options[] = {
	{ "memory", "IOVA:BYTES", "a range of the guest's memory; once per range", true },
	{ 0 },
};

static const struct ctl_option events_options[] = {
	{ "since", "N", "events after number N that are kept", false },
	{ "follow", NULL, "go on with what happens (the default without --since)", false },
	{ 0 },
};

#define VERB(n, v, a, lo, hi) .noun = (n), .verb = (v), .args = (a), .min = (lo), .max = (hi)

const struct ctl_verb ctl_verbs[] = {
	{ VERB("device", "list", "", 0, 0), .run = ctl_run_device_list,
	  .help = "drives of this host" },
	{ VERB("device", "show", "NAME", 1, 1), .run = ctl_run_device_show,
	  .help = "one drive, with what it can do" },
	{ VERB("export", "create", "", 0, 0), .run = ctl_run_export_create,
	  .options = create_options, .help = "make a virtual SSD" },
	{ VERB("export", "list", "", 0, 0), .run = ctl_run_export_list,
	  .help = "virtual SSDs that this host knows" },
	{ VERB("export", "show", "EXPORT", 1, 1), .run = ctl_run_export_show,
	  .help = "one virtual SSD, and who may run it" },
	{ VERB("export", "delete", "EXPORT", 1, 1), .run = ctl_run_export_delete,
	  .help = "delete a virtual SSD with its data" },
	{ VERB("peer", "list", "", 0, 0), .run = ctl_run_peer_list,
	  .help = "hosts to exchange virtual SSDs with" },
	{ VERB("preflight", NULL, "EXPORT...", 1, EXP_JOB_EXPORTS_MAX), .run = ctl_run_preflight,
	  .options = move_options, .help = "may it move, how long would it take; changes nothing" },
	{ VERB("migrate", NULL, "EXPORT...", 1, EXP_JOB_EXPORTS_MAX), .run = ctl_run_migrate,
	  .options = move_options, .more = migrate_options,
	  .help = "move virtual SSDs to another host, and watch" },
	{ VERB("migration", "list", "", 0, 0), .run = ctl_run_migration_list,
	  .options = list_options, .help = "migrations, newest first" },
	{ VERB("migration", "show", "ID", 1, 1), .run = ctl_run_migration_show,
	  .help = "one: where it stands, who owns, what to do" },
	{ VERB("migration", "follow", "ID", 1, 1), .run = ctl_run_migration_follow,
	  .options = follow_options, .help = "watch one until it ends" },
	{ VERB("migration", "target-ready", "ID", 1, 1), .run = ctl_run_migration_target_ready,
	  .options = target_ready_options,
	  .help = "on the destination: the VMM has enabled the controller" },
	{ VERB("migration", "switchover", "ID", 1, 1), .run = ctl_run_migration_switchover,
	  .help = "held at switch: go on, the guest stands" },
	{ VERB("migration", "commit", "ID", 1, 1), .run = ctl_run_migration_commit,
	  .help = "held at commit: hand it over" },
	{ VERB("migration", "abort", "ID", 1, 1), .run = ctl_run_migration_abort,
	  .help = "held at commit: go back" },
	{ VERB("migration", "cancel", "ID", 1, 1), .run = ctl_run_migration_cancel,
	  .help = "stop it, unless it is too late" },
	{ VERB("events", NULL, "", 0, 0), .run = ctl_run_events, .options = events_options,
	  .help = "what happened, and happens" },
	{ VERB("check", NULL, "", 0, 0), .run = ctl_run_check,
	  .help = "is this host in order; explains each finding" },
	{ VERB("version", NULL, "", 0, 0), .run = ctl_run_version,
	  .help = "of expctl and of the daemon" },
	{ VERB("help", NULL, "[NOUN [VERB]]", 0, 2), .run = ctl_run_help,
	  .help = "this, or more of one verb" },
};

const size_t ctl_n_verbs = EXP_ARRAY_SIZE(ctl_verbs);
