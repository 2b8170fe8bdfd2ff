/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CAPTURE_SERVER_H
#define CAPTURE_SERVER_H

#include "app.h"

/* The capture service of this process: a socket at SOCK_DIR/spp-capture.N.sock, N is the id of the
 * secondary, or 0 for the primary. spp_capture connects to it and names ports (capture/request.h).
 * A capture ends with its connection.
 *
 * Call all functions on the control thread.
 */

/* Start the service. A process without it still forwards. */
void capture_server_start(struct app *app);

/* Listen at the name of the current id, unless the service does already. Call it when the id
 * changes, and once a second: another process may have the name for a while. Does nothing before
 * the start.
 */
void capture_server_update(void);

/* End all captures and remove the socket. */
void capture_server_close(void);

#endif
