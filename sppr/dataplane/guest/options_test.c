/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "guest/options.h"

#define PARSE(...)                                       \
	parse((const char *[]){ "spp_vm", __VA_ARGS__ }, \
			(int)(sizeof((const char *[]){ "", __VA_ARGS__ }) / sizeof(char *)))

static struct options options;
static struct config cfg;

static enum config_result
parse(const char **words, int argc)
{
	static char text[32][64]; /* getopt_long permutes argv, and options points to its words */
	char error[256], *argv[32];
	int i;

	for (i = 0; i < argc; i++) {
		snprintf(text[i], sizeof(text[i]), "%s", words[i]);
		argv[i] = text[i];
	}
	return options_parse(&options, &cfg, argc, argv, error, sizeof(error));
}

int
main(void)
{
	/* the line of SPP's guides: before `--`, -n is memory channels */
	CHECK(PARSE("-l", "0,1", "-n", "4", "--proc-type=primary", "--", "-p", "0x03", "-n", "6",
			      "-s", "10.0.2.2:6666") == CONFIG_OK);
	CHECK(options.port_mask == 3 && cfg.client_id == 6 && options.mgmt_mac == NULL);
	CHECK_STR(cfg.controller_text, "10.0.2.2:6666");
	CHECK(PARSE("-n", "7", "-s10.0.2.2:1", "--mgmt-mac=02:b2:00:00:06:00") == CONFIG_OK);
	CHECK(options.port_mask == UINT64_MAX && cfg.client_id == 7);
	CHECK_STR(options.mgmt_mac, "02:b2:00:00:06:00");
	CHECK(!cfg.hello);
	CHECK(PARSE("--", "-n", "7", "--hello", "-s", "10.0.2.100:6666") == CONFIG_OK && cfg.hello);
	CHECK(PARSE("--", "--mgmt-mac", "x", "-pff", "-n", "1", "-s", "1.2.3.4:5") == CONFIG_OK);
	CHECK(options.port_mask == 0xff);
	CHECK_STR(options.mgmt_mac, "x");
	CHECK(PARSE("--", "-n", "1") == CONFIG_BAD);
	CHECK(PARSE("--", "-p", "0", "-n", "1", "-s", "1.2.3.4:5") == CONFIG_BAD);
	CHECK(PARSE("--", "-n", "1", "-s", "1.2.3.4:5", "-p") == CONFIG_BAD);
	CHECK(PARSE("--", "-n", "128", "-s", "1.2.3.4:5") == CONFIG_BAD);
	CHECK(PARSE("--", "-n", "1", "-s", "controller:5") == CONFIG_BAD);
	CHECK(PARSE("--", "-h") == CONFIG_HELP);
	return 0;
}
