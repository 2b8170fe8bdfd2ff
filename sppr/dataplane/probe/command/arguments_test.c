/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "base/log.h"
#include "control/tokens.h"
#include "probe/command/arguments.h"

static struct probe_run run;

static bool
start(const char *text)
{
	char copy[512], *word[32];

	snprintf(copy, sizeof(copy), "%s", text);
	return probe_parse_start(&run, 3, word, tokens_split(copy, word, 32));
}

static bool
expect(const char *text, uint16_t *flow, uint32_t *key)
{
	char copy[512], *word[32];

	snprintf(copy, sizeof(copy), "%s", text);
	return probe_parse_expect(flow, key, word, tokens_split(copy, word, 32));
}

static void
test_defaults(void)
{
	static const uint8_t src[6] = { 2, 'S', 'P', 'P', 1, 3 },
			     dst[6] = { 2, 'S', 'P', 'P', 2, 3 };

	CHECK(start("flow=0 key=0"));
	CHECK(run.rate == 0 && run.count == 0 && run.time_ms == 0);
	CHECK(run.shape.size == 64 && !run.shape.tcp && run.shape.vlan == 0);
	CHECK(memcmp(run.shape.src_mac, src, 6) == 0 && memcmp(run.shape.dst_mac, dst, 6) == 0);
	CHECK(run.shape.src_ip == 0xc6120001 && run.shape.dst_ip == 0xc6130001);
	CHECK(start("flow=0 key=0 proto=tcp") && run.shape.size == 72);
	CHECK(start("flow=0 key=0 proto=tcp vlan=1") && run.shape.size == 76);
}

static void
test_all(void)
{
	static const uint8_t src[6] = { 2, 0, 0, 0, 0xab, 1 },
			     dst[6] = { 255, 255, 255, 255, 255, 255 };

	CHECK(start("key=4294967295 flow=65535 rate=1000000000 count=5 time=4294967295 size=9000 "
		    "proto=tcp vlan=4094 src_mac=02:00:00:00:aB:01 dst_mac=ff:ff:ff:ff:ff:ff "
		    "src_ip=0.0.0.0 dst_ip=255.255.255.255 src_port=0 dst_port=65535"));
	CHECK(run.shape.key == UINT32_MAX && run.shape.flow == 65535 && run.rate == 1000000000);
	CHECK(run.count == 5 && run.time_ms == UINT32_MAX && run.shape.size == 9000);
	CHECK(run.shape.tcp && run.shape.vlan == 4094);
	CHECK(memcmp(run.shape.src_mac, src, 6) == 0 && memcmp(run.shape.dst_mac, dst, 6) == 0);
	CHECK(run.shape.src_ip == 0 && run.shape.dst_ip == UINT32_MAX);
	CHECK(run.shape.src_port == 0 && run.shape.dst_port == 65535);
	CHECK(run.window == 0 && !run.imix);
	CHECK(start("flow=1 key=1 window=1000000 peer=31 size=imix"));
	CHECK(run.window == 1000000 && run.peer == 31 && run.imix && run.shape.size == 64);
	CHECK(start("flow=1 key=1 window=1") && run.peer == 3);
}

static void
test_bad(void)
{
	static const char *const bad[] = { "x", "=", "=1", "flow", "flow=1", "rate=-1", "rate=+1",
		"rate=1.5", "rate=0x10", "rate=01", "rate=", "rate=1x", "rate=1000000001",
		"rate=18446744073709551616", "rate=99999999999999999999999", "count=-1", "time=x",
		"time=4294967296", "count=1000000000000001", "size=63", "size=9001", "size=64x",
		"proto=icmp", "proto=", "vlan=0", "vlan=4095", "src_mac=", "src_mac=02:00:00:00:00",
		"src_mac=02:00:00:00:00:01:02", "src_mac=02-00-00-00-00-01", "src_mac=0g:0:0:0:0:0",
		"src_mac=01:00:00:00:00:01", "dst_mac=2:0:0:0:0:1", "src_ip=1.2.3",
		"src_ip=1.2.3.256", "src_ip=1.2.3.4.5", "src_ip=1.2.3.4x", "src_ip=01.2.3.4",
		"src_ip=", "dst_ip=a.b.c.d", "dst_port=65536", "dst_port=", "rate=1 rate=1",
		"size=64 proto=tcp", "size=75 proto=tcp vlan=5", "Rate=1", "rates=1", "rat=1",
		"window=0", "window=1000001", "peer=32", "peer=-1", "size=imi", "size=imixx" };
	char text[128];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "flow=1 key=2 %s", bad[i]);
		log_clear_last();
		CHECK(!start(text) && *log_last() != '\0');
	}
	CHECK(!start("") && !start("flow=1") && !start("key=1"));
	CHECK(!start("flow=65536 key=1") && !start("flow=1 key=4294967296"));
	CHECK(!start("flow=1 key=2 size=71 proto=tcp"));
	CHECK_STR(strstr(log_last(), "size="), "size=71: a tcp frame needs 72 bytes or more");
}

static void
test_expect(void)
{
	uint16_t flow;
	uint32_t key;

	CHECK(expect("key=7 flow=8", &flow, &key) && flow == 8 && key == 7);
	CHECK(!expect("key=7", &flow, &key) && !expect("", &flow, &key));
	CHECK(!expect("key=7 flow=8 rate=1", &flow, &key));
}

int
main(void)
{
	test_defaults();
	test_all();
	test_bad();
	test_expect();
	return 0;
}
