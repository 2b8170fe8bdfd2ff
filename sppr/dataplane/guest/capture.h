/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GUEST_CAPTURE_H
#define GUEST_CAPTURE_H

#include <stdbool.h>

#include "control/request.h"
#include "guest/vport.h"

/* Captures of a guest. It cannot share memory with the host, so the frames wait in a buffer of this
 * process, and the host reads them by commands over the connection to the controller:
 *
 *   capture start PORT rx|tx SNAPLEN
 *   capture read
 *   capture stop
 *
 * A capture that nobody reads for 5 s ends: its reader may have been killed.
 */

/* Whether any side is captured. Without a capture, forwarding checks only this. */
extern bool guest_capture_active;

/* Copy frames of a port. Those that do not fit into the buffer are counted. */
void guest_capture_frames(
		const struct port *port, bool tx, const struct frame *frames, unsigned int n);

/* End the captures of a port that is deleted. */
void guest_capture_forget(const struct port *port);

void guest_capture_command(struct request *r);

#endif
