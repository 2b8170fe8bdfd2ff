/* SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>

#include "base/check.h"
#include "forward/lcore_assign.h"

static const char a[1], b[1], c[1], d[1], p[1], q[1], r[1], s[1], t[1];

static void
test_one_destination_one_worker(void)
{
	struct lcore_assign_item items[] = { { p, a, -1, -1, 0 }, { q, b, -1, -1, 0 },
		{ r, a, -1, -1, 0 }, { s, c, -1, -1, 0 }, { t, a, -1, -1, 0 } };

	lcore_assign(items, 5, 2);
	CHECK(items[0].worker == items[2].worker && items[0].worker == items[4].worker);
	CHECK(items[1].worker != items[0].worker && items[3].worker != items[0].worker);
}

/* p has two destinations, and q shares one of them: all three links need one worker. */
static void
test_one_source_one_worker(void)
{
	struct lcore_assign_item items[] = { { q, b, -1, -1, 0 }, { r, c, -1, -1, 0 },
		{ p, a, -1, -1, 0 }, { p, b, -1, -1, 0 } };

	lcore_assign(items, 4, 2);
	CHECK(items[2].worker == items[3].worker && items[3].worker == items[0].worker);
	CHECK(items[1].worker != items[0].worker);
}

static void
test_stays(void)
{
	struct lcore_assign_item items[] = { { p, a, 1, -1, 0 }, { q, b, 1, -1, 0 },
		{ r, c, -1, -1, 0 }, { s, d, -1, -1, 0 } };

	lcore_assign(items, 4, 3);
	CHECK(items[0].worker == 1 && items[1].worker == 1);
	CHECK(items[2].worker != 1 && items[3].worker != 1);
	CHECK(items[2].worker != items[3].worker);
}

static void
test_pinned_goes_first(void)
{
	struct lcore_assign_item items[] = { { p, a, 0, -1, 0 }, { q, a, 0, 2, 0 },
		{ r, c, 1, 0, 0 } };

	lcore_assign(items, 3, 3);
	CHECK(items[0].worker == 2 && items[1].worker == 2 && items[2].worker == 0);
}

static void
test_one_worker_takes_all(void)
{
	struct lcore_assign_item items[] = { { p, a, -1, -1, 0 }, { q, b, 0, -1, 0 },
		{ r, c, -1, -1, 0 } };

	lcore_assign(items, 3, 1);
	CHECK(items[0].worker == 0 && items[1].worker == 0 && items[2].worker == 0);
	lcore_assign(NULL, 0, 1);
}

int
main(void)
{
	test_one_destination_one_worker();
	test_one_source_one_worker();
	test_stays();
	test_pinned_goes_first();
	test_one_worker_takes_all();
	return 0;
}
