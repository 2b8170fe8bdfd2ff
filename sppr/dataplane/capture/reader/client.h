/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CAPTURE_READER_CLIENT_H
#define CAPTURE_READER_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

/* The client of the capture service, see capture/server.h. */

/* Return a connection, or -1 with errno. */
int capture_client_connect(const char *path);

/* Send a request. Return the memfd of the ring, or -1 with the reason in why. */
int capture_client_request(int sock, const char *port, bool tx, uint32_t snaplen,
		uint32_t ring_size, char *why, unsigned int size);

/* Return whether the service has closed the connection. Does not block. */
bool capture_client_is_closed(int sock);

#endif
