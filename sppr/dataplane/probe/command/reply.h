/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PROBE_COMMAND_REPLY_H
#define PROBE_COMMAND_REPLY_H

#include "probe/slot.h"

/* Write the replies to `probe result` and `probe histogram`. `name` is the name of the port. */
void probe_reply_result(const struct probe_slot *slot, const char *name, char *reply, size_t size);
void probe_reply_histogram(
		const struct probe_slot *slot, const char *name, char *reply, size_t size);

#endif
