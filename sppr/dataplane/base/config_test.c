/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "base/config.h"

static enum config_result
parse(struct config *cfg, enum process_kind kind, const char *line, char *error)
{
	char text[512], *argv[32] = { text }, *save = NULL, *t;
	int argc = 0;

	snprintf(text, sizeof(text), "%s", line);
	for (t = strtok_r(text, " ", &save); t != NULL; t = strtok_r(NULL, " ", &save))
		argv[argc++] = t;
	return config_parse(cfg, kind, argc, argv, error, 256);
}

static void
test_good(void)
{
	struct config cfg;
	char error[256];

	CHECK(parse(&cfg, PROCESS_PRIMARY, "-- -p 0x03 -n 10 -s 127.0.0.1:5555", error) ==
			CONFIG_OK);
	CHECK(cfg.port_mask == 3 && cfg.nrings == 10 && !cfg.disp_stats);
	CHECK(cfg.held_frames == 20000);
	CHECK(parse(&cfg, PROCESS_PRIMARY, "-- -p 1 -n 1 -s 1.2.3.4:1 --held-frames 0", error) ==
			CONFIG_OK);
	CHECK(cfg.held_frames == 0 && cfg.link_of_phy[0] == -1);
	CHECK(parse(&cfg, PROCESS_PRIMARY,
			      "-- -p 1 -n 1 -s 1.2.3.4:1 --link 0=phy:1 --link 3=phy:0",
			      error) == CONFIG_OK);
	CHECK(cfg.link_of_phy[1] == 0 && cfg.link_of_phy[0] == 3 && cfg.link_of_phy[2] == -1);
	CHECK(parse(&cfg, PROCESS_PRIMARY, "-- -p 1 -n 1 -s 1.2.3.4:1 --held-frames 4000001",
			      error) == CONFIG_BAD);
	CHECK(parse(&cfg, PROCESS_NFV, "-- -n 1 -s 1.2.3.4:1 --held-frames 5", error) ==
			CONFIG_BAD);
	CHECK(parse(&cfg, PROCESS_PRIMARY, "-- -p 0x03 -n 10 -s 127.0.0.1:5555", error) ==
			CONFIG_OK);
	CHECK_STR(cfg.controller_text, "127.0.0.1:5555");
	CHECK_STR(cfg.sock_dir, "/tmp");
	CHECK(parse(&cfg, PROCESS_PRIMARY, "-- -p ff -n 98 -s 1.2.3.4:1 --disp-stats", error) ==
			CONFIG_OK);
	CHECK(cfg.port_mask == 255 && cfg.disp_stats && cfg.queues[0].rx == 0);
	CHECK(parse(&cfg, PROCESS_PRIMARY,
			      "-- -p 1 --port-num 0 rxq 3 txq 4 --port-num 1 rxq 2 txq 2 -n 1 "
			      "-s 1.2.3.4:1",
			      error) == CONFIG_OK);
	CHECK(cfg.queues[0].rx == 3 && cfg.queues[0].tx == 4 && cfg.queues[1].rx == 2);
	CHECK(parse(&cfg, PROCESS_NFV, "-- -n 127 -s 1.2.3.4:65535 --vhost-client --sock-dir /x",
			      error) == CONFIG_OK);
	CHECK(cfg.client_id == 127 && cfg.vhost_client);
	CHECK_STR(cfg.sock_dir, "/x");
	CHECK_STR(cfg.sock_uid, "");
	CHECK(parse(&cfg, PROCESS_NFV, "-- --help", error) == CONFIG_HELP);
	CHECK(parse(&cfg, PROCESS_VF, "-- --client-id 0x10 -s 1.2.3.4:6 --vhost-client", error) ==
			CONFIG_OK);
	CHECK(cfg.client_id == 16 && cfg.vhost_client && !cfg.primary && cfg.kind == PROCESS_VF);
	CHECK(parse(&cfg, PROCESS_PCAP, "-- --client-id 5 -s 1.2.3.4:6 -c phy:0", error) ==
			CONFIG_OK);
	CHECK_STR(cfg.capture_port, "phy:0");
	CHECK_STR(cfg.out_dir, "/tmp");
	CHECK(cfg.file_size == 1073741824);
	CHECK(parse(&cfg, PROCESS_PCAP,
			      "-- -c phy:2 nq 3 --client-id 5 -s 1.2.3.4:6 --out-dir /x --fsize 99",
			      error) == CONFIG_OK);
	CHECK_STR(cfg.capture_port, "phy:2nq3");
	CHECK_STR(cfg.out_dir, "/x");
	CHECK(cfg.file_size == 99);
}

static void
test_bad(void)
{
	static const char *const primary[] = { "--", "-- -p 1 -n 1", "-- -p 1 -s 1.2.3.4:1",
		"-- -n 1 -s 1.2.3.4:1", "-- -p 0 -n 1 -s 1.2.3.4:1", "-- -p x -n 1 -s 1.2.3.4:1",
		"-- -p -1 -n 1 -s 1.2.3.4:1", "-- -p 1 -n 0 -s 1.2.3.4:1",
		"-- -p 1 -n 99 -s 1.2.3.4:1", "-- -p 1 -n 1 -s localhost:5555",
		"-- -p 1 -n 1 -s 1.2.3.4", "-- -p 1 -n 1 -s 1.2.3.4:0",
		"-- -p 1 -n 1 -s 1.2.3.4:65536", "-- -p 1 -n 1 -s 1.2.3.4:1 more",
		"-- -p 1 -n 1 -s 1.2.3.4:1 --vhost-client", "-- -p 1 -n 1 -s",
		"-- -p 1 -n 1 -s 1.2.3.4:1 --port-num 0 rxq 2 txq",
		"-- -p 1 -n 1 -s 1.2.3.4:1 --port-num 0 rxq 2 rxq 2",
		"-- -p 1 -n 1 -s 1.2.3.4:1 --port-num 0 rxq 0 txq 1",
		"-- -p 1 -n 1 -s 1.2.3.4:1 --port-num 99 rxq 1 txq 1",
		"-- -p 1 -n 1 -s 1.2.3.4:1 --port-num 0 rxq 33 txq 1",
		"-- -p 1 -n 1 -s 1.2.3.4:1 --link 0", "-- -p 1 -n 1 -s 1.2.3.4:1 --link 0=tap:1",
		"-- -p 1 -n 1 -s 1.2.3.4:1 --link 0=phy:32",
		"-- -p 1 -n 1 -s 1.2.3.4:1 --link 32=phy:0",
		"-- -p 1 -n 1 -s 1.2.3.4:1 --link =phy:0",
		"-- -p 1 -n 1 -s 1.2.3.4:1 --link 0=phy:1x",
		"-- -p 1 -n 1 -s 1.2.3.4:1 --link 0=phy:1 --link 1=phy:1",
		"-- -p 1 -n 1 -s 1.2.3.4:1 --link 0=phy:1 --link 0=phy:2" };
	static const char *const nfv[] = { "-- -n 0 -s 1.2.3.4:1", "-- -n 128 -s 1.2.3.4:1",
		"-- -n a -s 1.2.3.4:1", "-- -s 1.2.3.4:1", "-- -n 1", "-- -n 1 -s 1.2.3.4:1 -p 1" };
	static const char *const pcap[] = { "-- --client-id 5 -s 1.2.3.4:6",
		"-- --client-id 5 -s 1.2.3.4:6 -c vhost:1", "-- -c phy:0 -s 1.2.3.4:6",
		"-- --client-id 5 -s 1.2.3.4:6 -c phy:0 nq x", "-- --client-id 5 -c phy:0",
		"-- --client-id 5 -s 1.2.3.4:6 -c phy:0 nq", "-- -n 5 -s 1.2.3.4:6 -c phy:0",
		"-- --client-id 5 -s 1.2.3.4:6 -c phy:0 --fsize 0",
		"-- --client-id 5 -s 1.2.3.4:6 -c phy:0 --vhost-client",
		"-- --client-id 5 -s 1.2.3.4:6 -c phy:00000000000000000" };
	static const char *const vf[] = { "-- --client-id 0 -s 1.2.3.4:1", "-- -s 1.2.3.4:1",
		"-- --client-id 128 -s 1.2.3.4:1", "-- --client-id 1",
		"-- --client-id 1 -s 1.2.3.4:1 -c phy:0" };
	struct config cfg;
	char error[256];
	size_t i;

	for (i = 0; i < sizeof(pcap) / sizeof(pcap[0]); i++) {
		error[0] = '\0';
		CHECK(parse(&cfg, PROCESS_PCAP, pcap[i], error) == CONFIG_BAD && error[0] != '\0');
	}
	for (i = 0; i < sizeof(vf) / sizeof(vf[0]); i++) {
		error[0] = '\0';
		CHECK(parse(&cfg, PROCESS_VF, vf[i], error) == CONFIG_BAD && error[0] != '\0');
	}
	for (i = 0; i < sizeof(primary) / sizeof(primary[0]); i++) {
		error[0] = '\0';
		CHECK(parse(&cfg, PROCESS_PRIMARY, primary[i], error) == CONFIG_BAD &&
				error[0] != '\0');
	}
	for (i = 0; i < sizeof(nfv) / sizeof(nfv[0]); i++) {
		error[0] = '\0';
		CHECK(parse(&cfg, PROCESS_NFV, nfv[i], error) == CONFIG_BAD && error[0] != '\0');
	}
}

int
main(void)
{
	test_good();
	test_bad();
	return 0;
}
