/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "forward/patch_registry.h"

#define READ_TRIES 100

static struct roster_entry *own;

void
roster_join(struct app *app)
{
	struct shared *info = app->view.info;
	bool inherited;
	unsigned int i;

	for (i = 0; i < ROSTER_SIZE && own == NULL; i++)
		if (shared_hold(&info->roster[i].process, &inherited) == 0)
			own = &info->roster[i];
	roster_update(app);
}

/* Odd while it is being written: a reader that saw the number change reads again. */
void
roster_update(const struct app *app)
{
	unsigned int i, n = 0;

	if (own == NULL)
		return;
	__atomic_store_n(&own->sequence, own->sequence | 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	own->id = app->cfg.primary ? 0 : app->cfg.client_id;
	own->running = app->running;
	for (i = 0; i < app->ports.n && n < ROSTER_PATCHES; i++) {
		const struct port *p = app->ports.port[i];

		if (p->patched_to == NULL)
			continue;
		own->patch[n].src = p->uid;
		own->patch[n++].dst = p->patched_to->uid;
	}
	own->npatches = n;
	__atomic_store_n(&own->sequence, own->sequence + 1, __ATOMIC_RELEASE);
}

unsigned int
roster_others(struct shared *info)
{
	unsigned int i, n = 0;

	for (i = 0; i < ROSTER_SIZE; i++)
		if (&info->roster[i] != own &&
				shared_alive(__atomic_load_n(
						&info->roster[i].process, __ATOMIC_ACQUIRE)))
			n++;
	return n;
}

bool
roster_read(struct shared *info, unsigned int i, struct roster_entry *copy)
{
	const struct roster_entry *entry = &info->roster[i];
	uint32_t before, after, tries;

	if (!shared_alive(__atomic_load_n(&entry->process, __ATOMIC_ACQUIRE)))
		return false;
	for (tries = 0; tries < READ_TRIES; tries++) {
		before = __atomic_load_n(&entry->sequence, __ATOMIC_ACQUIRE);
		memcpy(copy, entry, sizeof(*copy));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		after = __atomic_load_n(&entry->sequence, __ATOMIC_RELAXED);
		if (before == after && (before & 1) == 0)
			return copy->npatches <= ROSTER_PATCHES;
	}
	return false; /* killed while writing */
}
