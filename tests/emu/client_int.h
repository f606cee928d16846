/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_int.h - the conversation below the calls of client.h
 */
#ifndef EMU_CLIENT_INT_H
#define EMU_CLIENT_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "emu/client.h"

#define CL_HEADER   16
#define CL_MAX_BODY 8192 /* longest answer that this client ever asks for */
#define CL_MAX_FDS  16
#define CL_WAIT_MS  10000

enum cl_cmd {
	CL_VERSION = 1,
	CL_DMA_MAP = 2,
	CL_DMA_UNMAP = 3,
	CL_GET_INFO = 4,
	CL_REGION_INFO = 5,
	CL_IRQ_INFO = 7,
	CL_SET_IRQS = 8,
	CL_REGION_READ = 9,
	CL_REGION_WRITE = 10,
	CL_RESET = 13,
};

struct cl_sock {
	int fd;
	uint16_t next_id;
	_Atomic bool dead;
};

struct cl_request {
	enum cl_cmd cmd;
	const void *body;
	size_t len;
	const int *fds; /* borrowed */
	size_t n_fds;
};

/* Owned by the caller: @fd is to be closed when it is not -1. */
struct cl_answer {
	uint8_t body[CL_MAX_BODY];
	size_t len;
	int fd;
};

int cl_sock_connect(struct cl_sock *s, const char *dir, struct exp_error *err) EXP_MUST_CHECK;
void cl_sock_close(struct cl_sock *s);
/* One request and its answer; serialised by the caller. @a is filled on success only. */
int cl_sock_ask(struct cl_sock *s, const struct cl_request *q, struct cl_answer *a,
		struct exp_error *err) EXP_MUST_CHECK;

struct emu_client {
	pthread_mutex_t lock;
	struct cl_sock sock;
	uint32_t max_fds; /* the server takes so many in one message */
	uint16_t vectors;
	uint16_t msix_ctrl; /* offset of message control in configuration space, 0: no MSI-X */
	uint32_t *page;     /* doorbells, NULL: by message */
	void *map;          /* what mmap() returned */
	size_t map_len;
};

#endif
