/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MEMIF_SERVER_H
#define MEMIF_SERVER_H

#include "memif/peer.h"

/* The socket of all memif ports of this process. It exists while there is a memif port.
 *
 * Its name is DIR/spp-memif.N.sock, with the secondary's id as N, or 0 for the primary. Clients can
 * use it whichever other processes have memif ports. SPP has one name only, DIR/spp-memif.sock.
 * Here this is a symbolic link to the socket of the first process that has a memif port. Other
 * processes do not take the link while that process lives.
 *
 * Call all functions on the control thread.
 */

/* Return 0, or -1 after logging the reason. */
int memif_server_add(struct memif_endpoint *endpoint, const char *dir, unsigned int number);
void memif_server_remove(struct memif_endpoint *endpoint);

#endif
