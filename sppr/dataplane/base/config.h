/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include <netinet/in.h>

#define MAX_CLIENT_ID 127
#define MAX_RINGS 98
#define MAX_PORT_IDS 32
#define MAX_QUEUES 32
#define CONFIG_SOCK_DIR "/tmp" /* the default of --sock-dir */

/* The programs. spp_vm is an nfv here. */
enum process_kind {
	PROCESS_PRIMARY,
	PROCESS_NFV,
	PROCESS_VF,
	PROCESS_MIRROR,
	PROCESS_PCAP,
	N_PROCESS_KINDS,
};

/* The options after `--`. Parsed once, and printed at the start. */
struct config {
	enum process_kind kind;
	bool primary;	      /* kind == PROCESS_PRIMARY */
	uint64_t port_mask;   /* primary: -p */
	uint16_t nrings;      /* primary: -n */
	uint16_t client_id;   /* nfv: -n; vf, mirror, pcap: --client-id */
	bool disp_stats;      /* primary */
	uint32_t held_frames; /* primary: frames that impairments may hold */
	bool held_given;      /* held_frames is not the default */
	struct {
		uint16_t rx; /* 0: one queue */
		uint16_t tx;
	} queues[MAX_PORT_IDS];		   /* primary: --port-num, by ethdev id */
	int16_t link_of_phy[MAX_PORT_IDS]; /* primary: --link, phy:M is link:N; or -1 */
	bool vhost_client;		   /* nfv, vf, mirror: QEMU creates the sockets */
	char capture_port[16];		   /* pcap: -c, as `phy:0nq1` */
	char out_dir[128];		   /* pcap: --out-dir */
	uint64_t file_size;		   /* pcap: --fsize, bytes */
	bool hello; /* spp_vm: announce each new connection, see controller/server/access.py */
	struct sockaddr_in controller;
	char controller_text[32];
	char sock_dir[96];
	char sock_uid[12];  /* uid of QEMU's user, who owns vhost sockets; "": not set */
	char tap_ends[256]; /* primary: file of taps to move into namespaces; "": none */
	char log_dir[256];  /* primary: logs of launched secondaries; "": EAL's runtime directory */
};

enum config_result {
	CONFIG_OK,
	CONFIG_HELP,
	CONFIG_BAD, /* error has the reason */
};

/* argv[0] is the program or `--`. The options follow. */
enum config_result config_parse(struct config *cfg, enum process_kind kind, int argc, char **argv,
		char *error, unsigned int size);
void config_print(const struct config *cfg);
const char *config_usage(enum process_kind kind);

/* The name of a kind in the protocol: nfv, vf, ... */
const char *config_kind_name(enum process_kind kind);

#endif
