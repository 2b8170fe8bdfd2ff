/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CAPTURE_REQUEST_H
#define CAPTURE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "port/port_id.h"

/* `capture PORT rx|tx SNAPLEN RINGBYTES`, one packet without a newline. The reply is `ok` with the
 * memfd, or `error: REASON`.
 */
#define CAPTURE_REQUEST_MAX 96
#define CAPTURE_REPLY_MAX 256

struct capture_request {
	struct port_id port;
	bool tx;
	uint32_t snaplen;
	uint32_t ring_size;
};

/* Return NULL, or the reason of a refusal. text has size bytes and no NUL at its end. */
const char *capture_request_parse(struct capture_request *request, const char *text, size_t size);

#endif
