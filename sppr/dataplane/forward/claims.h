/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_CLAIMS_H
#define FORWARD_CLAIMS_H

#include "port/port.h"

/* A side of a port in shared memory has one user among all processes. A process claims the sides
 * that its patches use.
 */

/* Claim the sides of all patches. Return -1 after logging the owner of a side that another process
 * has; claims that were taken stay until claims_release_unused().
 */
int claims_take_all(const struct port_table *ports);

/* Release the sides that no patch uses. */
void claims_release_unused(const struct port_table *ports);

#endif
