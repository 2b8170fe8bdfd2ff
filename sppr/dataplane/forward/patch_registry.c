/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "forward/patch_registry.h"
#include "shm/owner.h"

#define READ_TRIES 100

static struct patch_registry_entry *own;

void
patch_registry_join(struct app *app)
{
	struct shared *info = app->view.info;
	bool stale;
	unsigned int i;

	for (i = 0; i < PATCH_REGISTRY_SIZE && own == NULL; i++)
		if (owner_claim(&info->patch_registry[i].process, &stale) == 0)
			own = &info->patch_registry[i];
	patch_registry_update(app);
}

/* The sequence number is odd during an update. A reader that sees it change reads again. */
void
patch_registry_update(const struct app *app)
{
	const struct port *src, *dst;
	unsigned int i, k, n = 0;

	if (own == NULL)
		return;
	__atomic_store_n(&own->sequence, own->sequence | 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	own->id = app->cfg.primary ? 0 : app->cfg.client_id;
	own->running = app->running;
	for (i = 0; i < app->ports.n; i++) {
		src = app->ports.port[i];
		for (k = 0; (dst = port_destination(src, k)) != NULL; k++) {
			if (n == PATCH_REGISTRY_PATCHES)
				break;
			own->patch[n].src = src->id;
			own->patch[n++].dst = dst->id;
		}
	}
	own->npatches = n;
	__atomic_store_n(&own->sequence, own->sequence + 1, __ATOMIC_RELEASE);
}

unsigned int
patch_registry_count_others(struct shared *info)
{
	unsigned int i, n = 0;

	for (i = 0; i < PATCH_REGISTRY_SIZE; i++)
		if (&info->patch_registry[i] != own &&
				owner_alive(__atomic_load_n(&info->patch_registry[i].process,
						__ATOMIC_ACQUIRE)))
			n++;
	return n;
}

bool
patch_registry_read(struct shared *info, unsigned int i, struct patch_registry_entry *copy)
{
	const struct patch_registry_entry *entry = &info->patch_registry[i];
	uint32_t before, after, tries;

	if (!owner_alive(__atomic_load_n(&entry->process, __ATOMIC_ACQUIRE)))
		return false;
	for (tries = 0; tries < READ_TRIES; tries++) {
		before = __atomic_load_n(&entry->sequence, __ATOMIC_ACQUIRE);
		memcpy(copy, entry, sizeof(*copy));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		after = __atomic_load_n(&entry->sequence, __ATOMIC_RELAXED);
		if (before == after && (before & 1) == 0)
			return copy->npatches <= PATCH_REGISTRY_PATCHES;
	}
	return false; /* the process was killed during an update */
}
