/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "capture/request.h"

static struct capture_request request;

static const char *
parse(const char *text)
{
	return capture_request_parse(&request, text, strlen(text));
}

static void
test_accepted(void)
{
	CHECK(parse("capture phy:0nq3 tx 64 65536") == NULL);
	CHECK(request.port.type == PORT_PHY && request.port.number == 0 && request.port.nq == 4);
	CHECK(request.tx && request.snaplen == 64 && request.ring_size == 65536);
	CHECK(parse("capture vhost:11 rx 262144 67108864") == NULL);
	CHECK(request.port.type == PORT_VHOST && request.port.number == 11);
	CHECK(!request.tx && request.snaplen == 262144 && request.ring_size == 67108864);
}

static void
test_refused(void)
{
	static const char *const lines[] = {
		"",
		"capture",
		"capture ",
		" capture ring:0 rx 64 65536",
		"capture ring:0 rx 64 65536 ",
		"capture ring:0 rx 64  65536",
		"capture ring:0 rx 64 65536 7",
		"capture ring:0 rx 64 65536\n",
		"capture\tring:0 rx 64 65536",
		"Capture ring:0 rx 64 65536",
		"capture ring:00 rx 64 65536",
		"capture pipe:0 rx 64 65536",
		"capture ../x rx 64 65536",
		"capture ring:0 both 64 65536",
		"capture ring:0 rxx 64 65536",
		"capture ring:0 rx 63 65536",
		"capture ring:0 rx 0 65536",
		"capture ring:0 rx 064 65536",
		"capture ring:0 rx +64 65536",
		"capture ring:0 rx 0x40 65536",
		"capture ring:0 rx 262145 65536",
		"capture ring:0 rx 4294967360 65536",
		"capture ring:0 rx 64 32768",
		"capture ring:0 rx 64 65537",
		"capture ring:0 rx 64 134217728",
		"capture ring:0 rx 64 4295032832",
	};
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (parse(lines[i]) == NULL) {
			fprintf(stderr, "accepted: %s\n", lines[i]);
			exit(1);
		}
	}
	CHECK(capture_request_parse(&request, "capture ring:0 rx 64 65536\0", 27) != NULL);
}

int
main(void)
{
	test_accepted();
	test_refused();
	return 0;
}
