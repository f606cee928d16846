/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssd.h - the emulated SSD without sockets: a device with an MMC and migratable functions
 *
 * Each function is served by one thread, which alone makes the calls below for it. The function
 * reaches its client's memory and interrupts through struct ssd_host, so a test can stand in for
 * the client with an array of bytes. Functions act on each other (Suspend, attach, state) only
 * through the MMC, whose thread waits until the other function has finished its command.
 */
#ifndef EMU_SSD_H
#define EMU_SSD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/fault.h"
#include "emu/ssd_profile.h"

struct ssd;
struct ssd_fn;

struct ssd_config {
	const char *dir;     /* the image; created when missing */
	const char *profile; /* name; has to be that of an image that exists */
	uint32_t functions; /* migratable functions, 4..32; an image keeps its number, 0: take it */
	uint64_t capacity_bytes;       /* 0: as the profile says; an image keeps its own */
	bool power_cycle;              /* the last stop was a loss of power */
	struct exp_fault_plan *faults; /* of the store; NULL outside tests */
};

/** ssd_open - lock and read (or create) the image; nothing is served yet */
int ssd_open(const struct ssd_config *config, struct ssd **ret,
	     struct exp_error *err) EXP_MUST_CHECK;

/** ssd_close - after every thread has ended; flushes the namespaces */
void ssd_close(struct ssd *ssd);

const struct ssd_profile *ssd_profile_of(const struct ssd *ssd);
unsigned int ssd_functions(const struct ssd *ssd); /* with the MMC, which is function 0 */
struct ssd_fn *ssd_function(struct ssd *ssd, unsigned int i);

/* How a function reaches its client. All but irq and wake are called on the function's thread. */
struct ssd_host {
	void *arg;
	/* [iova, iova+len) as one piece of memory, or NULL; valid until the thread serves the
	 * socket */
	void *(*dma)(void *arg, uint64_t iova, uint64_t len, bool write);
	/* copies that may cross pieces; false: not all of it is mapped, nothing was copied */
	bool (*dma_read)(void *arg, uint64_t iova, void *dst, uint64_t len);
	bool (*dma_write)(void *arg, uint64_t iova, const void *src, uint64_t len);
	bool (*bus_master)(void *arg);
	void (*irq)(void *arg, uint16_t vector); /* any thread */
	void (*wake)(void *arg);                 /* any thread: let ssd_fn_run() be called soon */
};

/** ssd_fn_bind - before the function's thread starts; @host is copied */
void ssd_fn_bind(struct ssd_fn *fn, const struct ssd_host *host);

/* BAR0 0000h-0FFFh, @len 1..8 and inside. Reserved bytes read 0 and lose what is written. */
uint64_t ssd_reg_read(struct ssd_fn *fn, uint32_t off, unsigned int len);
void ssd_reg_write(struct ssd_fn *fn, uint32_t off, uint64_t val, unsigned int len);

/** ssd_fn_doorbell - a doorbell that came as a message; the page holds the value already */
void ssd_fn_doorbell(struct ssd_fn *fn, uint32_t index, uint32_t val);

/** ssd_fn_reset - function level reset */
void ssd_fn_reset(struct ssd_fn *fn);

/** ssd_fn_connected - a client came with @doorbells: 1024 little-endian dwords, all zero */
void ssd_fn_connected(struct ssd_fn *fn, uint32_t *doorbells);

/** ssd_fn_disconnected - it went; the doorbell page must not be used any more on return */
void ssd_fn_disconnected(struct ssd_fn *fn);

enum ssd_work {
	SSD_OFF,  /* nothing will happen until a message or a wake-up comes */
	SSD_IDLE, /* a doorbell may be rung at any time */
	SSD_BUSY, /* commands were executed: call again at once */
};

/**
 * ssd_fn_run - look at the doorbells and execute a bounded number of commands
 * @now_us: monotonic; decides when late change-log markers are due
 */
enum ssd_work ssd_fn_run(struct ssd_fn *fn, uint64_t now_us);

/* What a command answered, for ssd_exec(). */
struct ssd_result {
	uint16_t status; /* SCT and SC with DNR as in ssd_spec.h */
	uint32_t dw0, dw1;
	bool parked; /* an Asynchronous Event Request: no completion yet */
};

/** ssd_exec - execute one admin command as if it had been fetched, without queues: for tests */
struct ssd_result ssd_exec(struct ssd_fn *fn, const uint8_t sqe[64], uint64_t now_us);

#endif
