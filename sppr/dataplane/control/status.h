/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_STATUS_H
#define CONTROL_STATUS_H

#include <stddef.h>
#include <stdint.h>

#include "app.h"
#include "control/json.h"

void status_nfv(const struct app *app, char *reply, size_t size);
void status_primary(const struct app *app, char *reply, size_t size);
void status_clear(struct app *app);

/* Print the counters for --disp-stats. */
void status_print(const struct app *app);

#ifndef SPP_GUEST
/* Add `counters`, an array with those of each port. */
void status_put_counters(struct json *w, const struct port_table *ports);
#endif

/* Open an object with the counters of a port. The caller ends it. The data plane and the guest use
 * the same keys.
 */
static inline void
status_open_counters(struct json *w, const char *port, uint64_t rx, uint64_t rx_drop, uint64_t tx,
		uint64_t tx_drop)
{
	json_object(w, NULL);
	json_string(w, "port", port);
	json_uint(w, "rx", rx);
	json_uint(w, "rx_drop", rx_drop);
	json_uint(w, "tx", tx);
	json_uint(w, "tx_drop", tx_drop);
}

#endif
