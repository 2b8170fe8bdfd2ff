/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MEMIF_SOCKET_H
#define MEMIF_SOCKET_H

#include <stdbool.h>

#include "memif/wire.h"

enum memif_received {
	MEMIF_MESSAGE,
	MEMIF_NOTHING, /* nothing there now */
	MEMIF_INVALID, /* not a message */
	MEMIF_CLOSED,
};

/* Never block. *fd is what came with the message, the caller's to close; -1: nothing came. */
enum memif_received memif_receive(int sock, struct memif_message *message, int *fd);
/* false: it is closed, or the peer does not read. */
bool memif_send(int sock, const struct memif_message *message);

/* A text of the peer's, with what could be no name replaced. */
void memif_text(char *to, unsigned int size, const char *from, unsigned int from_size);

#endif
