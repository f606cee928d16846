/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.c - the tables of both files, as the list of upgrades that made them
 *
 * Append only: entry n takes a file from version n to n + 1, and files of every version are about.
 * What must hold whatever the program does stands here as constraint or trigger. Numbers in checks
 * are those of lib/model, which are never renumbered. Values that SQL only carries (I/O virtual
 * addresses) use all 64 bits; those that it compares stay below 2^63.
 */
#include "inventory/db.h"

/* What an export is. */
#define DESCRIPTION                                                               \
	" nqn TEXT NOT NULL CHECK (length(nqn) BETWEEN 1 AND 223),"               \
	" template BLOB NOT NULL CHECK (length(template) = 16),"                  \
	" ensid INTEGER NOT NULL CHECK (ensid BETWEEN 0 AND 4294967295),"         \
	" ecntlid INTEGER NOT NULL CHECK (ecntlid BETWEEN 0 AND 65535),"          \
	" nsze INTEGER NOT NULL CHECK (nsze >= 0),"                               \
	" lba_bytes INTEGER NOT NULL CHECK (lba_bytes BETWEEN 0 AND 4294967295)," \
	" nguid BLOB NOT NULL CHECK (length(nguid) = 16),"                        \
	" uuid BLOB NOT NULL CHECK (length(uuid) = 16),"                          \
	" config BLOB NOT NULL CHECK (length(config) <= 4096),"

/* Where it lies on this host; device '' is nowhere. */
#define PLACE                                                          \
	" device TEXT NOT NULL CHECK (length(device) <= 63),"          \
	" serial TEXT NOT NULL CHECK (length(serial) <= 20),"          \
	" cntlid INTEGER NOT NULL CHECK (cntlid BETWEEN 0 AND 65535)," \
	" esubid INTEGER NOT NULL CHECK (esubid BETWEEN 0 AND 65535)," \
	" nsid INTEGER NOT NULL CHECK (nsid BETWEEN 0 AND 4294967295),"

static const char *const journal_migrations[] = {
	/*
	 * ownership: who may run an export. It outlives the export: a message about an old epoch
	 * can come at any time, and is recognised by its floor alone.
	 */
	"CREATE TABLE ownership ("
	" id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),"
	" own INTEGER NOT NULL CHECK (own >= 0),"
	" floor INTEGER NOT NULL,"
	" maxown INTEGER NOT NULL,"
	" status INTEGER NOT NULL CHECK (status BETWEEN 1 AND 5),"
	" owner_peer TEXT NOT NULL CHECK (length(owner_peer) <= 63),"
	" CONSTRAINT epochs_in_order CHECK (own <= maxown AND maxown <= floor),"
	/* owned and cold have an epoch, superseded and away have none, conflict either */
	" CONSTRAINT owner_has_epoch CHECK (status = 4 OR (own > 0) = (status IN (1, 3)))"
	") STRICT, WITHOUT ROWID;"
	"CREATE TRIGGER ownership_is_kept BEFORE DELETE ON ownership"
	" BEGIN SELECT RAISE(ABORT, 'the ownership of an export is kept for ever'); END;"
	"CREATE TRIGGER epochs_never_fall BEFORE UPDATE ON ownership"
	" WHEN NEW.floor < OLD.floor OR NEW.maxown < OLD.maxown OR NEW.id <> OLD.id"
	" BEGIN SELECT RAISE(ABORT, 'floor and maxown of an export never fall'); END;"
	/* export: those that this host can describe */
	"CREATE TABLE export ("
	" id BLOB NOT NULL PRIMARY KEY REFERENCES ownership (id)," DESCRIPTION PLACE
	" created_ms INTEGER NOT NULL CHECK (created_ms >= 0),"
	" UNIQUE (nqn)"
	") STRICT;"
	/*
	 * job: the last line of every migration, for ever. "open" repeats what role and state say,
	 * so that an index can use it; the check keeps it honest.
	 */
	"CREATE TABLE job ("
	" id BLOB NOT NULL CHECK (length(id) = 16),"
	" role INTEGER NOT NULL CHECK (role IN (1, 2)),"
	" open INTEGER NOT NULL CHECK (open IN (0, 1)),"
	" compact INTEGER NOT NULL CHECK (compact IN (0, 1)),"
	" state INTEGER NOT NULL,"
	" attempt INTEGER NOT NULL CHECK (attempt BETWEEN 1 AND 4294967295),"
	" peer TEXT NOT NULL CHECK (length(peer) BETWEEN 1 AND 63),"
	" peer_host BLOB NOT NULL CHECK (length(peer_host) = 16),"
	" path INTEGER NOT NULL CHECK (path BETWEEN 0 AND 5),"
	" dirty INTEGER NOT NULL CHECK (dirty IN (1, 2)),"
	" hold INTEGER NOT NULL CHECK (hold BETWEEN 0 AND 3),"
	" hold_lease_ms INTEGER NOT NULL CHECK (hold_lease_ms BETWEEN 0 AND 4294967295),"
	" blackout_limit_ms INTEGER NOT NULL"
	"  CHECK (blackout_limit_ms BETWEEN 0 AND 4294967295),"
	" intent INTEGER NOT NULL CHECK (intent BETWEEN 0 AND 2),"
	" err_code INTEGER NOT NULL CHECK (err_code >= 0),"
	" err_errno INTEGER NOT NULL CHECK (err_errno BETWEEN 0 AND 2147483647),"
	" err_nvme INTEGER NOT NULL CHECK (err_nvme BETWEEN 0 AND 65535),"
	" err_msg TEXT NOT NULL CHECK (length(err_msg) <= 255),"
	" boot BLOB NOT NULL CHECK (length(boot) = 16),"
	" want_device TEXT NOT NULL CHECK (length(want_device) <= 63),"
	" want_cntlid INTEGER NOT NULL CHECK (want_cntlid BETWEEN 0 AND 4294967295),"
	" target_device TEXT NOT NULL CHECK (length(target_device) <= 63),"
	" key TEXT NOT NULL CHECK (length(key) <= 128),"
	" body_sha256 BLOB NOT NULL CHECK (length(body_sha256) = 32),"
	" created_ms INTEGER NOT NULL CHECK (created_ms >= 0),"
	" updated_ms INTEGER NOT NULL CHECK (updated_ms >= 0),"
	" PRIMARY KEY (id, role),"
	" UNIQUE (id, role, open),"
	" CONSTRAINT state_of_role CHECK"
	"  ((role = 1 AND state BETWEEN 1 AND 11) OR (role = 2 AND state BETWEEN 1 AND 8)),"
	" CONSTRAINT open_is_not_final CHECK (open ="
	"  (NOT ((role = 1 AND state BETWEEN 8 AND 11) OR (role = 2 AND state IN (7, 8))))),"
	" CONSTRAINT open_is_whole CHECK (NOT (open AND compact))"
	") STRICT, WITHOUT ROWID;"
	"CREATE UNIQUE INDEX job_key ON job (key) WHERE key <> '';"
	"CREATE INDEX job_created ON job (created_ms, id);"
	"CREATE INDEX job_to_compact ON job (updated_ms) WHERE open = 0 AND compact = 0;"
	"CREATE TRIGGER job_is_kept BEFORE DELETE ON job"
	" BEGIN SELECT RAISE(ABORT, 'the last line of a migration is kept for ever'); END;"
	"CREATE TRIGGER closed_stays_closed BEFORE UPDATE ON job"
	" WHEN OLD.open = 0 AND NEW.state <> OLD.state"
	" BEGIN SELECT RAISE(ABORT, 'a migration that has ended stays as it ended'); END;"
	/* released (7) and activating (4) are the two sides of the point of no return */
	"CREATE TRIGGER no_return BEFORE UPDATE ON job"
	" WHEN (OLD.role = 1 AND OLD.state = 7 AND NEW.state NOT IN (7, 8))"
	"  OR (OLD.role = 2 AND OLD.state IN (4, 5) AND NEW.state NOT IN (4, 5, 8))"
	" BEGIN SELECT RAISE(ABORT, 'a migration does not go back after it was released');"
	" END;"
	"CREATE TABLE job_export ("
	" job BLOB NOT NULL,"
	" role INTEGER NOT NULL,"
	" idx INTEGER NOT NULL CHECK (idx BETWEEN 0 AND 15),"
	" open INTEGER NOT NULL,"
	" export BLOB NOT NULL CHECK (length(export) = 16),"
	" epoch INTEGER NOT NULL CHECK (epoch >= 0),"
	" target_cntlid INTEGER NOT NULL CHECK (target_cntlid BETWEEN 0 AND 65535),"
	" discard_namespace INTEGER NOT NULL CHECK (discard_namespace IN (0, 1))," DESCRIPTION PLACE
	" PRIMARY KEY (job, role, idx),"
	" UNIQUE (job, role, export),"
	" FOREIGN KEY (job, role, open) REFERENCES job (id, role, open) ON UPDATE CASCADE"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX job_export_by_export ON job_export (export);"
	/* one open job per export; two roles, because one daemon may hold both ends */
	"CREATE UNIQUE INDEX job_export_open ON job_export (export, role) WHERE open = 1;"
	"CREATE TRIGGER one_open_job BEFORE INSERT ON job_export"
	" WHEN NEW.open = 1 AND EXISTS (SELECT 1 FROM job_export"
	"  WHERE export = NEW.export AND open = 1 AND job <> NEW.job)"
	" BEGIN SELECT RAISE(ABORT, 'the export is held by another open migration'); END;"
	"CREATE TABLE job_state ("
	" job BLOB NOT NULL,"
	" role INTEGER NOT NULL,"
	" idx INTEGER NOT NULL,"
	" data BLOB NOT NULL CHECK (length(data) BETWEEN 1 AND 262144),"
	" PRIMARY KEY (job, role, idx),"
	" FOREIGN KEY (job, role, idx) REFERENCES job_export (job, role, idx)"
	"  ON DELETE CASCADE"
	") STRICT;"
	"CREATE TABLE job_memory ("
	" job BLOB NOT NULL,"
	" role INTEGER NOT NULL,"
	" idx INTEGER NOT NULL CHECK (idx BETWEEN 0 AND 63),"
	" iova INTEGER NOT NULL,"
	" bytes INTEGER NOT NULL CHECK (bytes <> 0),"
	" PRIMARY KEY (job, role, idx),"
	" FOREIGN KEY (job, role) REFERENCES job (id, role)"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE peer ("
	" name TEXT NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 63),"
	" host BLOB NOT NULL CHECK (length(host) = 16),"
	" instance BLOB NOT NULL CHECK (length(instance) = 16),"
	" counter INTEGER NOT NULL CHECK (counter >= 0),"
	" memory INTEGER NOT NULL CHECK (memory BETWEEN 0 AND 3),"
	" seen_ms INTEGER NOT NULL CHECK (seen_ms >= 0),"
	" accepted_ms INTEGER NOT NULL CHECK (accepted_ms >= 0)"
	") STRICT, WITHOUT ROWID;",
};

const struct exp_db_schema exp_journal_schema = {
	.name = "journal",
	.application_id = 0x4558504a, /* "EXPJ" */
	.migrations = journal_migrations,
	.n_migrations = EXP_ARRAY_SIZE(journal_migrations),
	.auto_checkpoint_pages = 0,
};

static const char *const events_migrations[] = {
	/* AUTOINCREMENT: a number is not given twice, not even after the newest row was trimmed */
	"CREATE TABLE event ("
	" seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,"
	" time_ms INTEGER NOT NULL CHECK (time_ms >= 0),"
	" type TEXT NOT NULL"
	"  CHECK (length(type) BETWEEN 1 AND 47 AND NOT type GLOB '*[^a-z-]*'),"
	" job BLOB NOT NULL CHECK (length(job) = 16),"
	" export BLOB NOT NULL CHECK (length(export) = 16),"
	" detail TEXT NOT NULL CHECK (length(detail) BETWEEN 2 AND 4096)"
	") STRICT;"
	"CREATE TABLE history ("
	" job BLOB NOT NULL CHECK (length(job) = 16),"
	" role INTEGER NOT NULL CHECK (role IN (1, 2)),"
	" state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 11),"
	" peer TEXT NOT NULL CHECK (length(peer) BETWEEN 1 AND 63),"
	" device TEXT NOT NULL CHECK (length(device) <= 63),"
	" ended_ms INTEGER NOT NULL CHECK (ended_ms >= 0),"
	" condition INTEGER NOT NULL CHECK (condition BETWEEN 0 AND 4),"
	" target INTEGER NOT NULL CHECK (target BETWEEN 0 AND 3),"
	" verdict INTEGER NOT NULL CHECK (verdict BETWEEN 0 AND 2),"
	" namespace_bytes INTEGER NOT NULL,"
	" allocated_bytes INTEGER NOT NULL,"
	" sent_bytes INTEGER NOT NULL,"
	" zero_bytes INTEGER NOT NULL,"
	" acked_bytes INTEGER NOT NULL,"
	" resent_bytes INTEGER NOT NULL,"
	" remaining_bytes INTEGER NOT NULL,"
	" dirty_rate INTEGER NOT NULL,"
	" send_rate INTEGER NOT NULL,"
	" eta_ms INTEGER NOT NULL,"
	" forecast_blackout_us INTEGER NOT NULL,"
	" rounds INTEGER NOT NULL CHECK (rounds BETWEEN 0 AND 4294967295),"
	" log_entries INTEGER NOT NULL,"
	" log_overflows INTEGER NOT NULL CHECK (log_overflows BETWEEN 0 AND 4294967295),"
	" blackout_us INTEGER NOT NULL,"
	" PRIMARY KEY (job, role)"
	") STRICT;"
	"CREATE INDEX history_ended ON history (ended_ms);"
	"CREATE TABLE history_step ("
	" job BLOB NOT NULL,"
	" role INTEGER NOT NULL,"
	" step TEXT NOT NULL CHECK (length(step) BETWEEN 1 AND 32),"
	" us INTEGER NOT NULL,"
	" PRIMARY KEY (job, role, step),"
	" FOREIGN KEY (job, role) REFERENCES history (job, role) ON DELETE CASCADE"
	") STRICT, WITHOUT ROWID;",
};

const struct exp_db_schema exp_events_schema = {
	.name = "events",
	.application_id = 0x45585045, /* "EXPE" */
	.migrations = events_migrations,
	.n_migrations = EXP_ARRAY_SIZE(events_migrations),
	.auto_checkpoint_pages = 1000,
};
