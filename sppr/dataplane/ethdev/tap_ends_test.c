/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <string.h>

#include "base/check.h"
#include "ethdev/tap_ends.h"

int
main(void)
{
	static const char *const bad[] = { "", "\n", "vtap0", "vtap0 spp-client",
		"vtap0 spp-client 10.20.0.1", "vtap0 spp-client 10.20.0.1/", "vtap0 a 10.20.0.1/33",
		"vtap0 a 10.20.0.1/0", "vtap0 a 10.20.0.1/24x", "vtap0 a 10.20.0/24",
		"vtap0 a 10.20.0.1/-1", "vtap0 ../a 10.20.0.1/24", "vtap0 a/b 10.20.0.1/24",
		"vtap0 .. 10.20.0.1/24", "a/b c 10.20.0.1/24", "vtap0 a 10.20.0.1/24 more",
		"0123456789abcdef a 10.20.0.1/24" };
	struct tap_end end;
	unsigned int i;

	CHECK(tap_end_parse("vtap0 spp-client 10.20.0.1/24\n", &end) == 0);
	CHECK_STR(end.interface, "vtap0");
	CHECK_STR(end.netns, "spp-client");
	CHECK(end.has_address && end.prefix == 24 && end.address.s_addr == htonl(0x0a140001));
	CHECK(tap_end_parse("t1 lab_2-x -", &end) == 0 && !end.has_address);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(tap_end_parse(bad[i], &end) < 0);
	return 0;
}
