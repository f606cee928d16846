/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_control.c - verbs of the control socket
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "emu/guest_control.h"

#define CLIENTS  8
#define LINE_MAX 65536
#define SEND_S   10

struct client {
	int fd; /* -1: free */
	struct exp_buf in;
};

struct emu_control {
	int fd;
	char *path;
	struct client client[CLIENTS];
	int stopper; /* who asked for the stop, index; -1 */
};

/* --- verbs: take their fields from @rd, put their answer into @o --- */

typedef int (*verb_fn)(struct emu_vmm *m, struct exp_json_reader *rd, struct exp_json *o,
		       struct exp_error *err);

static int verb_status(struct emu_vmm *m, struct exp_json_reader *rd, struct exp_json *o,
		       struct exp_error *err)
{
	bool well;
	int r = exp_json_close(rd);

	(void)err;
	if (r < 0)
		return r;
	exp_json_put(o, "report", emu_vmm_report(m, &well));
	exp_json_put_bool(o, "well", well);
	return 0;
}

static int verb_pause(struct emu_vmm *m, struct exp_json_reader *rd, struct exp_json *o,
		      struct exp_error *err)
{
	int r = exp_json_close(rd);

	(void)o;
	return r < 0 ? r : emu_vmm_pause(m, err);
}

static int verb_run(struct emu_vmm *m, struct exp_json_reader *rd, struct exp_json *o,
		    struct exp_error *err)
{
	int r = exp_json_close(rd);

	(void)o;
	return r < 0 ? r : emu_vmm_run(m, err);
}

static int verb_attach(struct emu_vmm *m, struct exp_json_reader *rd, struct exp_json *o,
		       struct exp_error *err)
{
	const char *dir = exp_json_req_str(rd, "function", 4096);
	struct exp_json *list;
	bool master = true;
	int r;

	exp_json_opt_bool(rd, "bus_master", &master);
	r = exp_json_close(rd);
	if (!r)
		r = emu_vmm_attach_target(m, dir, master, err);
	if (r < 0)
		return r;
	list = exp_json_array();
	for (size_t i = 0; i < EMU_MEM_RANGES; i++) {
		struct exp_json *range = exp_json_object();

		exp_json_put_u64(range, "iova", m->vm.mem.range[i].iova);
		exp_json_put_u64(range, "bytes", m->vm.mem.range[i].bytes);
		exp_json_add(list, range);
	}
	exp_json_put(o, "memory", list);
	return 0;
}

static int verb_bus_master(struct emu_vmm *m, struct exp_json_reader *rd, struct exp_json *o,
			   struct exp_error *err)
{
	int r = exp_json_close(rd);

	(void)o;
	return r < 0 ? r : emu_vmm_bus_master_on(m, err);
}

static int verb_move(struct emu_vmm *m, struct exp_json_reader *rd, struct exp_json *o,
		     struct exp_error *err)
{
	/* a guest that ran while its state was read may have rung where nobody listened any more */
	bool ring = emu_vm_phase(&m->vm) != EMU_PAUSED;
	int r;

	exp_json_opt_bool(rd, "ring", &ring);
	r = exp_json_close(rd);
	if (!r)
		r = emu_vmm_move(m, ring, err);
	if (!r)
		exp_json_put_bool(o, "ring", ring);
	return r;
}

static int verb_memory_pass(struct emu_vmm *m, struct exp_json_reader *rd, struct exp_json *o,
			    struct exp_error *err)
{
	int r = exp_json_close(rd);

	(void)err;
	if (r < 0)
		return r;
	emu_vmm_memory_pass(m);
	exp_json_put_u64(o, "memory_passes", m->memory_passes);
	return 0;
}

static int verb_drop_source(struct emu_vmm *m, struct exp_json_reader *rd, struct exp_json *o,
			    struct exp_error *err)
{
	int r = exp_json_close(rd);

	(void)o;
	return r < 0 ? r : emu_vmm_drop_source(m, err);
}

static int verb_drop_target(struct emu_vmm *m, struct exp_json_reader *rd, struct exp_json *o,
			    struct exp_error *err)
{
	int r = exp_json_close(rd);

	(void)o;
	return r < 0 ? r : emu_vmm_drop_target(m, err);
}

static int verb_reattach(struct emu_vmm *m, struct exp_json_reader *rd, struct exp_json *o,
			 struct exp_error *err)
{
	const char *dir = exp_json_req_str(rd, "function", 4096);
	int r = exp_json_close(rd);

	(void)o;
	return r < 0 ? r : emu_vmm_reattach(m, dir, err);
}

static int verb_identity(struct emu_vmm *m, struct exp_json_reader *rd, struct exp_json *o,
			 struct exp_error *err)
{
	uint64_t changed = 0;
	int r = exp_json_close(rd);

	if (!r)
		r = emu_vmm_identity(m, &changed, o, err);
	if (!r)
		exp_json_put_u64(o, "identity_bytes_changed", changed);
	return r;
}

static int verb_verify(struct emu_vmm *m, struct exp_json_reader *rd, struct exp_json *o,
		       struct exp_error *err)
{
	bool well;
	int r = exp_json_close(rd);

	if (!r)
		r = emu_vmm_verify(m, false, err);
	if (r < 0)
		return r;
	exp_json_put(o, "report", emu_vmm_report(m, &well));
	exp_json_put_bool(o, "well", well);
	return 0;
}

static int verb_mark_gap(struct emu_vmm *m, struct exp_json_reader *rd, struct exp_json *o,
			 struct exp_error *err)
{
	int r = exp_json_close(rd);

	(void)o;
	(void)err;
	if (!r)
		emu_vmm_mark_gap(m);
	return r;
}

static const struct {
	const char *name;
	verb_fn fn;
} verbs[] = {
	{ "status", verb_status },
	{ "pause", verb_pause },
	{ "run", verb_run },
	{ "attach-target", verb_attach },
	{ "bus-master-on", verb_bus_master },
	{ "move", verb_move },
	{ "memory-pass", verb_memory_pass },
	{ "drop-source", verb_drop_source },
	{ "drop-target", verb_drop_target },
	{ "reattach", verb_reattach },
	{ "identity", verb_identity },
	{ "verify", verb_verify },
	{ "mark-gap", verb_mark_gap },
};

static int dispatch(struct emu_vmm *m, const char *line, size_t len, struct exp_json *o,
		    bool *ret_stop, struct exp_error *err)
{
	EXP_CLEANUP(exp_json_freep) struct exp_json *doc = NULL;
	struct exp_json_reader rd;
	const char *verb;
	int r = exp_json_parse(line, len, LINE_MAX, &doc, err);

	if (!r)
		r = exp_json_open(&rd, doc, err);
	if (r < 0)
		return r;
	verb = exp_json_req_str(&rd, "verb", 64);
	if (!verb)
		return exp_json_close(&rd);
	if (!strcmp(verb, "stop")) {
		r = exp_json_close(&rd);
		*ret_stop = !r;
		return r;
	}
	for (size_t i = 0; i < EXP_ARRAY_SIZE(verbs); i++) {
		if (!strcmp(verbs[i].name, verb))
			return verbs[i].fn(m, &rd, o, err);
	}
	return exp_error_set(err, EXP_CODE_NOT_FOUND, ENOENT, "there is no verb \"%s\"", verb);
}

/* --- sockets --- */

static void hang_up(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	exp_buf_done(&c->in);
}

/* Blocks up to SEND_S: whoever asks has to read. */
static void send_line(struct client *c, const struct exp_json *o)
{
	size_t len = 0, done = 0;
	const char *text = exp_json_print(o, false, &len);

	while (text && done <= len) {
		const char *p = done < len ? text + done : "\n";
		ssize_t n = send(c->fd, p, done < len ? len - done : 1, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			hang_up(c);
			return;
		}
		done += (size_t)n;
	}
}

static bool answer(struct emu_control *c, struct emu_vmm *m, struct client *from, const char *line,
		   size_t len)
{
	struct exp_json *o = exp_json_object();
	struct exp_error err = { 0 };
	bool stop = false;
	int r = dispatch(m, line, len, o, &stop, &err);

	if (stop) {
		c->stopper = (int)(from - c->client);
		exp_json_free(o);
		return true;
	}
	if (r < 0) {
		exp_json_free(o);
		o = exp_json_object();
		exp_json_put_str(o, "code", exp_code_name(err.code));
		exp_json_put_str(o, "error", err.msg);
	}
	exp_json_put_bool(o, "ok", r == 0);
	send_line(from, o);
	exp_json_free(o);
	return false;
}

/* True: stop was asked for. */
static bool serve(struct emu_control *c, struct emu_vmm *m, struct client *from)
{
	uint8_t *room;
	const uint8_t *end;
	ssize_t n;

	if (exp_buf_reserve(&from->in, 4096, &room) < 0) {
		exp_log(LOG_WARNING, "a request has no end", kv_u("bytes", exp_buf_len(&from->in)));
		hang_up(from);
		return false;
	}
	n = recv(from->fd, room, 4096, MSG_DONTWAIT);
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			hang_up(from);
		return false;
	}
	exp_buf_commit(&from->in, (size_t)n);
	while (from->fd >= 0 && exp_buf_len(&from->in) &&
	       (end = memchr(exp_buf_data(&from->in), '\n', exp_buf_len(&from->in)))) {
		size_t len = (size_t)(end - exp_buf_data(&from->in));

		if (answer(c, m, from, (const char *)exp_buf_data(&from->in), len))
			return true;
		if (from->fd >= 0)
			exp_buf_consume(&from->in, len + 1);
	}
	return false;
}

static void take_client(struct emu_control *c)
{
	struct timeval wait = { .tv_sec = SEND_S };
	int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);

	for (size_t i = 0; fd >= 0 && i < CLIENTS; i++) {
		if (c->client[i].fd >= 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
		exp_buf_init(&c->client[i].in, LINE_MAX);
		c->client[i].fd = fd;
		return;
	}
	if (fd >= 0)
		close(fd);
}

bool emu_control_poll(struct emu_control *c, struct emu_vmm *m, int signal_fd, int ms)
{
	struct pollfd p[CLIENTS + 2];

	for (size_t i = 0; i < CLIENTS; i++)
		p[i] = (struct pollfd){ .fd = c->client[i].fd, .events = POLLIN };
	p[CLIENTS] = (struct pollfd){ .fd = c->fd, .events = POLLIN };
	p[CLIENTS + 1] = (struct pollfd){ .fd = signal_fd, .events = POLLIN };
	if (poll(p, CLIENTS + 2, ms) <= 0)
		return false;
	for (size_t i = 0; i < CLIENTS; i++) {
		if (p[i].revents && serve(c, m, &c->client[i]))
			return true;
	}
	if (p[CLIENTS].revents)
		take_client(c);
	return false;
}

void emu_control_answer_stop(struct emu_control *c, const struct exp_json *report)
{
	if (c->stopper >= 0 && c->client[c->stopper].fd >= 0)
		send_line(&c->client[c->stopper], report);
}

int emu_control_open(const char *path, struct emu_control **ret, struct exp_error *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path ? path : "");
	struct emu_control *c;
	struct stat st;

	if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
		return exp_error_set(err, EXP_CODE_INVALID, ENAMETOOLONG,
				     "%s has %d bytes, a socket's name at most %zu", path, n,
				     sizeof(sa.sun_path) - 1);
	c = calloc(1, sizeof(*c));
	if (!c)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	for (size_t i = 0; i < CLIENTS; i++)
		c->client[i].fd = -1;
	c->stopper = -1;
	c->fd = -1;
	if (!path) {
		*ret = c;
		return 0;
	}
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!lstat(path, &st) && S_ISSOCK(st.st_mode))
		unlink(path);
	if (c->fd < 0 || fchmod(c->fd, 0600) < 0 ||
	    bind(c->fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(c->fd, 8) < 0) {
		int r = errno;

		emu_control_close(c);
		return exp_error_set(err, EXP_CODE_SYSTEM, r, "control socket %s: %s", path,
				     strerror(r));
	}
	c->path = strdup(path);
	*ret = c;
	return 0;
}

void emu_control_close(struct emu_control *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < CLIENTS; i++)
		hang_up(&c->client[i]);
	if (c->path)
		unlink(c->path);
	free(c->path);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}
