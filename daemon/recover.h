/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover.h - at start: the records against what the drives say, before anybody is listened to
 */
#ifndef EXPD_RECOVER_H
#define EXPD_RECOVER_H

struct expd;

/**
 * expd_recover - every drive was tried: see that what this host owns runs, take up the open jobs
 * @done: on the loop, once the drives have answered
 */
void expd_recover(struct expd *x, void (*done)(struct expd *x));

#endif
