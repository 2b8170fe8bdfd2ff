/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "port/port_id.h"

static void
test_good(void)
{
	static const char *const good[] = { "phy:0", "ring:98", "vhost:3", "tap:12", "nullpmd:0",
		"pcap:9999", "memif:1", "ivshmem:6", "probe:31", "phy:0nq1", "tap:3nq0",
		"nullpmd:9999nq1023", "link:0", "link:0nq102" };
	char text[PORT_ID_STRLEN];
	struct port_id id;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK(port_id_parse(good[i], &id) == 0);
		port_id_format(id, text);
		CHECK_STR(text, good[i]);
	}
}

static void
test_bad(void)
{
	static const char *const bad[] = { "", ":", "ring", "ring:", ":3", "ring:x", "ring:-1",
		"ring:+1", "ring: 1", "ring:1 ", "ring:01", "ring:10000",
		"ring:99999999999999999999", "rings:1", "rin:1", "RING:1", "phy:0nq", "phy:0nq01",
		"phy:0nq1024", "phy:nq1", "ring:0nq1", "phy:0 nq 1", "phy:0nq1x",
		"phy:0nq99999999999", "ring:1:2", "pipe:0", "ring:1\n" };
	struct port_id id;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(port_id_parse(bad[i], &id) < 0);
}

static void
test_queues(void)
{
	char text[PORT_ID_STRLEN];
	struct port_id id, other;

	CHECK(port_id_parse("nullpmd:9999nq1023", &id) == 0 && id.number == 9999 && id.nq == 1024);
	port_id_format_status(id, text);
	CHECK_STR(text, "nullpmd:9999 nq 1023");
	CHECK(port_id_parse("phy:0nq0", &id) == 0 && port_id_parse("phy:0", &other) == 0);
	CHECK(id.nq == 1 && other.nq == 0 && !port_id_equal(id, other));
	port_id_format_status(other, text);
	CHECK_STR(text, "phy:0");
}

int
main(void)
{
	test_good();
	test_bad();
	test_queues();
	return 0;
}
