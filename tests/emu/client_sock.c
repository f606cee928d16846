/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_sock.c - one request, one answer on a vfio-user socket
 *
 * A request leaves in one sendmsg() with its descriptors on the first byte. While the answer is
 * awaited the device may ask something itself (DMA_READ, DMA_WRITE): all our memory was passed by
 * descriptor, so it is told no. Whatever breaks the order of messages makes the connection dead.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/le.h"
#include "emu/client_int.h"

#define TYPE_MASK     0x0fu
#define TYPE_REPLY    0x01u
#define FLAG_NO_REPLY 0x10u
#define FLAG_ERROR    0x20u

struct header {
	uint16_t id, cmd;
	uint32_t size, flags, error;
};

static int dead(struct cl_sock *s, struct exp_error *err, const char *why)
{
	s->dead = true;
	return exp_error_set(err, EXP_CODE_DEVICE_GONE, ENODEV, "vfio-user device: %s", why);
}

int cl_sock_connect(struct cl_sock *s, const char *dir, struct exp_error *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval wait = { .tv_sec = CL_WAIT_MS / 1000 };
	int n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/cntrl", dir);

	if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
		return exp_error_set(err, EXP_CODE_INVALID, ENAMETOOLONG,
				     "%s/cntrl has %d bytes, a socket's name at most %zu", dir, n,
				     sizeof(sa.sun_path) - 1);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "socket: %s", strerror(errno));
	if (connect(s->fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0) {
		int r = errno;

		cl_sock_close(s);
		return exp_error_set(err, EXP_CODE_UNREACHABLE, r, "connect %s: %s", sa.sun_path,
				     strerror(r));
	}
	setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	s->dead = false;
	return 0;
}

void cl_sock_close(struct cl_sock *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->dead = true;
}

static int send_all(struct cl_sock *s, const uint8_t head[CL_HEADER], const struct cl_request *q,
		    struct exp_error *err)
{
	union {
		char buf[CMSG_SPACE(CL_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} ctl = { 0 };
	size_t sent = 0, total = CL_HEADER + q->len;

	while (sent < total) {
		struct iovec iov[2];
		struct msghdr mh = { .msg_iov = iov };
		ssize_t n;

		if (sent < CL_HEADER)
			iov[mh.msg_iovlen++] = (struct iovec){ (void *)(head + sent),
							       CL_HEADER - sent };
		if (q->len) {
			size_t skip = sent > CL_HEADER ? sent - CL_HEADER : 0;

			iov[mh.msg_iovlen++] = (struct iovec){
				(void *)((const uint8_t *)q->body + skip), q->len - skip
			};
		}
		if (!sent && q->n_fds) {
			struct cmsghdr *c;

			mh.msg_control = ctl.buf;
			mh.msg_controllen = CMSG_SPACE(q->n_fds * sizeof(int));
			c = CMSG_FIRSTHDR(&mh);
			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(q->n_fds * sizeof(int));
			memcpy(CMSG_DATA(c), q->fds, q->n_fds * sizeof(int));
		}
		n = sendmsg(s->fd, &mh, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dead(s, err, errno == EAGAIN ? "takes no request" : strerror(errno));
		sent += (size_t)n;
	}
	return 0;
}

/* Keeps the first descriptor, closes the rest. */
static void take_fd(struct msghdr *mh, int *fd)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int one;

			memcpy(&one, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (*fd < 0)
				*fd = one;
			else
				close(one);
		}
	}
}

static int recv_all(struct cl_sock *s, void *dst, size_t len, int *fd, struct exp_error *err)
{
	size_t have = 0;

	while (have < len) {
		union {
			char buf[CMSG_SPACE(CL_MAX_FDS * sizeof(int))];
			struct cmsghdr align;
		} ctl;
		struct iovec iov = { (uint8_t *)dst + have, len - have };
		struct msghdr mh = { .msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = fd ? ctl.buf : NULL,
				     .msg_controllen = fd ? sizeof(ctl.buf) : 0 };
		ssize_t n = recvmsg(s->fd, &mh, MSG_CMSG_CLOEXEC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dead(s, err,
				    errno == EAGAIN ? "no answer in time" : strerror(errno));
		if (!n)
			return dead(s, err, "connection closed");
		if (fd)
			take_fd(&mh, fd);
		have += (size_t)n;
	}
	return 0;
}

static int recv_header(struct cl_sock *s, struct header *h, int *fd, struct exp_error *err)
{
	uint8_t b[CL_HEADER];
	int r = recv_all(s, b, sizeof(b), fd, err);

	if (r < 0)
		return r;
	h->id = exp_le16(b);
	h->cmd = exp_le16(b + 2);
	h->size = exp_le32(b + 4);
	h->flags = exp_le32(b + 8);
	h->error = exp_le32(b + 12);
	if (h->size < CL_HEADER || h->size - CL_HEADER > CL_MAX_BODY)
		return dead(s, err, "a message of impossible size");
	return 0;
}

static int refuse(struct cl_sock *s, const struct header *h, struct exp_error *err)
{
	const struct cl_request nothing = { 0 };
	uint8_t b[CL_HEADER];

	if (h->flags & FLAG_NO_REPLY)
		return 0;
	exp_put_le16(b, h->id);
	exp_put_le16(b + 2, h->cmd);
	exp_put_le32(b + 4, CL_HEADER);
	exp_put_le32(b + 8, TYPE_REPLY | FLAG_ERROR);
	exp_put_le32(b + 12, EPERM);
	return send_all(s, b, &nothing, err);
}

static int await(struct cl_sock *s, const struct cl_request *q, uint16_t id, struct cl_answer *a,
		 struct exp_error *err)
{
	for (;;) {
		struct header h;
		int r = recv_header(s, &h, &a->fd, err);

		if (r < 0)
			return r;
		/* with an error there should be no body; one that comes is in the way all the same
		 */
		a->len = h.size - CL_HEADER;
		r = recv_all(s, a->body, a->len, NULL, err);
		if (r < 0)
			return r;
		if ((h.flags & TYPE_MASK) == 0) {
			r = refuse(s, &h, err);
			if (r < 0)
				return r;
			continue;
		}
		if ((h.flags & TYPE_MASK) != TYPE_REPLY || h.id != id || h.cmd != q->cmd)
			return dead(s, err, "an answer to another question");
		if (h.flags & FLAG_ERROR) {
			int e = h.error && h.error < 4096 ? (int)h.error : EIO;

			return exp_error_set(err, EXP_CODE_DEVICE, e,
					     "vfio-user command %d refused: %s", q->cmd,
					     strerror(e));
		}
		return 0;
	}
}

int cl_sock_ask(struct cl_sock *s, const struct cl_request *q, struct cl_answer *a,
		struct exp_error *err)
{
	uint8_t b[CL_HEADER];
	uint16_t id = s->next_id++;
	int r;

	if (s->dead)
		return dead(s, err, "gone");
	exp_put_le16(b, id);
	exp_put_le16(b + 2, (uint16_t)q->cmd);
	exp_put_le32(b + 4, (uint32_t)(CL_HEADER + q->len));
	exp_put_le32(b + 8, 0);
	exp_put_le32(b + 12, 0);
	a->fd = -1;
	r = send_all(s, b, q, err);
	if (!r)
		r = await(s, q, id, a, err);
	if (r < 0 && a->fd >= 0) {
		close(a->fd);
		a->fd = -1;
	}
	return r;
}
