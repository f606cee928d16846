/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_main.c - exp-emu-admin: raw NVMe admin commands to a vfio-user function
 *
 *	exp-emu-admin DIR OPCODE NSID [CDW10 ... CDW15] [--in FILE | --out BYTES]
 *	exp-emu-admin DIR -
 *
 * The first form sends one command: DW0 and the status go to standard error, data to standard
 *output. The second reads one JSON object a line, {"opcode":6,"nsid":0,"cdw10":1,"out_bytes":4096},
 *with "in" (data in hexadecimal) where there is some, and answers each with one: "status" (0:
 *success, bits 10:8 type, 7:0 code), "dw0", "dw1", "out" in hexadecimal. All of them go over one
 *connection: an MMC is reset when its connection closes. Exit: 0 sent and answered with success, 1
 *not, 2 usage.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "emu/guest_ctrl.h"
#include "emu/options.h"

#define DATA_MAX   (256u << 10)
#define MEMORY     (4u << 20)
#define LINE_BYTES (2 * DATA_MAX + 4096)

struct driver {
	struct emu_mem mem;
	struct emu_ctrl ctrl;
	struct emu_client *cl;
};

static int driver_open(struct driver *d, const char *dir, struct exp_error *err)
{
	int r = emu_mem_open(&d->mem, NULL, MEMORY, err);

	if (!r)
		r = emu_ctrl_init(&d->ctrl, &d->mem, DATA_MAX, err);
	if (!r)
		r = emu_client_open(dir, &d->cl, err);
	return r < 0 ? r : emu_ctrl_start(&d->ctrl, d->cl, err);
}

static void driver_close(struct driver *d)
{
	/* as a driver that is unloaded does; a device that is gone does not mind */
	if (d->cl && !emu_client_gone(d->cl))
		emu_regs_disable(d->cl, NULL);
	emu_client_close(d->cl);
	emu_ctrl_done(&d->ctrl);
	emu_mem_close(&d->mem);
}

/* --- one command from the command line --- */

static int number(const char *text, uint64_t max, uint64_t *ret, struct exp_error *err)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 0);
	if (errno || *end || !isdigit((unsigned char)text[0]) || *ret > max)
		return exp_error_set(err, EXP_CODE_USAGE, EINVAL,
				     "\"%s\" is no number between 0 and %llu", text,
				     (unsigned long long)max);
	return 0;
}

static int parse_command(int n, char **word, struct emu_admin *a, struct exp_error *err)
{
	uint64_t v;
	int r = number(word[0], 0xff, &v, err);

	if (r < 0)
		return r;
	a->opcode = (uint8_t)v;
	r = number(word[1], UINT32_MAX, &v, err);
	a->nsid = (uint32_t)v;
	for (int i = 2; !r && i < n; i++) {
		r = number(word[i], UINT32_MAX, &v, err);
		if (!r)
			a->cdw[i - 2] = (uint32_t)v;
	}
	return r;
}

static int once(struct driver *d, struct emu_admin *a, const char *in_file, uint64_t out_bytes,
		struct exp_error *err)
{
	char *data = NULL;
	struct emu_cqe e = { 0 };
	size_t len = 0;
	int r = 0;

	if (in_file) {
		r = exp_fs_read(in_file, DATA_MAX, &data, &len, err);
		a->in = data;
	} else if (out_bytes) {
		len = out_bytes;
		data = calloc(1, len);
		a->out = data;
		if (!data)
			r = exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	}
	a->bytes = (uint32_t)len;
	if (!r)
		r = emu_ctrl_admin(&d->ctrl, a, &e, err);
	if (!r || r == -EREMOTEIO)
		fprintf(stderr, "status %x/%02xh dw0 %08xh dw1 %08xh\n", e.status >> 8 & 7,
			e.status & 0xff, e.dw0, e.dw1);
	if (!r && a->out && fwrite(data, 1, len, stdout) != len)
		r = exp_error_set(err, EXP_CODE_SYSTEM, errno, "write: %s", strerror(errno));
	free(data);
	return r;
}

/* --- many of them, as JSON --- */

static int from_hex(const char *text, uint8_t *out, uint32_t *ret_len)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = strlen(text);

	if (n % 2)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		const char *d = memchr(digits, tolower((unsigned char)text[i]), 16);

		if (!d)
			return -EINVAL;
		out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | (d - digits) : (d - digits) << 4);
	}
	*ret_len = (uint32_t)(n / 2);
	return 0;
}

static char *to_hex(const uint8_t *p, size_t n)
{
	char *text = malloc(2 * n + 1);

	for (size_t i = 0; text && i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", p[i]);
	if (text)
		text[2 * n] = '\0';
	return text;
}

static int read_command(const struct exp_json *doc, struct emu_admin *a, uint8_t *data,
			struct exp_error *err)
{
	static const char *const names[] = { "cdw10", "cdw11", "cdw12", "cdw13", "cdw14", "cdw15" };
	struct exp_json_reader rd;
	uint64_t v = 0, out = 0, wait = 0;
	const char *in;
	int r = exp_json_open(&rd, doc, err);

	if (r < 0)
		return r;
	if (exp_json_req_u64(&rd, "opcode", 0, 0xff, &v))
		a->opcode = (uint8_t)v;
	if (exp_json_opt_u64(&rd, "nsid", 0, UINT32_MAX, &v))
		a->nsid = (uint32_t)v;
	for (size_t i = 0; i < 6; i++) {
		if (exp_json_opt_u64(&rd, names[i], 0, UINT32_MAX, &v))
			a->cdw[i] = (uint32_t)v;
	}
	exp_json_opt_u64(&rd, "out_bytes", 0, DATA_MAX, &out);
	exp_json_opt_u64(&rd, "wait_ms", 1, 3600000, &wait);
	in = exp_json_opt_str(&rd, "in", 2 * DATA_MAX);
	r = exp_json_close(&rd);
	if (r < 0)
		return r;
	a->wait_ms = (uint32_t)wait;
	if (in) {
		if (out || from_hex(in, data, &a->bytes) < 0)
			return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
					     "in: not hexadecimal, or there is out_bytes too");
		a->in = data;
	} else if (out) {
		memset(data, 0, out);
		a->bytes = (uint32_t)out;
		a->out = data;
	}
	return 0;
}

/* The answer to one line. False: the device is lost. */
static bool answer(struct driver *d, const char *line, size_t len, uint8_t *data,
		   struct exp_json *o)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *doc = NULL;
	struct exp_error err = { 0 };
	struct emu_admin a = { 0 };
	struct emu_cqe e = { 0 };
	int r = exp_json_parse(line, len, LINE_BYTES, &doc, &err);

	if (!r)
		r = read_command(doc, &a, data, &err);
	if (!r)
		r = emu_ctrl_admin(&d->ctrl, &a, &e, &err);
	if (r < 0 && r != -EREMOTEIO) {
		exp_json_put_bool(o, "ok", false);
		exp_json_put_str(o, "error", err.msg);
		return r != -ENODEV && r != -ETIMEDOUT;
	}
	exp_json_put_bool(o, "ok", true);
	exp_json_put_u64(o, "status", e.status & EMU_STATUS_CODE);
	exp_json_put_bool(o, "do_not_retry", e.status & EMU_STATUS_DNR);
	exp_json_put_u64(o, "dw0", e.dw0);
	exp_json_put_u64(o, "dw1", e.dw1);
	if (!r && a.out) {
		char *text = to_hex(data, a.bytes);

		exp_json_put_str(o, "out", text);
		free(text);
	}
	return true;
}

static int many(struct driver *d, struct exp_error *err)
{
	uint8_t *data = malloc(DATA_MAX);
	char *line = NULL;
	size_t cap = 0;
	bool go_on = data != NULL;
	ssize_t n;

	while (go_on && (n = getline(&line, &cap, stdin)) > 0) {
		struct exp_json *o = exp_json_object();
		const char *text;

		go_on = answer(d, line, (size_t)n, data, o);
		text = exp_json_print(o, false, NULL);
		printf("%s\n", text ? text : "{\"ok\":false}");
		fflush(stdout);
		exp_json_free(o);
	}
	free(line);
	free(data);
	return go_on ? 0 : exp_error_set(err, EXP_CODE_DEVICE_GONE, ENODEV, "the device is lost");
}

int main(int argc, char **argv)
{
	const char *in = NULL;
	uint64_t out = 0;
	bool help = false;
	const struct emu_option opts[] = {
		{ "in", EMU_OPT_STRING, &in, 0, 0, "FILE", "data for the device" },
		{ "out", EMU_OPT_BYTES, &out, 1, DATA_MAX, "BYTES",
		  "take so much from the device" },
		{ "help", EMU_OPT_FLAG, &help, 0, 0, NULL, "this text" },
	};
	struct exp_error err = { 0 };
	struct emu_admin a = { 0 };
	struct driver d = { .mem.fd = -1, .ctrl.irq = -1 };
	int n = emu_options_parse(opts, EXP_ARRAY_SIZE(opts), argc, argv, &err), r = EXP_MIN(n, 0);
	bool lines = n == 2 && !strcmp(argv[2], "-");

	if (!r && (help || (!lines && (n < 3 || n > 9)) || (in && out))) {
		printf("usage: exp-emu-admin DIR OPCODE NSID [CDW10 ... CDW15] [--in FILE | --out "
		       "BYTES]\n       exp-emu-admin DIR -     (JSON lines)\n\n");
		emu_options_help(opts, EXP_ARRAY_SIZE(opts));
		return help ? 0 : 2;
	}
	if (!r && !lines)
		r = parse_command(n - 1, argv + 2, &a, &err);
	if (!r)
		r = driver_open(&d, argv[1], &err);
	if (!r)
		r = lines ? many(&d, &err) : once(&d, &a, in, out, &err);
	driver_close(&d);
	if (r < 0)
		fprintf(stderr, "exp-emu-admin: %s\n", err.msg);
	return r == 0 ? 0 : err.code == EXP_CODE_USAGE ? 2 : 1;
}
