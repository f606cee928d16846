/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/le.h"
#include "device/vfu_conn.h"

#define HEADER_BYTES       16u
#define MESSAGE_MAX        (HEADER_BYTES + 16u + EXP_VFU_XFER_MAX)
#define DEFAULT_TIMEOUT_MS 10000u
#define SERVICE_MAX        64 /* requests of the server answered in one turn */

/* header: u16 id, u16 command, u32 message size with header, u32 flags, u32 errno */
#define FLAG_TYPE     0x0fu
#define FLAG_REPLY    0x01u
#define FLAG_NO_REPLY 0x10u
#define FLAG_ERROR    0x20u

struct header {
	uint16_t id, command;
	uint32_t size, flags, error;
};

struct exp_vfu_conn {
	pthread_mutex_t lock; /* one request and its reply, or one turn of service */
	int fd;
	uint16_t next_id;
	atomic_bool lost;
	char why[128]; /* written once, before lost is set */
};

bool exp_vfu_lost(const struct exp_vfu_conn *c)
{
	return atomic_load_explicit(&c->lost, memory_order_acquire);
}

int exp_vfu_fd(const struct exp_vfu_conn *c)
{
	return c->fd;
}

static int gone(const struct exp_vfu_conn *c, struct exp_error *err)
{
	return exp_error_set(err, EXP_CODE_DEVICE_GONE, ENODEV, "vfio-user: %s", c->why);
}

/* Called with the lock held; the first reason stays. */
static int EXP_PRINTF(3, 4)
	lose(struct exp_vfu_conn *c, struct exp_error *err, const char *fmt, ...)
{
	va_list ap;

	if (!exp_vfu_lost(c)) {
		va_start(ap, fmt);
		(void)vsnprintf(c->why, sizeof(c->why), fmt, ap);
		va_end(ap);
		atomic_store_explicit(&c->lost, true, memory_order_release);
	}
	return gone(c, err);
}

static int wait_for(struct exp_vfu_conn *c, short events, uint64_t deadline_ms,
		    struct exp_error *err)
{
	for (;;) {
		uint64_t now = exp_mono_ms();
		struct pollfd p = { .fd = c->fd, .events = events };
		int n;

		if (now >= deadline_ms)
			return lose(c, err,
				    "no answer in time; what comes later cannot be told apart");
		n = poll(&p, 1, (int)EXP_MIN(deadline_ms - now, 60000u));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return lose(c, err, "poll: %s", strerror(errno));
	}
}

static void close_fds(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static int send_all(struct exp_vfu_conn *c, const struct iovec *iov, size_t n_iov, const int *fds,
		    size_t n_fds, uint64_t deadline_ms, struct exp_error *err)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(EXP_VFU_FDS_MAX * sizeof(int))];
	} control;
	struct iovec v[3];
	struct msghdr m = { .msg_iov = v, .msg_iovlen = n_iov };

	memcpy(v, iov, n_iov * sizeof(*iov));
	if (n_fds) {
		memset(&control, 0, sizeof(control));
		m.msg_control = control.room;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);

		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(h), fds, n_fds * sizeof(int));
	}
	while (m.msg_iovlen) {
		ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			int r = wait_for(c, POLLOUT, deadline_ms, err);

			if (r < 0)
				return r;
			continue;
		}
		if (n < 0)
			return lose(c, err, "send: %s", strerror(errno));
		/* the descriptors went with the first byte */
		m.msg_control = NULL;
		m.msg_controllen = 0;
		while (m.msg_iovlen && (size_t)n >= m.msg_iov->iov_len) {
			n -= (ssize_t)m.msg_iov->iov_len;
			m.msg_iov++;
			m.msg_iovlen--;
		}
		if (m.msg_iovlen) {
			m.msg_iov->iov_base = (char *)m.msg_iov->iov_base + n;
			m.msg_iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

static int take_fds(struct exp_vfu_conn *c, struct msghdr *m, int *fds, size_t *n_fds,
		    struct exp_error *err)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		size_t n;

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
			if (*n_fds < EXP_VFU_FDS_MAX)
				fds[(*n_fds)++] = fd;
			else
				close(fd);
		}
	}
	if (m->msg_flags & MSG_CTRUNC) {
		close_fds(fds, *n_fds);
		*n_fds = 0;
		return lose(c, err, "more than %d descriptors came with one message",
			    EXP_VFU_FDS_MAX);
	}
	return 0;
}

/* @fds gets what comes with the first bytes, when it is not NULL. */
static int recv_all(struct exp_vfu_conn *c, void *buf, size_t bytes, int *fds, size_t *n_fds,
		    uint64_t deadline_ms, struct exp_error *err)
{
	size_t done = 0;

	while (done < bytes) {
		union {
			struct cmsghdr align;
			char room[CMSG_SPACE(EXP_VFU_FDS_MAX * sizeof(int))];
		} control;
		struct iovec v = { (char *)buf + done, bytes - done };
		struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
		ssize_t n;
		int r;

		if (fds && !done) {
			m.msg_control = control.room;
			m.msg_controllen = sizeof(control.room);
		}
		n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			r = wait_for(c, POLLIN, deadline_ms, err);
			if (r < 0)
				return r;
			continue;
		}
		if (n < 0)
			return lose(c, err, "receive: %s", strerror(errno));
		if (n == 0)
			return lose(c, err, "the device's side closed the connection%s",
				    done ? " in the middle of a message" : "");
		if (fds && !done) {
			r = take_fds(c, &m, fds, n_fds, err);
			if (r < 0)
				return r;
		}
		done += (size_t)n;
	}
	return 0;
}

static int drain(struct exp_vfu_conn *c, size_t bytes, uint64_t deadline_ms, struct exp_error *err)
{
	char sink[4096];

	while (bytes) {
		size_t n = EXP_MIN(bytes, sizeof(sink));
		int r = recv_all(c, sink, n, NULL, NULL, deadline_ms, err);

		if (r < 0)
			return r;
		bytes -= n;
	}
	return 0;
}

static int recv_header(struct exp_vfu_conn *c, struct header *ret, int *fds, size_t *n_fds,
		       uint64_t deadline_ms, struct exp_error *err)
{
	uint8_t b[HEADER_BYTES];
	int r;

	*n_fds = 0;
	r = recv_all(c, b, sizeof(b), fds, n_fds, deadline_ms, err);
	if (r < 0) {
		close_fds(fds, *n_fds);
		*n_fds = 0;
		return r;
	}
	ret->id = exp_le16(b);
	ret->command = exp_le16(b + 2);
	ret->size = exp_le32(b + 4);
	ret->flags = exp_le32(b + 8);
	ret->error = exp_le32(b + 12);
	if (ret->size < HEADER_BYTES || ret->size > MESSAGE_MAX ||
	    (ret->flags & FLAG_TYPE) > FLAG_REPLY) {
		close_fds(fds, *n_fds);
		*n_fds = 0;
		return lose(c, err, "a message header of %u bytes (16 to %u) and type %u (0 or 1)",
			    ret->size, MESSAGE_MAX, ret->flags & FLAG_TYPE);
	}
	return 0;
}

/*
 * A request of the server. All our memory is shared by descriptor, so none of them is needed: the
 * honest answer is an error, and it has to be given, or a server that waits for it stands still.
 */
static int refuse_request(struct exp_vfu_conn *c, const struct header *h, const int *fds,
			  size_t n_fds, uint64_t deadline_ms, struct exp_error *err)
{
	uint8_t b[HEADER_BYTES] = { 0 };
	int r;

	close_fds(fds, n_fds);
	r = drain(c, h->size - HEADER_BYTES, deadline_ms, err);
	if (r < 0 || (h->flags & FLAG_NO_REPLY))
		return r;
	exp_put_le16(b, h->id);
	exp_put_le16(b + 2, h->command);
	exp_put_le32(b + 4, HEADER_BYTES);
	exp_put_le32(b + 8, FLAG_REPLY | FLAG_ERROR);
	exp_put_le32(b + 12, EOPNOTSUPP);
	return send_all(c, &(struct iovec){ b, sizeof(b) }, 1, NULL, 0, deadline_ms, err);
}

static int receive_reply(struct exp_vfu_conn *c, struct exp_vfu_call *call, uint16_t id,
			 uint64_t deadline_ms, struct exp_error *err)
{
	int fds[EXP_VFU_FDS_MAX];
	size_t n_fds, body, take;
	struct header h;
	int r;

	for (;;) {
		r = recv_header(c, &h, fds, &n_fds, deadline_ms, err);
		if (r < 0)
			return r;
		if ((h.flags & FLAG_TYPE) == FLAG_REPLY)
			break;
		r = refuse_request(c, &h, fds, n_fds, deadline_ms, err);
		if (r < 0)
			return r;
	}
	if (h.id != id || h.command != call->command) {
		close_fds(fds, n_fds);
		return lose(c, err,
			    "a reply to message %u, command %u; expected message %u, command %d",
			    h.id, h.command, id, call->command);
	}
	body = h.size - HEADER_BYTES;
	if (h.flags & FLAG_ERROR) {
		int e = h.error >= 1 && h.error <= 4096 ? (int)h.error : EIO;

		close_fds(fds, n_fds);
		r = drain(c, body, deadline_ms, err);
		if (r < 0)
			return r;
		(void)exp_error_set(err, EXP_CODE_DEVICE, e, "vfio-user command %d: %s",
				    call->command, strerror(e));
		return -EREMOTEIO;
	}
	take = EXP_MIN(body, call->reply_cap);
	r = recv_all(c, call->reply, take, NULL, NULL, deadline_ms, err);
	if (r == 0)
		r = drain(c, body - take, deadline_ms, err);
	if (r == 0 && body < call->reply_min)
		r = exp_error_set(err, EXP_CODE_DEVICE_DATA, EPROTO,
				  "vfio-user command %d: the reply has %zu bytes, %zu are needed",
				  call->command, body, call->reply_min);
	if (r < 0) {
		close_fds(fds, n_fds);
		return r;
	}
	call->reply_bytes = body;
	call->n_reply_fds = EXP_MIN(n_fds, call->reply_fds_cap);
	if (call->n_reply_fds)
		memcpy(call->reply_fds, fds, call->n_reply_fds * sizeof(int));
	close_fds(fds + call->n_reply_fds, n_fds - call->n_reply_fds);
	return 0;
}

int exp_vfu_call(struct exp_vfu_conn *c, struct exp_vfu_call *call, struct exp_error *err)
{
	uint64_t deadline_ms = exp_mono_ms() +
			       (call->timeout_ms ? call->timeout_ms : DEFAULT_TIMEOUT_MS);
	uint8_t b[HEADER_BYTES] = { 0 };
	uint16_t id;
	int r;

	if (call->body_bytes > MESSAGE_MAX - HEADER_BYTES || call->n_fds > EXP_VFU_FDS_MAX)
		return exp_error_set(
			err, EXP_CODE_INVALID, EMSGSIZE,
			"vfio-user command %d: %zu bytes, %zu descriptors; at most %u, %d",
			call->command, call->body_bytes, call->n_fds, MESSAGE_MAX - HEADER_BYTES,
			EXP_VFU_FDS_MAX);
	call->reply_bytes = 0;
	call->n_reply_fds = 0;

	pthread_mutex_lock(&c->lock);
	if (exp_vfu_lost(c)) {
		r = gone(c, err);
		goto out;
	}
	id = c->next_id++;
	exp_put_le16(b, id);
	exp_put_le16(b + 2, (uint16_t)call->command);
	exp_put_le32(b + 4, (uint32_t)(HEADER_BYTES + call->body_bytes));
	r = send_all(c,
		     (struct iovec[]){ { b, sizeof(b) },
				       { (void *)(uintptr_t)call->body, call->body_bytes } },
		     call->body_bytes ? 2 : 1, call->fds, call->n_fds, deadline_ms, err);
	if (r == 0)
		r = receive_reply(c, call, id, deadline_ms, err);
out:
	pthread_mutex_unlock(&c->lock);
	return r;
}

int exp_vfu_service(struct exp_vfu_conn *c, struct exp_error *err)
{
	int r = 0;

	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < SERVICE_MAX && r == 0; i++) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		uint64_t deadline_ms = exp_mono_ms() + DEFAULT_TIMEOUT_MS;
		int fds[EXP_VFU_FDS_MAX];
		struct header h;
		size_t n_fds;

		if (exp_vfu_lost(c)) {
			r = gone(c, err);
			break;
		}
		if (poll(&p, 1, 0) <= 0)
			break;
		r = recv_header(c, &h, fds, &n_fds, deadline_ms, err);
		if (r < 0)
			break;
		if ((h.flags & FLAG_TYPE) == FLAG_REPLY) {
			close_fds(fds, n_fds);
			r = lose(c, err, "a reply to command %u that nobody sent", h.command);
			break;
		}
		r = refuse_request(c, &h, fds, n_fds, deadline_ms, err);
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

int exp_vfu_conn_new(int fd, struct exp_vfu_conn **ret, struct exp_error *err)
{
	struct exp_vfu_conn *c;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		int e = errno;

		close(fd);
		return exp_error_set(err, EXP_CODE_SYSTEM, e, "vfio-user socket: %s", strerror(e));
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "vfio-user connection");
	}
	c->fd = fd;
	pthread_mutex_init(&c->lock, NULL);
	*ret = c;
	return 0;
}

void exp_vfu_conn_free(struct exp_vfu_conn *c)
{
	if (!c)
		return;
	close(c->fd);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int exp_vfu_conn_connect(const char *path, struct exp_vfu_conn **ret, struct exp_error *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	EXP_CLEANUP(exp_close_fdp) int fd = -1;
	size_t len = strlen(path);

	if (len >= sizeof(a.sun_path))
		return exp_error_set(err, EXP_CODE_CONFIG, ENAMETOOLONG,
				     "socket path %s has %zu bytes, at most %zu are possible", path,
				     len, sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, path, len + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "socket: %s", strerror(errno));
	/* a local connect is decided at once: EAGAIN means that others queue for this device */
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		int e = errno;

		if (e == EAGAIN)
			return exp_error_set(err, EXP_CODE_BUSY, EBUSY,
					     "%s: another client has this device", path);
		return exp_error_set(err, EXP_CODE_DEVICE_GONE, e, "%s: %s", path, strerror(e));
	}
	int s = fd;

	fd = -1;
	return exp_vfu_conn_new(s, ret, err);
}
