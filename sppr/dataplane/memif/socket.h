/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MEMIF_SOCKET_H
#define MEMIF_SOCKET_H

#include <stdbool.h>

#include "memif/wire.h"

enum memif_received {
	MEMIF_MESSAGE,
	MEMIF_NOTHING, /* no message now */
	MEMIF_INVALID, /* not a valid message */
	MEMIF_CLOSED,
};

/* Does not block. The caller must close *fd, which came with the message (-1: none). */
enum memif_received memif_receive(int sock, struct memif_message *message, int *fd);
/* Return false if the socket is closed, or the peer does not read. */
bool memif_send(int sock, const struct memif_message *message);

/* Copy a text of the peer. Replaces characters that are not printable. */
void memif_text(char *to, unsigned int size, const char *from, unsigned int from_size);

#endif
