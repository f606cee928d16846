/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_handlers.h - one function per verb of the control API; the table is in control_routes.c
 *
 * Each answers its request exactly once, now or later. Loop thread only.
 */
#ifndef EXPD_CONTROL_HANDLERS_H
#define EXPD_CONTROL_HANDLERS_H

#include "control_server.h"

extern const expd_handler expd_handlers[EXP_API_VERB_N];

#define HANDLER(name)                                                    \
	void expd_handle_##name(struct expd *x, struct expd_request *rq, \
				const struct exp_api_call *call)

/* control_exports.c */
HANDLER(exports);
HANDLER(export);
HANDLER(export_create);
HANDLER(export_delete);

#undef HANDLER

#endif
