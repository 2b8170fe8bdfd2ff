/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_WORKER_H
#define FORWARD_WORKER_H

#include <stdbool.h>

#include "port/port.h"

/* The worker lcores. Each worker follows its own patch table, which the control thread replaces. */

/* Start a worker on each worker lcore, up to most. */
int workers_start(unsigned int most);
void workers_stop(void);

/* Make the workers follow the patches of these ports, or none if not running. On return no worker
 * uses any other port. Return -1 without memory; then nothing changed. Cannot fail if running is
 * false.
 */
int workers_apply(const struct port_table *ports, bool running);

/* Wait until each worker has seen all earlier stores. Any thread may call it. */
void workers_synchronize(void);

/* Wake sleeping workers, so that they poll again. Any thread may call it. */
void workers_wake(void);

#endif
