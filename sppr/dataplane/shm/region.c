/* SPDX-License-Identifier: BSD-3-Clause */
#include "shm/region.h"

static uint32_t
load(const uint32_t *index)
{
	return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

static void
publish(struct region_ring *ring)
{
	__atomic_store_n(ring->mine, ring->next, __ATOMIC_RELEASE);
}

static void
ring_at(struct region_ring *ring, uint8_t *base, unsigned int number, bool producer)
{
	uint8_t *page = base + REGION_INDEXES * (1 + number);
	uint32_t *prod = (uint32_t *)(void *)page;
	uint32_t *cons = (uint32_t *)(void *)(page + REGION_CONS_AT);

	memset(ring, 0, sizeof(*ring));
	ring->mine = producer ? prod : cons;
	ring->theirs = producer ? cons : prod;
	ring->slots = base + REGION_SLOTS_AT * (1 + number);
	/* A producer continues at the index of its predecessor; only differences count. A consumer
	 * starts empty, because waiting frames are older than itself.
	 */
	ring->next = load(prod);
	publish(ring);
}

int
region_attach(struct region *region, void *base, enum region_side side)
{
	static const struct region_header ours = { REGION_MAGIC, REGION_VERSION, REGION_SLOTS,
		REGION_SLOT_SIZE };
	struct region_header found;

	memcpy(&found, base, sizeof(found));
	if (side == REGION_HOST || found.magic == 0)
		memcpy(base, &ours, sizeof(ours));
	else if (found.magic == REGION_MAGIC &&
			(found.version != REGION_VERSION || found.slots != REGION_SLOTS ||
					found.slot_size != REGION_SLOT_SIZE))
		return -1;
	ring_at(&region->out, base, side, true);
	ring_at(&region->in, base, 1 - side, false);
	return 0;
}

/* The producer's index is always right. A consumer that finds it impossible drops all frames and
 * continues from there. A producer that finds the consumer's index impossible publishes its own
 * index again and waits.
 */
uint32_t
region_in_count(struct region_ring *in, uint32_t max)
{
	uint32_t theirs = load(in->theirs);
	uint32_t n = theirs - in->next;

	if (n > REGION_SLOTS) {
		in->corrupt++;
		in->next = theirs;
		publish(in);
		return 0;
	}
	/* the peer overwrote our index, and would wait forever */
	if (n == 0 && __atomic_load_n(in->mine, __ATOMIC_RELAXED) != in->next)
		publish(in);
	return n < max ? n : max;
}

void
region_in_release(struct region_ring *in, uint32_t n)
{
	in->next += n;
	publish(in);
}

uint32_t
region_out_room(struct region_ring *out, uint32_t max)
{
	uint32_t used = out->next - load(out->theirs);

	if (used > REGION_SLOTS) {
		out->corrupt++;
		publish(out);
		return 0;
	}
	return REGION_SLOTS - used < max ? REGION_SLOTS - used : max;
}

void
region_out_publish(struct region_ring *out, uint32_t n)
{
	out->next += n;
	publish(out);
}
