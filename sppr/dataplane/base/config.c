/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/log.h"

enum long_option {
	OPT_DISP_STATS = 256,
	OPT_HELD_FRAMES,
	OPT_LINK,
	OPT_PORT_NUM,
	OPT_VHOST_CLIENT,
	OPT_SOCK_DIR,
	OPT_SOCK_UID,
	OPT_LOG_DIR,
	OPT_TAP_ENDS,
	OPT_CLIENT_ID,
	OPT_OUT_DIR,
	OPT_FSIZE,
	OPT_HELP,
};

#define DEFAULT_OUT_DIR "/tmp"
#define DEFAULT_FILE_SIZE (1ULL << 30)
#define DEFAULT_HELD_FRAMES 20000
#define MAX_HELD_FRAMES 4000000

static const struct option primary_options[] = {
	{ "disp-stats", no_argument, NULL, OPT_DISP_STATS },
	{ "held-frames", required_argument, NULL, OPT_HELD_FRAMES },
	{ "link", required_argument, NULL, OPT_LINK },
	{ "log-dir", required_argument, NULL, OPT_LOG_DIR },
	{ "port-num", required_argument, NULL, OPT_PORT_NUM },
	{ "sock-dir", required_argument, NULL, OPT_SOCK_DIR },
	{ "sock-uid", required_argument, NULL, OPT_SOCK_UID },
	{ "tap-ends", required_argument, NULL, OPT_TAP_ENDS },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const struct option nfv_options[] = {
	{ "vhost-client", no_argument, NULL, OPT_VHOST_CLIENT },
	{ "sock-dir", required_argument, NULL, OPT_SOCK_DIR },
	{ "sock-uid", required_argument, NULL, OPT_SOCK_UID },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

/* spp_vf and spp_mirror */
static const struct option component_options[] = {
	{ "client-id", required_argument, NULL, OPT_CLIENT_ID },
	{ "vhost-client", no_argument, NULL, OPT_VHOST_CLIENT },
	{ "sock-dir", required_argument, NULL, OPT_SOCK_DIR },
	{ "sock-uid", required_argument, NULL, OPT_SOCK_UID },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const struct option pcap_options[] = {
	{ "client-id", required_argument, NULL, OPT_CLIENT_ID },
	{ "out-dir", required_argument, NULL, OPT_OUT_DIR },
	{ "fsize", required_argument, NULL, OPT_FSIZE },
	{ "sock-dir", required_argument, NULL, OPT_SOCK_DIR },
	{ "sock-uid", required_argument, NULL, OPT_SOCK_UID },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const struct {
	const char *name;
	const char *letters; /* for getopt_long */
	const struct option *options;
	const char *usage;
} kinds[N_PROCESS_KINDS] = {
	[PROCESS_PRIMARY] = { "primary", "+p:n:s:h", primary_options,
			"spp_primary <EAL options> -- -p HEX -n RINGS -s IP:PORT [--disp-stats] "
			"[--port-num ID rxq N txq M] [--sock-dir DIR] [--sock-uid UID] "
			"[--log-dir DIR] [--tap-ends FILE] [--held-frames N] [--link N=phy:M]" },
	[PROCESS_NFV] = { "nfv", "+n:s:h", nfv_options,
			"spp_nfv <EAL options> -- -n ID -s IP:PORT [--vhost-client] "
			"[--sock-dir DIR] [--sock-uid UID]" },
	[PROCESS_VF] = { "vf", "+s:h", component_options,
			"spp_vf <EAL options> -- --client-id ID -s IP:PORT [--vhost-client] "
			"[--sock-dir DIR] [--sock-uid UID]" },
	[PROCESS_MIRROR] = { "mirror", "+s:h", component_options,
			"spp_mirror <EAL options> -- --client-id ID -s IP:PORT [--vhost-client] "
			"[--sock-dir DIR] [--sock-uid UID]" },
	[PROCESS_PCAP] = { "pcap", "+c:s:h", pcap_options,
			"spp_pcap <EAL options> -- --client-id ID -s IP:PORT -c PORT [nq QUEUE] "
			"[--out-dir DIR] [--fsize BYTES] [--sock-dir DIR] [--sock-uid UID]" },
};

static int
parse_number(const char *text, int base, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;

	if (!isxdigit((unsigned char)*text)) /* strtoull accepts signs and spaces */
		return -1;
	errno = 0;
	*out = strtoull(text, &end, base);
	return errno != 0 || *end != '\0' || *out < min || *out > max ? -1 : 0;
}

/* SPP accepts a dotted IPv4 address only. */
static int
parse_controller(struct config *cfg, const char *text)
{
	char host[INET_ADDRSTRLEN];
	const char *colon = strrchr(text, ':');
	uint64_t port;
	size_t len;

	if (colon == NULL || (len = (size_t)(colon - text)) >= sizeof(host))
		return -1;
	memcpy(host, text, len);
	host[len] = '\0';
	if (inet_pton(AF_INET, host, &cfg->controller.sin_addr) != 1 ||
			parse_number(colon + 1, 10, 1, 65535, &port) < 0)
		return -1;
	cfg->controller.sin_family = AF_INET;
	cfg->controller.sin_port = htons((uint16_t)port);
	snprintf(cfg->controller_text, sizeof(cfg->controller_text), "%s:%u", host,
			(unsigned int)port);
	return 0;
}

static const char *
take_path(char *to, size_t size, const char *arg, const char *error)
{
	if (strlen(arg) == 0 || strlen(arg) >= size)
		return error;
	snprintf(to, size, "%s", arg);
	return NULL;
}

/* Parse `--link N=phy:M`: the NIC phy:M is link:N. */
static const char *
take_link(struct config *cfg, const char *arg)
{
	const char *error = "--link takes N=phy:M, a link and its NIC, as 0=phy:1, each once";
	const char *phy = strstr(arg, "=phy:");
	char number[8];
	uint64_t link, nic;
	unsigned int i;

	if (phy == NULL || (size_t)(phy - arg) >= sizeof(number))
		return error;
	snprintf(number, sizeof(number), "%.*s", (int)(phy - arg), arg);
	if (parse_number(number, 10, 0, MAX_PORT_IDS - 1, &link) < 0 ||
			parse_number(phy + strlen("=phy:"), 10, 0, MAX_PORT_IDS - 1, &nic) < 0 ||
			cfg->link_of_phy[nic] >= 0)
		return error;
	for (i = 0; i < MAX_PORT_IDS; i++)
		if (cfg->link_of_phy[i] == (int16_t)link)
			return error;
	cfg->link_of_phy[nic] = (int16_t)link;
	return NULL;
}

/* Parse one option. Return NULL, or the text of the error. */
static const char *
take_option(struct config *cfg, int opt, const char *arg)
{
	uint64_t number;

	switch (opt) {
	case 'p':
		if (parse_number(arg, 16, 1, UINT64_MAX, &cfg->port_mask) < 0)
			return "-p takes a port mask in hex that is not 0, as 0x03";
		return NULL;
	case 'n':
		if (cfg->primary) {
			if (parse_number(arg, 10, 1, MAX_RINGS, &number) < 0)
				return "-n takes the number of rings, 1 to 98";
			cfg->nrings = (uint16_t)number;
		} else {
			if (parse_number(arg, 10, 1, MAX_CLIENT_ID, &number) < 0)
				return "-n takes the secondary's id, 1 to 127";
			cfg->client_id = (uint16_t)number;
		}
		return NULL;
	case 's':
		if (parse_controller(cfg, arg) < 0)
			return "-s takes the controller as IPv4:PORT, as 127.0.0.1:6666";
		return NULL;
	case OPT_DISP_STATS:
		cfg->disp_stats = true;
		return NULL;
	case OPT_HELD_FRAMES:
		if (parse_number(arg, 10, 0, MAX_HELD_FRAMES, &number) < 0)
			return "--held-frames takes a number of frames, 0 to 4000000";
		cfg->held_frames = (uint32_t)number;
		cfg->held_given = true;
		return NULL;
	case OPT_LINK:
		return take_link(cfg, arg);
	case OPT_VHOST_CLIENT:
		cfg->vhost_client = true;
		return NULL;
	case OPT_SOCK_DIR:
		/* the path of a socket must fit into sun_path */
		return take_path(cfg->sock_dir, sizeof(cfg->sock_dir), arg,
				"--sock-dir takes a path of at most 95 characters");
	case OPT_SOCK_UID:
		if (parse_number(arg, 10, 1, UINT32_MAX - 1, &number) < 0)
			return "--sock-uid takes the uid of the user that QEMU runs as";
		snprintf(cfg->sock_uid, sizeof(cfg->sock_uid), "%" PRIu64, number);
		return NULL;
	case OPT_LOG_DIR:
		return take_path(cfg->log_dir, sizeof(cfg->log_dir), arg,
				"--log-dir takes a path of at most 255 characters");
	case OPT_TAP_ENDS:
		return take_path(cfg->tap_ends, sizeof(cfg->tap_ends), arg,
				"--tap-ends takes a path of at most 255 characters");
	case OPT_CLIENT_ID:
		/* SPP accepts C's notations here, as 0x10, and for -n decimal digits only */
		if (parse_number(arg, 0, 1, MAX_CLIENT_ID, &number) < 0)
			return "--client-id takes the secondary's id, 1 to 127";
		cfg->client_id = (uint16_t)number;
		return NULL;
	case OPT_OUT_DIR:
		return take_path(cfg->out_dir, sizeof(cfg->out_dir), arg,
				"--out-dir takes a path of at most 127 characters");
	case OPT_FSIZE:
		if (parse_number(arg, 10, 1, UINT64_MAX, &cfg->file_size) < 0)
			return "--fsize takes the number of bytes after which a new file begins";
		return NULL;
	default:
		return "not an option, or its value is missing";
	}
}

/* Parse `--port-num ID rxq N txq M`. getopt has taken ID; this takes the other four words. */
static const char *
take_port_num(struct config *cfg, const char *id_text, int argc, char **argv)
{
	uint64_t id, rx, tx;

	if (argc < optind + 4 || parse_number(id_text, 10, 0, MAX_PORT_IDS - 1, &id) < 0 ||
			strcmp(argv[optind], "rxq") != 0 || strcmp(argv[optind + 2], "txq") != 0 ||
			parse_number(argv[optind + 1], 10, 1, MAX_QUEUES, &rx) < 0 ||
			parse_number(argv[optind + 3], 10, 1, MAX_QUEUES, &tx) < 0)
		return "--port-num takes ID rxq N txq M, up to 32 queues each";
	optind += 4;
	cfg->queues[id].rx = (uint16_t)rx;
	cfg->queues[id].tx = (uint16_t)tx;
	return NULL;
}

/* Parse `-c PORT` and `-c PORT nq QUEUE`. getopt has taken PORT. */
static const char *
take_capture_port(struct config *cfg, const char *port, int argc, char **argv)
{
	const char *error = "-c takes phy:N, ring:N or tap:N, or phy:N nq QUEUE";
	const char *queue = "";
	uint64_t number;

	if (strncmp(port, "phy:", 4) != 0 && strncmp(port, "ring:", 5) != 0 &&
			strncmp(port, "tap:", 4) != 0)
		return error;
	if (argc >= optind + 2 && strcmp(argv[optind], "nq") == 0) {
		queue = argv[optind + 1];
		optind += 2;
		if (parse_number(queue, 10, 0, MAX_QUEUES - 1, &number) < 0)
			return error;
	}
	if (snprintf(cfg->capture_port, sizeof(cfg->capture_port), "%s%s%s", port,
			    *queue != '\0' ? "nq" : "", queue) >= (int)sizeof(cfg->capture_port))
		return error;
	return NULL;
}

static const char *
missing_option(const struct config *cfg)
{
	if (cfg->primary && cfg->port_mask == 0)
		return "-p HEX is missing: the mask of ports to use";
	if (cfg->primary && cfg->nrings == 0)
		return "-n NUM is missing: the number of rings";
	if (!cfg->primary && cfg->client_id == 0)
		return cfg->kind == PROCESS_NFV ? "-n ID is missing: the secondary's id"
						: "--client-id ID is missing: the secondary's id";
	if (cfg->kind == PROCESS_PCAP && *cfg->capture_port == '\0')
		return "-c PORT is missing: the port to capture";
	if (cfg->controller.sin_port == 0)
		return "-s IP:PORT is missing: the controller's address";
	return NULL;
}

static const char *
take(struct config *cfg, int opt, int argc, char **argv)
{
	if (opt == OPT_PORT_NUM)
		return take_port_num(cfg, optarg, argc, argv);
	if (opt == 'c')
		return take_capture_port(cfg, optarg, argc, argv);
	return take_option(cfg, opt, optarg);
}

enum config_result
config_parse(struct config *cfg, enum process_kind kind, int argc, char **argv, char *error,
		unsigned int size)
{
	const char *why;
	int opt;

	memset(cfg, 0, sizeof(*cfg));
	cfg->kind = kind;
	cfg->primary = kind == PROCESS_PRIMARY;
	cfg->file_size = DEFAULT_FILE_SIZE;
	cfg->held_frames = DEFAULT_HELD_FRAMES;
	memset(cfg->link_of_phy, -1, sizeof(cfg->link_of_phy));
	snprintf(cfg->sock_dir, sizeof(cfg->sock_dir), CONFIG_SOCK_DIR);
	snprintf(cfg->out_dir, sizeof(cfg->out_dir), DEFAULT_OUT_DIR);
	opterr = 0;
	optind = 1;
	while ((opt = getopt_long(argc, argv, kinds[kind].letters, kinds[kind].options, NULL)) !=
			-1) {
		if (opt == 'h' || opt == OPT_HELP)
			return CONFIG_HELP;
		why = take(cfg, opt, argc, argv);
		if (why != NULL) {
			snprintf(error, size, "%s: %s", argv[optind - 1], why);
			return CONFIG_BAD;
		}
	}
	if (optind < argc) {
		snprintf(error, size, "%s: unexpected argument", argv[optind]);
		return CONFIG_BAD;
	}
	why = missing_option(cfg);
	if (why != NULL) {
		snprintf(error, size, "%s", why);
		return CONFIG_BAD;
	}
	return CONFIG_OK;
}

const char *
config_usage(enum process_kind kind)
{
	return kinds[kind].usage;
}

const char *
config_kind_name(enum process_kind kind)
{
	return kinds[kind].name;
}

void
config_print(const struct config *cfg)
{
	if (cfg->primary)
		log_line("config: ports 0x%" PRIx64 ", %u rings, controller %s, sockets in %s%s",
				cfg->port_mask, cfg->nrings, cfg->controller_text, cfg->sock_dir,
				cfg->disp_stats ? ", disp-stats" : "");
	else if (cfg->kind == PROCESS_PCAP)
		log_line("config: id %u, controller %s, port %s, files of %" PRIu64 " bytes in %s",
				cfg->client_id, cfg->controller_text, cfg->capture_port,
				cfg->file_size, cfg->out_dir);
	else
		log_line("config: id %u, controller %s, sockets in %s%s", cfg->client_id,
				cfg->controller_text, cfg->sock_dir,
				cfg->vhost_client ? ", vhost-client" : "");
}
