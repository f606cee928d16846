/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfu_sock.c - the socket of one function: one client at a time, whole messages in, answers out
 *
 * Descriptors travel with the first byte of a header, so a header is read with room for them and a
 * body without, and never a byte beyond the message. While an answer waits for room in the socket
 * nothing more is read: a client that does not read cannot make us buffer. The doorbell page is a
 * fresh memfd per client, since a former one keeps its mapping and could go on ringing.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/le.h"
#include "base/log.h"
#include "emu/vfu_int.h"

#define FLAG_TYPE 0x0fu

static void msg_close_fds(struct vfu_msg *m)
{
	for (size_t i = 0; i < m->n_fds; i++)
		close(m->fds[i]);
	m->n_fds = 0;
}

/* --- the doorbell page --- */

static int page_open(struct vfu *v)
{
	int fd = memfd_create("emu-doorbells", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *p;

	if (fd < 0)
		return -errno;
	/* sealed: the client holds the file too and must not take the page away under us */
	if (ftruncate(fd, VFU_DOORBELLS + VFU_DOORBELL_BYTES) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		goto fail_close;
	p = mmap(NULL, VFU_DOORBELL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, VFU_DOORBELLS);
	if (p == MAP_FAILED)
		goto fail_close;
	v->page_fd = fd;
	v->page = p;
	return 0;

fail_close:;
	int r = -errno;

	close(fd);
	return r;
}

static void page_close(struct vfu *v)
{
	if (v->page)
		munmap(v->page, VFU_DOORBELL_BYTES);
	if (v->page_fd >= 0)
		close(v->page_fd);
	v->page = NULL;
	v->page_fd = -1;
}

void vfu_page_zero(struct vfu *v)
{
	for (size_t i = 0; v->page && i < VFU_DOORBELL_BYTES / 4; i++)
		__atomic_store_n(&v->page[i], 0, __ATOMIC_RELAXED);
}

uint32_t *vfu_doorbells(struct vfu *v)
{
	return v->conn == VFU_UP ? v->page : NULL;
}

bool vfu_is_connected(const struct vfu *v)
{
	return v->conn == VFU_UP;
}

/* --- one connection --- */

static void drop(struct vfu *v, const char *why)
{
	exp_log(LOG_DEBUG, "vfio-user client gone", kv_s("why", why));
	if (v->conn == VFU_UP && v->ops->disconnected)
		v->ops->disconnected(v->arg);
	v->conn = VFU_IDLE;
	vfu_dma_unmap_all(v, false);
	vfu_irqs_detach_all(v);
	page_close(v);
	msg_close_fds(&v->msg);
	close(v->fd);
	v->fd = -1;
	v->have = 0;
	v->out_len = 0;
	v->out_sent = 0;
	v->out_fd = -1;
	v->doomed = false;
	free(v->body);
	v->body = NULL;
	v->body_cap = 0;
}

static void take_client(struct vfu *v, int fd)
{
	struct ucred who = { 0 };
	socklen_t len = sizeof(who);
	int r = page_open(v);

	if (r < 0) {
		exp_log(LOG_WARNING, "no doorbell page for a vfio-user client", kv_i("rc", r));
		close(fd);
		return;
	}
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len);
	exp_log(LOG_DEBUG, "vfio-user client", kv_s("path", v->path), kv_i("pid", who.pid));
	v->fd = fd;
	v->conn = VFU_GREETING;
}

/* A second client gets EOF, so that it need not hang in the backlog; but one that comes right after
 * the first has hung up waits there until the first one's last messages are handled. */
static void accept_one(struct vfu *v)
{
	int fd;

	if (v->fd >= 0) {
		struct pollfd p = { .fd = v->fd, .events = POLLRDHUP };

		if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLRDHUP | POLLERR)))
			return;
	}
	fd = accept4(v->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (v->fd >= 0)
		close(fd);
	else
		take_client(v, fd);
}

/* Sends what waits. Returns false when the client is gone. */
static bool flush(struct vfu *v)
{
	while (v->out_sent < v->out_len) {
		union {
			char buf[CMSG_SPACE(sizeof(int))];
			struct cmsghdr align;
		} ctl = { 0 };
		struct iovec iov = { v->out + v->out_sent, v->out_len - v->out_sent };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;

		if (!v->out_sent && v->out_fd >= 0) {
			struct cmsghdr *c;

			mh.msg_control = ctl.buf;
			mh.msg_controllen = sizeof(ctl.buf);
			c = CMSG_FIRSTHDR(&mh);
			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(c), &v->out_fd, sizeof(int));
		}
		n = sendmsg(v->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n < 0) {
			drop(v, "cannot send");
			return false;
		}
		v->out_sent += (size_t)n;
	}
	v->out_len = 0;
	v->out_sent = 0;
	if (v->doomed) {
		drop(v, "refused");
		return false;
	}
	return true;
}

/* Takes the descriptors of @mh into the message. False: more came than were allowed. */
static bool take_fds(struct vfu *v, struct msghdr *mh)
{
	bool ok = !(mh->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (v->msg.n_fds < VFU_MAX_FDS) {
				v->msg.fds[v->msg.n_fds++] = fd;
			} else {
				close(fd);
				ok = false;
			}
		}
	}
	return ok;
}

/* The header is whole: make room for the body. NULL, or why this stream cannot be trusted. */
static const char *begin_body(struct vfu *v)
{
	v->msg.id = exp_le16(v->head);
	v->msg.cmd = exp_le16(v->head + 2);
	v->size = exp_le32(v->head + 4);
	v->msg.flags = exp_le32(v->head + 8);
	if ((v->msg.flags & FLAG_TYPE) != 0)
		return "not a command";
	if (v->size < VFU_HEADER || v->size > VFU_MAX_SIZE)
		return "impossible size";
	v->msg.len = v->size - VFU_HEADER;
	if (v->msg.len > v->body_cap) {
		uint8_t *bigger = realloc(v->body, v->msg.len);

		if (!bigger)
			return "out of memory";
		v->body = bigger;
		v->body_cap = v->msg.len;
	}
	v->msg.body = v->body;
	return NULL;
}

/* Bytes until the current header or body is whole: >0 got some, 0 none there, <0 dropped. */
static ssize_t receive(struct vfu *v)
{
	bool in_head = v->have < VFU_HEADER;
	union {
		char buf[CMSG_SPACE(VFU_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = {
		in_head ? v->head + v->have : v->body + (v->have - VFU_HEADER),
		(in_head ? VFU_HEADER : v->size) - v->have,
	};
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (in_head) {
		mh.msg_control = ctl.buf;
		mh.msg_controllen = sizeof(ctl.buf);
	}
	do {
		n = recvmsg(v->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n <= 0) {
		drop(v, n ? "cannot receive" : v->have ? "closed inside a message" : "closed");
		return -1;
	}
	/* without room for them the kernel has closed descriptors sent with a body: nothing leaks
	 */
	if (in_head && !take_fds(v, &mh)) {
		drop(v, "too many descriptors");
		return -1;
	}
	v->have += (size_t)n;
	return n;
}

/* Handles at most one message. True when there may be more. */
static bool serve_one(struct vfu *v, int *handled)
{
	while (v->have < VFU_HEADER || v->have < v->size) {
		bool was_head = v->have < VFU_HEADER;
		const char *why;

		if (receive(v) <= 0)
			return false;
		if (!was_head || v->have < VFU_HEADER)
			continue;
		why = begin_body(v);
		if (why) {
			drop(v, why);
			return false;
		}
	}
	v->have = 0;
	vfu_msg_handle(v, &v->msg);
	(*handled)++;
	return flush(v) && !v->out_len;
}

static void serve(struct vfu *v, int *handled)
{
	if (v->out_len && (!flush(v) || v->out_len))
		return;
	while (*handled < VFU_TURN && serve_one(v, handled))
		;
}

int vfu_poll(struct vfu *v, uint64_t timeout_us)
{
	struct pollfd p[3] = {
		{ .fd = v->wake_fd, .events = POLLIN },
		{ .fd = v->listen_fd, .events = POLLIN },
		{ .fd = v->fd, .events = v->out_len ? POLLOUT : POLLIN },
	};
	struct timespec ts = { (time_t)(timeout_us / 1000000),
			       (long)(timeout_us % 1000000) * 1000 };
	uint64_t count;
	int handled = 0;

	if (ppoll(p, 3, &ts, NULL) <= 0)
		return 0;
	if (p[0].revents && read(v->wake_fd, &count, sizeof(count)) < 0)
		exp_log(LOG_DEBUG, "wake-up was taken already", kv_i("rc", -errno));
	if (p[2].revents)
		serve(v, &handled);
	if (p[1].revents)
		accept_one(v);
	return handled;
}

void vfu_wake(struct vfu *v)
{
	const uint64_t one = 1;

	if (write(v->wake_fd, &one, sizeof(one)) < 0)
		return; /* full: it is awake */
}

/* --- start and end --- */

/* A socket file that nobody serves is a left-over of a killed process. */
static int remove_stale(const struct sockaddr_un *sa, struct exp_error *err)
{
	EXP_CLEANUP(exp_close_fdp) int fd = -1;
	struct stat st;

	if (lstat(sa->sun_path, &st) < 0)
		return errno == ENOENT ? 0
				       : exp_error_set(err, EXP_CODE_SYSTEM, errno, "%s: %s",
						       sa->sun_path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return exp_error_set(err, EXP_CODE_EXISTS, EEXIST,
				     "%s is there and is no socket: remove it", sa->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "socket: %s", strerror(errno));
	if (!connect(fd, (const struct sockaddr *)sa, sizeof(*sa)))
		return exp_error_set(err, EXP_CODE_BUSY, EADDRINUSE,
				     "%s is served by another process", sa->sun_path);
	if (unlink(sa->sun_path) < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "remove %s: %s", sa->sun_path,
				     strerror(errno));
	return 0;
}

static int listen_at(struct vfu *v, const char *dir, struct exp_error *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/cntrl", dir);
	int r;

	if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
		return exp_error_set(err, EXP_CODE_INVALID, ENAMETOOLONG,
				     "%s/cntrl has %d bytes, a socket's name at most %zu", dir, n,
				     sizeof(sa.sun_path) - 1);
	r = remove_stale(&sa, err);
	if (r < 0)
		return r;
	v->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (v->listen_fd < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "socket: %s", strerror(errno));
	/* before bind, so that there is no moment at which others may connect */
	if (fchmod(v->listen_fd, 0600) < 0 ||
	    bind(v->listen_fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "bind %s: %s", sa.sun_path,
				     strerror(errno));
	v->path = strdup(sa.sun_path);
	if (!v->path)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	if (listen(v->listen_fd, 8) < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "listen %s: %s", sa.sun_path,
				     strerror(errno));
	return 0;
}

EXP_DEFINE_CLEANUP(struct vfu *, vfu_free)

int vfu_new(const char *dir, const struct vfu_pci *pci, bool map_doorbells,
	    const struct vfu_ops *ops, void *arg, struct vfu **ret, struct exp_error *err)
{
	EXP_CLEANUP(vfu_freep) struct vfu *v = NULL;
	int r;

	if (!pci->vectors || pci->vectors > VFU_MAX_VECTORS)
		return exp_error_set(err, EXP_CODE_INVALID, EINVAL,
				     "%u MSI-X vectors; 1 to %u are possible", pci->vectors,
				     VFU_MAX_VECTORS);
	v = calloc(1, sizeof(*v));
	if (!v)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	v->pci = *pci;
	v->map_doorbells = map_doorbells;
	v->ops = ops;
	v->arg = arg;
	v->listen_fd = -1;
	v->fd = -1;
	v->page_fd = -1;
	v->out_fd = -1;
	v->wake_fd = -1;
	vfu_irqs_init(&v->irqs);
	vfu_pci_init(v);
	v->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->wake_fd < 0)
		return exp_error_set(err, EXP_CODE_SYSTEM, errno, "eventfd: %s", strerror(errno));
	v->out = malloc(VFU_MAX_REPLY);
	if (!v->out)
		return exp_error_set(err, EXP_CODE_NO_MEMORY, ENOMEM, "out of memory");
	r = listen_at(v, dir, err);
	if (r < 0)
		return r;
	*ret = EXP_TAKE(v);
	return 0;
}

void vfu_free(struct vfu *v)
{
	if (!v)
		return;
	v->conn = VFU_IDLE; /* no callback from here on */
	if (v->fd >= 0)
		drop(v, "server ends");
	if (v->path)
		unlink(v->path);
	if (v->listen_fd >= 0)
		close(v->listen_fd);
	if (v->wake_fd >= 0)
		close(v->wake_fd);
	vfu_irqs_done(&v->irqs);
	free(v->path);
	free(v->out);
	free(v);
}
