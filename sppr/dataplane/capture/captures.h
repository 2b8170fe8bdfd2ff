/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CAPTURE_CAPTURES_H
#define CAPTURE_CAPTURES_H

#include "app.h"
#include "capture/request.h"

/* The captures of this process. Call all functions on the control thread. */

#define CAPTURES_MAX 64
#define CAPTURES_MEMORY_MAX (256ULL << 20)

/* Start a capture for an owner. Return NULL, or the reason of a failure. The caller closes *fd, the
 * memfd.
 */
const char *captures_start(
		struct app *app, const struct capture_request *request, const void *owner, int *fd);

/* End the captures of an owner; NULL: all captures. */
void captures_end_of_owner(struct app *app, const void *owner);

/* End the captures of a port that no worker uses any more. */
void captures_end_of_port(const struct port *port);

#endif
