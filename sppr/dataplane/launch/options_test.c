/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>

#include "base/check.h"
#include "control/tokens.h"
#include "launch/options.h"

#define MAX_WORDS 64

static char error[256];
static struct launch_options found;

static bool
allowed(const char *program, const char *line)
{
	struct launch_context context = { .program = program, .file_prefix = "lab" };
	char text[512], *words[MAX_WORDS];

	inet_pton(AF_INET, "127.0.0.1", &context.controller);
	snprintf(text, sizeof(text), "%s", line);
	error[0] = '\0';
	return launch_options_check(&context, words, tokens_split(text, words, MAX_WORDS), &found,
			error, sizeof(error));
}

static void
test_allowed(void)
{
	static const char *const lines[] = {
		"-l 1,2 -m 512 -- -n 9 -s 127.0.0.1:6666",
		"-l2,3 --socket-mem 64,64 -n 4 --proc-type secondary -- -n 1 -s 127.0.0.1:65535",
		"--lcores 2@0,(3-5)@(0,1) --file-prefix lab --no-pci -- --vhost-client",
		"--lcores=2@0 --file-prefix=lab --proc-type=secondary --base-virtaddr=0x2000 --",
		"-l 2,3 --main-lcore 3 --",
		"-c 0x3f --log-level=lib.vhost.*:8 -- --client-id 127",
		"-c3f --log-level pmd.net,debug -- --client-id=1",
		"--vdev net_null0 --vdev net_null1,size=64,copy=0 --vdev=net_ring0 --",
		"--vdev net_tap0,iface=t_1-x --vdev net_tap12 --",
		"--vdev net_ring1,nodeaction=r1:0:CREATE --",
		"--",
	};
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (!allowed("spp_nfv", lines[i])) {
			fprintf(stderr, "%s: %s\n", lines[i], error);
			exit(1);
		}
	}
	CHECK(allowed("spp_pcap", "-l 1 -- --client-id 1 -s 127.0.0.1:6666 -c phy:0"));
}

static void
test_refused(void)
{
	static const char *const eal[] = {
		"-d /x/e.so",
		"-d/x.so",
		"-d",
		"--driver-path /x",
		"--driver-path=/x",
		"--driver-p /x",
		"--huge-dir /x",
		"--huge-d=/x",
		"--vde net_null0",
		"--vdev=net_pcap0,tx_pcap=/x",
		"--vdev net_pcap0",
		"--vdev net_vhost0,iface=/x",
		"--vdev net_memif0",
		"--vdev net_af_packet0,iface=eth0",
		"--vdev net_af_xdp0",
		"--vdev net_tun0",
		"--vdev net_tap0,iface=a/b",
		"--vdev net_tap0,iface=0123456789abcdef",
		"--vdev net_tap0,iface=",
		"--vdev net_tap0,remote=eth0",
		"--vdev net_tap",
		"--vdev net_tap0,",
		"--vdev net_tap0x",
		"--vdev net_tap0,iface=a,mac=fixed",
		"--vdev net_null0,size=64,/x=1",
		"--vdev net_ring0,internal=0x1234",
		"--vdev",
		"--vdev vdev:net_pcap0",
		"--vdev net_null0;net_pcap0",
		"--file-prefix other",
		"--file-prefix ../x",
		"--file-prefix=lab2",
		"--file-prefix=",
		"--file-p lab",
		"--proc-type primary",
		"--proc-type auto",
		"--proc-t secondary",
		"-l 1;2",
		"-l -",
		"-l=1,2",
		"-l --no-pci",
		"-l",
		"--lcores",
		"-c 0xzz",
		"-n x",
		"-n -1",
		"-m x",
		"--no-pci=1",
		"--no-p",
		"--no-huge",
		"--in-memory",
		"--log-level /x",
		"--log-level --huge-dir",
		"--syslog x",
		"--base-virtaddr x",
		"--mbuf-pool-ops-name x",
		"--telemetry",
		"-w 00:01.0",
		"-a 00:01.0",
		"-b 00:01.0",
		"-r 4",
		"-s 1",
		"-S 1",
		"-v",
		"-h",
		"--help",
		"-",
		"x",
		"=",
		"-l 1 x",
		"--create-uio-dev",
		"--vfio-intr msi",
		"--trace-dir /x",
		"--trace=.*",
		"--socket-limit=a",
		"--legacy-mem",
		"--unlink",
		"---",
		"--=x",
	};
	static const char *const app[] = { "--sock-dir /x", "--sock-dir=/x", "--sock /x",
		"--log-dir /x", "--out-dir /x", "--out-dir=/x", "-s 10.0.0.1:6666",
		"-s 127.0.0.2:6666", "-s 127.0.0.1:0", "-s 127.0.0.1:65536", "-s 127.0.0.1",
		"-s 127.0.0.1:6x", "-s", "-s localhost:6666", "-n 0", "-n 128", "-n x", "-n",
		"--client-id -1", "--client 1", "--vhost-client=1", "--vhost-c", "-c phy:0", "--",
		"x", "-d/x", "--fsize 3", "-p 1" };
	char line[256];
	size_t i;

	for (i = 0; i < sizeof(eal) / sizeof(eal[0]); i++) {
		snprintf(line, sizeof(line), "-l 1 %s -- -n 1", eal[i]);
		if (allowed("spp_nfv", line) || *error == '\0') {
			fprintf(stderr, "allowed: %s\n", line);
			exit(1);
		}
	}
	for (i = 0; i < sizeof(app) / sizeof(app[0]); i++) {
		snprintf(line, sizeof(line), "-l 1 -- %s", app[i]);
		if (allowed("spp_nfv", line) || *error == '\0') {
			fprintf(stderr, "allowed: %s\n", line);
			exit(1);
		}
	}
	CHECK(!allowed("spp_pcap", "-l 1 -- -c /x:0"));
	CHECK(!allowed("spp_pcap", "-l 1 -- -c phy:0:1"));
	CHECK(!allowed("spp_nfv", ""));
	CHECK(!allowed("spp_nfv", "-l 1"));
}

static void
test_reasons(void)
{
	CHECK(!allowed("spp_nfv", "-d/x.so --"));
	CHECK_STR(error, "option -d/x.so is not allowed");
	CHECK(!allowed("spp_nfv", "--file-prefix other --"));
	CHECK_STR(error, "option --file-prefix: value \"other\" is not allowed, "
			 "only the prefix of this primary");
	CHECK(!allowed("spp_nfv", "--x\n\033[m --"));
	CHECK_STR(error, "option --x??[m is not allowed");
}

static void
test_found(void)
{
	CHECK(allowed("spp_nfv", "-l 1 -- -n 1"));
	CHECK(!found.proc_type && !found.file_prefix && found.separator == 2);
	CHECK(allowed("spp_nfv", "--proc-type=secondary --file-prefix lab -- -n 1"));
	CHECK(found.proc_type && found.file_prefix && found.separator == 3);
}

static void
test_programs(void)
{
	CHECK(launch_program_allowed("spp_nfv") && launch_program_allowed("spp_vf"));
	CHECK(launch_program_allowed("spp_mirror") && launch_program_allowed("spp_pcap"));
	CHECK(!launch_program_allowed("spp_primary") && !launch_program_allowed("spp_vm"));
	CHECK(!launch_program_allowed("../spp_nfv") && !launch_program_allowed("spp_nfv2"));
	CHECK(!launch_program_allowed("spp_nf") && !launch_program_allowed(""));
}

int
main(void)
{
	test_allowed();
	test_refused();
	test_reasons();
	test_found();
	test_programs();
	return 0;
}
