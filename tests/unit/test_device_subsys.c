/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exported subsystems on a small drive that keeps one, with its own lists: order of the steps,
 * lists that move while they are read, drives that cannot tell everything.
 */
#include "support/fake_drive.h"

#include "device/subsys.h"

#define ESUBID 0x1234u
#define NQN    "nqn.2026-11.test:disk"

static struct exp_error err;

/* What the drive has, and how it behaves. */
struct drive {
	bool created, configured, ns, ctrl, active;
	bool config_first, ignores_config;
	uint16_t refuse_ctrl; /* status of Associate Controllers */
	char order[32];       /* one letter for each step that succeeded */
	uint8_t gn;
	unsigned int moves; /* how often the list changes while it is read */
	unsigned int extra; /* more subsystems in the list */
};

static void step(struct drive *v, char c)
{
	size_t n = strlen(v->order);

	if (n < sizeof(v->order) - 1)
		v->order[n] = c;
	v->gn++;
}

static void put_name(uint8_t *d, const char *nqn, uint16_t esubid)
{
	memset(d, 0, 260);
	memcpy(d, nqn, strlen(nqn));
	exp_put_le16(d + 258, esubid);
}

/* 0..1 N, 3 GN, then 260 bytes each: NQN 0..255, ESUBID 258..259 */
static void put_subsys_list(struct fake *f, struct drive *v)
{
	size_t n = v->extra + v->created, len = 4 + 260 * n;
	uint8_t *p = calloc(1, len);
	char nqn[64];

	assert_non_null(p);
	exp_put_le16(p, (uint16_t)n);
	p[3] = v->gn;
	for (unsigned int i = 0; i < v->extra; i++) {
		snprintf(nqn, sizeof(nqn), "nqn.2026-11.test:other%u", i);
		put_name(p + 4 + 260 * i, nqn, (uint16_t)(100 + i));
	}
	if (v->created)
		put_name(p + 4 + 260 * v->extra, NQN, ESUBID);
	fake_put_list(&f->subsys, &f->subsys_len, p, len);
	free(p);
}

/* 0..1 N, 3 GN, 4..7 reserved, then ENSID, UNSID */
static void put_ns_list(struct fake *f, const struct drive *v)
{
	uint8_t p[16] = { v->ns, 0, 0, v->gn, 0, 0, 0, 0, 1, 0, 0, 0, FAKE_NSID };

	fake_put_list(&f->ns_list, &f->ns_len, p, v->ns ? 16 : 8);
}

/* 0..1 N, 3 GN, then ECNTLID, CNTLID */
static void put_ctrl_list(struct fake *f, const struct drive *v)
{
	uint8_t p[8] = { v->ctrl, 0, 0, v->gn, 0, 0, FAKE_GUEST };

	if (f->ctrl_list)
		fake_put_list(&f->ctrl_list, &f->ctrl_len, p, v->ctrl ? 8 : 4);
}

static uint16_t export_send(struct fake *f, struct drive *v, const struct exp_nvme_sqe *s,
			    const uint8_t *data)
{
	assert_int_equal(s->cdw14, ESUBID << 16 | 1 << 7); /* by handle */
	switch (s->cdw10 & 0xff) {
	case 1: /* Delete */
		if (v->active)
			return 0x142;
		if (v->ns)
			return 0x00c;
		v->created = v->configured = v->ctrl = false;
		step(v, 'D');
		return 0;
	case 5: /* Associate Controllers: N 0's based, underlying id first */
		if (v->refuse_ctrl)
			return v->refuse_ctrl;
		assert_int_equal(exp_le16(data), 0);
		assert_int_equal(exp_le16(data + 4), FAKE_GUEST);
		assert_int_equal(exp_le16(data + 6), 0);
		v->ctrl = true;
		step(v, 'C');
		return 0;
	case 6:
		if (v->configured)
			return 0x00c;
		v->configured = true;
		if (!v->ignores_config)
			memcpy(f->config, data, 412);
		step(v, 'S');
		return 0;
	default: return 0x002;
	}
}

static uint16_t export_ns(struct fake *f, struct drive *v, const struct exp_nvme_sqe *s,
			  const uint8_t *data)
{
	if ((s->cdw10 & 0xff) == 1) { /* Associate */
		if (v->config_first && !v->configured)
			return 0x00c;
		assert_int_equal(exp_le32(data + 32), 1);
		assert_int_equal(exp_le32(data + 292), FAKE_NSID);
		v->ns = true;
		step(v, 'N');
		return 0;
	}
	if (f->attached)
		return 0x00c;
	v->ns = false;
	step(v, 'R');
	return 0;
}

static enum fake_answer answer(struct fake *f, const struct exp_nvme_cmd *cmd, uint8_t *data,
			       struct exp_nvme_cqe *cqe)
{
	const struct exp_nvme_sqe *s = &cmd->sqe;
	struct drive *v = f->arg;

	switch (s->opcode) {
	case 0x2a:
		if ((s->cdw10 & 0xff) == 0) {
			assert_int_equal(s->cdw11, 0x80000001); /* TR, template 1 */
			assert_string_equal((char *)data, NQN);
			v->created = true;
			memset(f->config, 0, sizeof(f->config));
			cqe->dw0 = ESUBID;
			step(v, 'A');
			return FAKE_DONE;
		}
		if (v->moves && s->cdw12) { /* between two windows of one list */
			v->moves--;
			v->gn++;
		}
		put_subsys_list(f, v);
		put_ns_list(f, v);
		put_ctrl_list(f, v);
		return FAKE_DEFAULT;
	case 0x2d: cqe->status = export_send(f, v, s, data); return FAKE_DONE;
	case 0x31: cqe->status = export_ns(f, v, s, data); return FAKE_DONE;
	case 0x15: step(v, s->cdw10 & 0xf ? 'd' : 'a'); return FAKE_DEFAULT;
	default: return FAKE_DEFAULT;
	}
}

struct rig {
	struct fake *f;
	struct exp_device *d;
	struct drive v;
	struct exp_export_desc desc;
	struct exp_place place;
};

static struct rig *set_up(void)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct exp_uuid id = { { 0xab, 0xcd, 1, 2, 3, 4, 5, 6, 7, 8, 9 } };
	struct exp_nqn nqn;

	assert_non_null(r);
	memset(&err, 0, sizeof(err));
	r->f = fake_new();
	r->f->hook = answer;
	r->f->arg = &r->v;
	r->d = fake_open(r->f);
	assert_int_equal(exp_nqn_parse(NQN, &nqn, NULL), 0);
	r->place.nsid = FAKE_NSID;
	r->place.cntlid = FAKE_GUEST;
	assert_ok(exp_subsys_design(r->d, &nqn, &id, FAKE_NSZE, 512, &r->desc, &err), &err);
	return r;
}

static void tear_down(struct rig *r)
{
	exp_device_close(r->d);
	fake_free(r->f);
	free(r);
}

static void test_design_fits_the_drive_and_others(void **state)
{
	struct rig *r = set_up();

	(void)state;
	assert_int_equal(r->desc.config_len, 412);
	assert_int_equal(r->desc.ensid, 1);
	assert_int_equal(r->desc.ecntlid, 0);
	assert_memory_equal(r->desc.template.b, exp_nvme_reference_template.b, 16);
	assert_memory_equal(r->desc.config + 4, "ABCD0102030405060708", 20); /* serial: of the id */
	assert_int_equal(r->desc.config[73], 5);                             /* MDTS */
	assert_int_equal(exp_le16(r->desc.config + 76), 7);                  /* queues, 0's based */
	assert_string_equal((char *)r->desc.config + 108, NQN);
	assert_int_equal(r->desc.config[364 + 6], 9); /* LBADS */
	assert_int_equal(exp_subsys_design(r->d, &r->desc.nqn, &r->desc.uuid, 8, 513, &r->desc,
					   &err),
			 -EINVAL);
	tear_down(r);
}

static void test_build_in_order_and_again(void **state)
{
	struct rig *r = set_up();

	(void)state;
	assert_ok(exp_subsys_build(r->d, &r->desc, &r->place, false, &err), &err);
	assert_int_equal(r->place.esubid, ESUBID);
	assert_string_equal(r->v.order, "ANSC"); /* nothing is attached to the guest's controller */
	assert_ok(exp_subsys_build(r->d, &r->desc, &r->place, false, &err), &err);
	assert_string_equal(r->v.order, "ANSC");
	assert_ok(exp_subsys_compare(r->d, &r->desc, &r->place, &err), &err);
	tear_down(r);
}

static void test_build_on_a_drive_that_wants_the_configuration_first(void **state)
{
	struct rig *r = set_up();

	(void)state;
	r->v.config_first = true;
	assert_ok(exp_subsys_build(r->d, &r->desc, &r->place, false, &err), &err);
	assert_string_equal(r->v.order, "ASNC");
	tear_down(r);
}

/* Half a subsystem, left by a crash: taken down and built again when that is allowed. */
static void test_build_replaces_what_a_crash_left(void **state)
{
	struct rig *r = set_up();

	(void)state;
	r->v.created = r->v.ns = true;
	assert_int_equal(exp_subsys_build(r->d, &r->desc, &r->place, false, &err), -EEXIST);
	assert_error(&err, EXP_CODE_EXISTS, "number of controllers");
	assert_ok(exp_subsys_build(r->d, &r->desc, &r->place, true, &err), &err);
	assert_string_equal(r->v.order, "RDANSC");
	tear_down(r);
}

static void test_build_that_fails_leaves_nothing(void **state)
{
	struct rig *r = set_up();

	(void)state;
	r->v.refuse_ctrl = 0x143;
	assert_true(exp_subsys_build(r->d, &r->desc, &r->place, false, &err) < 0);
	assert_int_equal(err.nvme_status, 0x143);
	assert_non_null(strstr(err.msg, "belongs to another export"));
	assert_false(r->v.created);
	assert_string_equal(r->v.order, "ANSRD");
	/* the guest's function is enabled already */
	r->v.refuse_ctrl = 0x142;
	assert_int_equal(exp_subsys_build(r->d, &r->desc, &r->place, false, &err), -EBUSY);
	assert_error(&err, EXP_CODE_BUSY, "enabled");
	tear_down(r);
}

/* It said done and shows something else: not built, gone again. */
static void test_build_is_read_back(void **state)
{
	struct rig *r = set_up();

	(void)state;
	r->v.ignores_config = true;
	assert_int_equal(exp_subsys_build(r->d, &r->desc, &r->place, false, &err), -ESTALE);
	assert_error(&err, EXP_CODE_CONFLICT, "configuration state");
	assert_false(r->v.created);
	tear_down(r);
}

static void test_unknown_template_is_refused(void **state)
{
	struct rig *r = set_up();

	(void)state;
	r->desc.template.b[0] ^= 1;
	assert_int_equal(exp_subsys_build(r->d, &r->desc, &r->place, false, &err), -EOPNOTSUPP);
	assert_error(&err, EXP_CODE_NOT_SUPPORTED, "template");
	assert_false(r->v.created);
	tear_down(r);
}

static void test_drive_without_controller_list_is_believed(void **state)
{
	struct rig *r = set_up();
	struct exp_subsys *s = calloc(1, sizeof(*s));

	(void)state;
	assert_non_null(s);
	free(r->f->ctrl_list);
	r->f->ctrl_list = NULL;
	assert_ok(exp_subsys_build(r->d, &r->desc, &r->place, false, &err), &err);
	assert_ok(exp_subsys_read(r->d, ESUBID, s, &err), &err);
	assert_false(s->ctrls_known);
	free(s);
	tear_down(r);
}

static void test_compare_names_the_difference(void **state)
{
	struct rig *r = set_up();

	(void)state;
	assert_ok(exp_subsys_build(r->d, &r->desc, &r->place, false, &err), &err);
#define DIFFERS(change, undo, part)                                                             \
	do {                                                                                    \
		change;                                                                         \
		assert_int_equal(exp_subsys_compare(r->d, &r->desc, &r->place, &err), -ESTALE); \
		assert_error(&err, EXP_CODE_CONFLICT, part);                                    \
		undo;                                                                           \
	} while (0)
	DIFFERS(r->place.nsid++, r->place.nsid--, "underlying namespace id is 3, expected 4");
	DIFFERS(r->place.cntlid++, r->place.cntlid--, "underlying controller id is 2, expected 3");
	DIFFERS(r->desc.ensid++, r->desc.ensid--, "exported namespace id is 1, expected 2");
	DIFFERS(r->desc.ecntlid++, r->desc.ecntlid--, "exported controller id is 0, expected 1");
	DIFFERS(r->desc.nqn.s[4] = '3', r->desc.nqn.s[4] = '2', NQN);
	DIFFERS(r->desc.config[411] ^= 1, r->desc.config[411] ^= 1, "byte 411");
	DIFFERS(r->v.ns = false, r->v.ns = true, "number of namespaces is 0, expected 1");
#undef DIFFERS
	assert_ok(exp_subsys_compare(r->d, &r->desc, &r->place, &err), &err);
	r->v.created = false;
	assert_int_equal(exp_subsys_compare(r->d, &r->desc, &r->place, &err), -ENOENT);
	tear_down(r);
}

/* ---- taking down ---- */

static void test_teardown_in_order_and_again(void **state)
{
	struct rig *r = set_up();

	(void)state;
	assert_ok(exp_subsys_build(r->d, &r->desc, &r->place, false, &err), &err);
	r->f->attached = 1u << FAKE_GUEST;
	memset(r->v.order, 0, sizeof(r->v.order));
	assert_ok(exp_subsys_teardown(r->d, &r->desc, &r->place, false, &err), &err);
	assert_string_equal(r->v.order, "dRD");
	assert_true(r->f->ns_there);
	assert_ok(exp_subsys_teardown(r->d, &r->desc, &r->place, true, &err), &err);
	assert_false(r->f->ns_there);
	assert_ok(exp_subsys_teardown(r->d, &r->desc, &r->place, true, &err), &err);
	assert_string_equal(r->v.order, "dRD");
	tear_down(r);
}

/* A guest that still has the function keeps its disk. */
static void test_teardown_of_an_active_function_takes_nothing(void **state)
{
	struct rig *r = set_up();

	(void)state;
	assert_ok(exp_subsys_build(r->d, &r->desc, &r->place, false, &err), &err);
	r->f->attached = 1u << FAKE_GUEST;
	r->v.active = true;
	memset(r->v.order, 0, sizeof(r->v.order));
	assert_int_equal(exp_subsys_teardown(r->d, &r->desc, &r->place, true, &err), -EBUSY);
	assert_int_equal(err.code, EXP_CODE_BUSY);
	assert_string_equal(r->v.order, "");
	assert_true(r->f->ns_there);
	tear_down(r);
}

/* ---- lists ---- */

static void test_list_that_moves_is_read_again(void **state)
{
	struct exp_subsys_name *names;
	struct rig *r = set_up();
	size_t n;

	(void)state;
	r->v.extra = 40; /* three windows of 4096 bytes */
	r->f->t.max_bytes = 4096;
	r->v.moves = 3;
	memset(r->f->n, 0, sizeof(r->f->n));
	assert_ok(exp_subsys_list(r->d, &names, &n, &err), &err);
	assert_int_equal(n, 40);
	assert_string_equal(names[39].nqn.s, "nqn.2026-11.test:other39");
	assert_int_equal(names[39].esubid, 139);
	assert_true(r->f->n[0x2a] > 4);
	free(names);
	/* one that never rests is given up, in the end */
	r->v.moves = 1000;
	assert_int_equal(exp_subsys_list(r->d, &names, &n, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "changed"));
	tear_down(r);
}

static enum fake_answer one_list(struct fake *f, const struct exp_nvme_cmd *cmd, uint8_t *data,
				 struct exp_nvme_cqe *cqe)
{
	(void)data;
	(void)cqe;
	(void)f;
	(void)cmd;
	return FAKE_DEFAULT;
}

static void test_list_that_makes_no_sense(void **state)
{
	struct exp_subsys_name *names;
	struct rig *r = set_up();
	uint8_t p[4 + 520] = { 2 };
	size_t n;

	(void)state;
	r->f->hook = one_list;
	put_name(p + 4, NQN, 7);
	put_name(p + 264, "nqn.2026-11.test:b", 7); /* the same handle twice */
	fake_put_list(&r->f->subsys, &r->f->subsys_len, p, sizeof(p));
	assert_int_equal(exp_subsys_list(r->d, &names, &n, &err), -EBADMSG);
	put_name(p + 264, "not a name", 8);
	fake_put_list(&r->f->subsys, &r->f->subsys_len, p, sizeof(p));
	assert_int_equal(exp_subsys_list(r->d, &names, &n, &err), -EBADMSG);
	exp_put_le16(p, 0xffff); /* more than anybody has */
	fake_put_list(&r->f->subsys, &r->f->subsys_len, p, sizeof(p));
	assert_int_equal(exp_subsys_list(r->d, &names, &n, &err), -E2BIG);
	tear_down(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_design_fits_the_drive_and_others),
		cmocka_unit_test(test_build_in_order_and_again),
		cmocka_unit_test(test_build_on_a_drive_that_wants_the_configuration_first),
		cmocka_unit_test(test_build_replaces_what_a_crash_left),
		cmocka_unit_test(test_build_that_fails_leaves_nothing),
		cmocka_unit_test(test_build_is_read_back),
		cmocka_unit_test(test_unknown_template_is_refused),
		cmocka_unit_test(test_drive_without_controller_list_is_believed),
		cmocka_unit_test(test_compare_names_the_difference),
		cmocka_unit_test(test_teardown_in_order_and_again),
		cmocka_unit_test(test_teardown_of_an_active_function_takes_nothing),
		cmocka_unit_test(test_list_that_moves_is_read_again),
		cmocka_unit_test(test_list_that_makes_no_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
