/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "forward/lcore_assign.h"

static const char a[1], b[1], c[1], d[1];

static void
test_one_destination_one_worker(void)
{
	struct lcore_assign_item items[] = { { a, -1, 0 }, { b, -1, 0 }, { a, -1, 0 }, { c, -1, 0 },
		{ a, -1, 0 } };

	lcore_assign(items, 5, 2);
	CHECK(items[0].worker == items[2].worker && items[0].worker == items[4].worker);
	CHECK(items[1].worker != items[0].worker && items[3].worker != items[0].worker);
}

static void
test_stays(void)
{
	struct lcore_assign_item items[] = { { a, 1, 0 }, { b, 1, 0 }, { c, -1, 0 }, { d, -1, 0 } };

	lcore_assign(items, 4, 3);
	CHECK(items[0].worker == 1 && items[1].worker == 1);
	CHECK(items[2].worker != 1 && items[3].worker != 1);
	CHECK(items[2].worker != items[3].worker);
}

static void
test_one_worker_takes_all(void)
{
	struct lcore_assign_item items[] = { { a, -1, 0 }, { b, 0, 0 }, { c, -1, 0 } };

	lcore_assign(items, 3, 1);
	CHECK(items[0].worker == 0 && items[1].worker == 0 && items[2].worker == 0);
	lcore_assign(items, 0, 1);
}

int
main(void)
{
	test_one_destination_one_worker();
	test_stays();
	test_one_worker_takes_all();
	return 0;
}
