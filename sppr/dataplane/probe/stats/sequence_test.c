/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "probe/stats/sequence.h"

static struct probe_sequence s;

static enum probe_order
take(uint32_t number)
{
	return probe_sequence_take(&s, number);
}

static void
test_order(void)
{
	probe_sequence_reset(&s);
	CHECK(s.highest == -1);
	CHECK(take(0) == PROBE_IN_ORDER && take(1) == PROBE_IN_ORDER);
	CHECK(take(1) == PROBE_DUPLICATE && take(0) == PROBE_DUPLICATE);
	CHECK(take(4) == PROBE_IN_ORDER && s.highest == 4);
	CHECK(take(3) == PROBE_REORDERED && take(3) == PROBE_DUPLICATE);
	CHECK(take(2) == PROBE_REORDERED && take(5) == PROBE_IN_ORDER);
}

/* Number n uses the same bit as n + PROBE_WINDOW. */
static void
test_window(void)
{
	uint32_t i;

	probe_sequence_reset(&s);
	for (i = 0; i < 3 * PROBE_WINDOW; i++)
		CHECK(take(i) == PROBE_IN_ORDER);
	CHECK(take(2 * PROBE_WINDOW) == PROBE_DUPLICATE);
	CHECK(take(2 * PROBE_WINDOW - 1) == PROBE_LATE);
	CHECK(take(3 * PROBE_WINDOW + 200) == PROBE_IN_ORDER);
	for (i = 0; i < 200; i++)
		CHECK(take(3 * PROBE_WINDOW + i) == PROBE_REORDERED);
	CHECK(take(5 * PROBE_WINDOW) == PROBE_IN_ORDER);
	CHECK(take(5 * PROBE_WINDOW - 1) == PROBE_REORDERED);
	CHECK(take(4 * PROBE_WINDOW) == PROBE_LATE);
	CHECK(take(4 * PROBE_WINDOW + 1) == PROBE_REORDERED);
}

/* Gaps of all lengths and positions in a word, over a full bitmap. */
static void
test_gaps(void)
{
	uint32_t next = 0, gap, i;

	probe_sequence_reset(&s);
	for (; next < PROBE_WINDOW; next++)
		CHECK(take(next) == PROBE_IN_ORDER);
	for (gap = 1; gap < 300; gap++) {
		CHECK(take(next + gap) == PROBE_IN_ORDER);
		for (i = 0; i < gap; i++)
			CHECK(take(next + i) == PROBE_REORDERED);
		next += gap + 1;
	}
	CHECK(take(next - PROBE_WINDOW) == PROBE_DUPLICATE);
}

static void
test_wrap(void)
{
	probe_sequence_reset(&s);
	CHECK(take(UINT32_MAX - 1) == PROBE_IN_ORDER);
	CHECK(take(0) == PROBE_IN_ORDER && s.highest == 1LL << 32);
	CHECK(take(UINT32_MAX) == PROBE_REORDERED && take(UINT32_MAX) == PROBE_DUPLICATE);
	CHECK(take(1) == PROBE_IN_ORDER);
	probe_sequence_reset(&s);
	CHECK(take(3) == PROBE_IN_ORDER && take(UINT32_MAX) == PROBE_LATE);
}

int
main(void)
{
	test_order();
	test_window();
	test_gaps();
	test_wrap();
	return 0;
}
