/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chan_priv.h - how a channel hands its connection to a stream. Inside lib/tls only.
 */
#ifndef EXP_TLS_CHAN_PRIV_H
#define EXP_TLS_CHAN_PRIV_H

#include "tls/chan.h"
#include "tls/conn.h"

/** exp_chan_take_conn - the connection is the caller's; @c is of no use but to be freed */
struct exp_tls_conn *exp_chan_take_conn(struct exp_chan *c);

#endif
