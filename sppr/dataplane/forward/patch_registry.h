/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_PATCH_REGISTRY_H
#define FORWARD_PATCH_REGISTRY_H

#include "app.h"

/* The patches of each process in shared memory, for telemetry of the primary. */

/* Take a free entry for this process. Without one, the process is missing in telemetry. */
void patch_registry_join(struct app *app);

/* Publish the current patches. The control thread calls it after each command. */
void patch_registry_update(const struct app *app);

/* Count the other live processes that use the shared memory. */
unsigned int patch_registry_count_others(struct shared *info);

/* Copy entry i consistently. Return false if no live process owns it. Any thread may call it. */
bool patch_registry_read(struct shared *info, unsigned int i, struct patch_registry_entry *copy);

#endif
