/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_WORKER_H
#define FORWARD_WORKER_H

#include <stdbool.h>

#include "port/port.h"

/* The worker lcores. Each follows a table of its own that the control thread replaces. */

int workers_start(void);
void workers_stop(void);

/* Make the workers follow the patches of these ports (none when not running). On return no
 * worker uses anything that is not in them any more. -1 when there is no memory: nothing changed.
 * With running false it cannot fail.
 */
int workers_apply(const struct port_table *ports, bool running);

/* Wait until each worker has seen everything stored before. From any thread. */
void workers_synchronize(void);

/* Let sleeping workers look again. From any thread. */
void workers_wake(void);

#endif
