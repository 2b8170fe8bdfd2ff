/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "port/port_id.h"

static void
test_good(void)
{
	static const char *const good[] = { "phy:0", "ring:98", "vhost:3", "tap:12", "nullpmd:0",
		"pcap:9999", "memif:1", "ivshmem:6", "probe:31", "phy:0nq1", "tap:3nq0",
		"nullpmd:9999nq1023" };
	char text[UID_STRLEN];
	struct uid uid;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK(uid_parse(good[i], &uid) == 0);
		uid_format(uid, text);
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
	struct uid uid;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(uid_parse(bad[i], &uid) < 0);
}

static void
test_queues(void)
{
	char text[UID_STRLEN];
	struct uid uid, other;

	CHECK(uid_parse("nullpmd:9999nq1023", &uid) == 0 && uid.number == 9999 && uid.nq == 1024);
	uid_format_status(uid, text);
	CHECK_STR(text, "nullpmd:9999 nq 1023");
	CHECK(uid_parse("phy:0nq0", &uid) == 0 && uid_parse("phy:0", &other) == 0);
	CHECK(uid.nq == 1 && other.nq == 0 && !uid_equal(uid, other));
	uid_format_status(other, text);
	CHECK_STR(text, "phy:0");
}

static void
test_ethdev_names(void)
{
	struct uid uid;

	CHECK(uid_from_ethdev_name("net_tap3", &uid) == 0 && uid.type == PORT_TAP);
	CHECK(uid.number == 3);
	CHECK(uid_from_ethdev_name("eth_null0", &uid) == 0 && uid.type == PORT_NULL);
	CHECK(uid_from_ethdev_name("net_vhost1", &uid) == 0 && uid.type == PORT_VHOST);
	CHECK(uid_from_ethdev_name("0000:00:04.0", &uid) < 0);
	CHECK(uid_from_ethdev_name("net_ring0", &uid) < 0);
	CHECK(uid_from_ethdev_name("net_tap_a", &uid) < 0);
}

int
main(void)
{
	test_good();
	test_bad();
	test_queues();
	test_ethdev_names();
	return 0;
}
