/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_TYPES_PIPE_H
#define PORT_TYPES_PIPE_H

#include <stdbool.h>

#include "app.h"

/* pipe:N of the primary: an ethdev made of two of its rings, for a DPDK secondary that is not ours
 * and started later. It finds it by the name net_ring_spp_pipeN. Such a process knows nothing of
 * our sleeping workers, so who polls the ring it fills does not wait for a wake-up.
 */
bool pipe_is(const char *text);
bool pipe_add(struct app *app, const char *name, const char *rx, const char *tx);
bool pipe_del(struct app *app, const char *name);
void pipe_del_all(struct app *app);

#endif
