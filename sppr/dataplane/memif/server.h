/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MEMIF_SERVER_H
#define MEMIF_SERVER_H

#include "memif/peer.h"

/* The socket all memif ports of this process are reached at. It is there while there is a port.
 *
 * Its name is DIR/spp-memif.N.sock, N the secondary's id, 0 for the primary: peers find it whoever
 * else has memif ports. SPP knows one name only, DIR/spp-memif.sock; this is a symbolic link to the
 * first of us who came, and is not taken from a living one.
 *
 * All of it on the control thread.
 */

/* 0, or -1 after saying why. */
int memif_server_add(struct memif_endpoint *endpoint, const char *dir, unsigned int number);
void memif_server_remove(struct memif_endpoint *endpoint);

#endif
