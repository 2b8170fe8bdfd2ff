/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_OWNER_H
#define SHM_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

#include "shm/process_id.h"

/* A word in shared memory names the process that owns something: a side of a port, an lcore id, a
 * probe. A killed process stays in its words until another process claims them.
 */

/* Make this process the owner. Return 0, the pid of the live process that is the owner, or -1 if
 * /proc is not mounted: then no process can be identified. Set *stale if the former owner died
 * without a release.
 */
pid_t owner_claim(process_id *slot, bool *stale);
void owner_release(process_id *slot);
bool owner_alive(process_id process);

#endif
