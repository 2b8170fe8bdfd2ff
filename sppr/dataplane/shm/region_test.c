/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "shm/region.h"

static uint8_t *base;
static struct region host, guest;
static uint32_t seed = 1;
static uint8_t taken[REGION_FRAME_MAX]; /* the last received frame */

static uint32_t
random32(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static void
start(void)
{
	memset(base, 0, REGION_SIZE);
	CHECK(region_attach(&host, base, REGION_HOST) == 0);
	CHECK(region_attach(&guest, base, REGION_GUEST) == 0);
}

static bool
put(struct region_ring *out, uint32_t number, uint32_t len)
{
	uint8_t *frame;

	if (region_out_room(out, 1) == 0)
		return false;
	frame = region_out_frame(out, 0, len);
	memset(frame, (int)(number & 0xff), len);
	memcpy(frame, &number, sizeof(number));
	region_out_publish(out, 1);
	return true;
}

/* Receive a frame. Return its number, and its length in *len (0: none, or a bad one). */
static uint32_t
take(struct region_ring *in, uint32_t *len)
{
	uint32_t number = 0;

	*len = 0;
	if (region_in_count(in, 1) == 0)
		return 0;
	*len = region_in_copy(in, 0, taken, sizeof(taken));
	region_in_release(in, 1);
	if (*len > 0)
		memcpy(&number, taken, sizeof(number));
	return number;
}

static void
passes(struct region_ring *out, struct region_ring *in)
{
	uint32_t len;

	CHECK(put(out, 77, 60));
	CHECK(take(in, &len) == 77 && len == 60);
}

static void
test_order_and_room(void)
{
	uint32_t i, len, sent = 0, got = 0;

	start();
	for (i = 0; i < REGION_SLOTS; i++)
		CHECK(put(&host.out, i, 64));
	CHECK(!put(&host.out, i, 64));
	CHECK(region_in_count(&guest.in, 32) == 32);
	CHECK(region_in_count(&guest.in, 10000) == REGION_SLOTS);
	for (i = 0; i < REGION_SLOTS; i++)
		CHECK(take(&guest.in, &len) == i && len == 64);
	CHECK(region_in_count(&guest.in, 32) == 0);
	while (got < 100000) { /* both directions, all lengths, many wraps */
		for (i = random32() % 600; i > 0 && put(&guest.out, sent, 60 + sent % 1900); i--)
			sent++;
		for (i = random32() % 600; i > 0 && got < sent; i--, got++)
			CHECK(take(&host.in, &len) == got && len == 60 + got % 1900 &&
					taken[len - 1] == (got & 0xff));
	}
	CHECK(host.in.corrupt + guest.out.corrupt + host.in.bad == 0);
}

static void
test_indexes_run_over_the_end(void)
{
	uint32_t i, len;

	start();
	*host.out.mine = *host.out.theirs = UINT32_MAX - 5;
	CHECK(region_attach(&host, base, REGION_HOST) == 0);
	CHECK(region_attach(&guest, base, REGION_GUEST) == 0);
	for (i = 0; i < 1000; i++) {
		CHECK(put(&host.out, i, 64));
		CHECK(take(&guest.in, &len) == i);
	}
	CHECK(host.out.corrupt + guest.in.corrupt == 0);
}

static void
test_lengths_are_checked(void)
{
	static const uint32_t bad[] = { 0, 13, REGION_FRAME_MAX + 1, 65536, UINT32_MAX };
	uint8_t frame[100];
	uint32_t len;
	size_t i;

	start();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK(region_out_room(&guest.out, 1) == 1);
		region_out_frame(&guest.out, 0, bad[i]);
		region_out_publish(&guest.out, 1);
		take(&host.in, &len);
		CHECK(len == 0 && host.in.bad == i + 1);
	}
	CHECK(put(&guest.out, 1, 101)); /* valid, but larger than the reader's buffer */
	CHECK(region_in_count(&host.in, 1) == 1);
	CHECK(region_in_copy(&host.in, 0, frame, sizeof(frame)) == 0);
	region_in_release(&host.in, 1);
	passes(&guest.out, &host.in);
}

/* With an impossible index of the peer nothing is read, and both sides recover. */
static void
test_impossible_indexes(void)
{
	uint32_t len, i;

	start();
	passes(&guest.out, &host.in);
	*host.in.theirs = host.in.next + REGION_SLOTS + 1;
	CHECK(region_in_count(&host.in, 32) == 0 && host.in.corrupt == 1);
	/* the host's index is ahead: the guest publishes its own again, and the host follows */
	CHECK(!put(&guest.out, 1, 60) && guest.out.corrupt == 1);
	CHECK(region_in_count(&host.in, 32) == 0 && host.in.corrupt == 2);
	passes(&guest.out, &host.in);

	*host.out.theirs = host.out.next + 1; /* the guest claims more than was sent */
	CHECK(region_out_room(&host.out, 32) == 0 && host.out.corrupt == 1);
	CHECK(region_in_count(&guest.in, 1) == 0); /* a correct guest repairs it */
	passes(&host.out, &guest.in);

	*host.out.mine = 12345678; /* our published index is overwritten */
	CHECK(region_in_count(&guest.in, 32) == 0);
	CHECK(!put(&host.out, 1, 60));
	CHECK(region_in_count(&guest.in, 32) == 0);
	passes(&host.out, &guest.in);
	for (i = 0; i < REGION_SLOTS; i++)
		CHECK(put(&host.out, i, 60));
	CHECK(take(&guest.in, &len) == 0 && len == 60);
}

static void
test_either_side_restarts(void)
{
	uint32_t i, len;

	start();
	for (i = 0; i < 300; i++) {
		CHECK(put(&host.out, i, 64));
		CHECK(put(&guest.out, i, 64));
	}
	for (i = 0; i < 100; i++) {
		CHECK(take(&guest.in, &len) == i);
		CHECK(take(&host.in, &len) == i);
	}
	CHECK(region_attach(&host, base, REGION_HOST) == 0);
	CHECK(region_in_count(&host.in, 32) == 0); /* old frames are dropped */
	for (; i < 300; i++)			   /* the peer keeps its index */
		CHECK(take(&guest.in, &len) == i);
	passes(&host.out, &guest.in);
	passes(&guest.out, &host.in);
	CHECK(region_attach(&guest, base, REGION_GUEST) == 0);
	passes(&host.out, &guest.in);
	passes(&guest.out, &host.in);
	CHECK(host.in.corrupt + host.out.corrupt + guest.in.corrupt + guest.out.corrupt == 0);
}

static void
scribble(void)
{
	uint32_t i, *word = (uint32_t *)(void *)base;

	for (i = 0; i < 64; i++)
		word[random32() % (REGION_SIZE / 4)] = random32();
	for (i = 0; i < 4; i++) /* most often the four indexes */
		if (random32() % 2 != 0)
			word[(REGION_INDEXES * (1 + i / 2) + i % 2 * REGION_CONS_AT) / 4] =
					random32() % 2 ? random32()
						       : host.in.next + random32() % 600;
}

static void
test_scribbling(void)
{
	uint32_t turn, i, n, len;

	start();
	for (turn = 0; turn < 20000; turn++) {
		scribble();
		n = region_in_count(&host.in, 32);
		CHECK(n <= 32);
		for (i = 0; i < n; i++)
			CHECK(region_in_copy(&host.in, i, taken, sizeof(taken)) <= sizeof(taken));
		region_in_release(&host.in, n);
		put(&host.out, turn, 64);
	}
	CHECK(host.in.corrupt > 0 && host.out.corrupt > 0 && host.in.bad > 0);
	CHECK(region_attach(&guest, base, REGION_GUEST) == 0);
	for (i = 0; i < 4; i++) { /* both sides poll, and recover */
		region_out_room(&host.out, 1);
		region_in_count(&host.in, 1);
		region_out_room(&guest.out, 1);
		region_in_count(&guest.in, 1);
	}
	while (region_in_count(&host.in, 1) > 0)
		take(&host.in, &len);
	passes(&host.out, &guest.in);
	passes(&guest.out, &host.in);
}

static void
test_header(void)
{
	struct region_header header;

	start();
	memcpy(&header, base, sizeof(header));
	CHECK(memcmp(base, "SPPRRING", 8) == 0 && header.version == 1 && header.slots == 512);
	header.version = 2;
	memcpy(base, &header, sizeof(header));
	CHECK(region_attach(&guest, base, REGION_GUEST) < 0);
	CHECK(region_attach(&host, base, REGION_HOST) == 0); /* the host's index counts */
	CHECK(region_attach(&guest, base, REGION_GUEST) == 0);
}

int
main(void)
{
	base = aligned_alloc(4096, REGION_SIZE); /* ASan checks its end */
	CHECK(base != NULL);
	test_order_and_room();
	test_indexes_run_over_the_end();
	test_lengths_are_checked();
	test_impossible_indexes();
	test_either_side_restarts();
	test_scribbling();
	test_header();
	free(base);
	return 0;
}
