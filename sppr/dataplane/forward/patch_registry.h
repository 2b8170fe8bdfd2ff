/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_PATCH_REGISTRY_H
#define FORWARD_PATCH_REGISTRY_H

#include "app.h"

/* What each process is patched, kept in the shared memory so that the primary can tell it to
 * telemetry without asking anybody.
 */

/* Takes a free entry for this process; none left costs only the telemetry. */
void patch_registry_join(struct app *app);

/* After each change, by the control thread. */
void patch_registry_update(const struct app *app);

/* How many other live processes work in the shared memory. */
unsigned int patch_registry_count_others(struct shared *info);

/* A copy of entry i as it was at one moment; false when no live process has it. From any thread. */
bool patch_registry_read(struct shared *info, unsigned int i, struct patch_registry_entry *copy);

#endif
