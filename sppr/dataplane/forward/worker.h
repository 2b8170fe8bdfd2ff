/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_H
#define FORWARD_H

#include <stdbool.h>

#include "port/port.h"

/* The worker lcores. Each follows a table of its own that the control thread replaces. */

int forward_start(void);
void forward_stop(void);

/* Make the workers follow the patches of these ports (none when not running). On return no
 * worker uses anything that is not in them any more. -1 when there is no memory: nothing changed.
 * With running false it cannot fail.
 */
int forward_apply(const struct port_table *ports, bool running);

/* Wait until each worker has seen everything stored before. From any thread. */
void forward_synchronize(void);

/* Let sleeping workers look again. From any thread. */
void forward_wake(void);

#endif
