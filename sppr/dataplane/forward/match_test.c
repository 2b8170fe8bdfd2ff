/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "base/log.h"
#include "forward/match.h"

static bool
parse(struct match *match, const char *line)
{
	char text[256], *words[8], *save = NULL, *t;
	unsigned int n = 0;

	snprintf(text, sizeof(text), "%s", line);
	for (t = strtok_r(text, " ", &save); t != NULL; t = strtok_r(NULL, " ", &save))
		words[n++] = t;
	return match_parse(match, words, n);
}

static void
test_good(void)
{
	static const char *const lines[] = { "vlan=1", "vlan=4094", "dst_mac=02:00:00:00:00:21",
		"src_mac=ff:ff:ff:ff:ff:ff", "vlan=100 dst_mac=0a:0b:0c:0d:0e:0f" };
	char text[MATCH_STRLEN];
	struct match match, again;
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		CHECK(parse(&match, lines[i]));
		match_format(&match, text);
		CHECK_STR(text, lines[i]);
		CHECK(parse(&again, text) && match_equal(&match, &again));
	}
	CHECK(parse(&match, "dst_mac=2:0:0:0:0:A vlan=7"));
	match_format(&match, text);
	CHECK_STR(text, "vlan=7 dst_mac=02:00:00:00:00:0a");
	CHECK(match.mac == 0x0a0000000002ULL);
}

static void
test_bad(void)
{
	static const char *const lines[] = { "vlan=0", "vlan=4095", "vlan=01", "vlan=-1",
		"vlan=", "vlan=1x", "vlan=1 vlan=2", "dst_mac=", "dst_mac=02:00:00:00:00",
		"dst_mac=02:00:00:00:00:00:00", "dst_mac=002:0:0:0:0:0", "dst_mac=0g:0:0:0:0:0",
		"dst_mac=2:0:0:0:0:1 src_mac=2:0:0:0:0:2", "mac=2:0:0:0:0:1", "vlan", "=", "",
		"default" };
	struct match match;
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		log_clear_last();
		CHECK(parse(&match, lines[i]) == (*lines[i] == '\0'));
		CHECK((*log_last() != '\0') == (*lines[i] != '\0'));
	}
}

static void
test_equal(void)
{
	struct match a, b;

	CHECK(parse(&a, "vlan=1 dst_mac=2:0:0:0:0:1"));
	CHECK(parse(&b, "vlan=1 src_mac=2:0:0:0:0:1") && !match_equal(&a, &b));
	CHECK(parse(&b, "vlan=2 dst_mac=2:0:0:0:0:1") && !match_equal(&a, &b));
	CHECK(parse(&b, "vlan=1 dst_mac=2:0:0:0:0:2") && !match_equal(&a, &b));
	CHECK(parse(&b, "dst_mac=2:0:0:0:0:1 vlan=1") && match_equal(&a, &b));
}

int
main(void)
{
	test_good();
	test_bad();
	test_equal();
	return 0;
}
