/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GUEST_OPTIONS_H
#define GUEST_OPTIONS_H

#include "base/config.h"

struct options {
	uint64_t port_mask;   /* of the guest's NICs; all without -p */
	const char *mgmt_mac; /* of NICs that are not ports, comma-separated */
};

#define OPTIONS_USAGE                                                                       \
	"spp_vm [EAL options, not used] -- [-p HEX] -n ID -s IP:PORT [--mgmt-mac MAC,...] " \
	"[--hello]"

/* Words before `--` are EAL options, which are ignored. */
enum config_result options_parse(struct options *options, struct config *cfg, int argc, char **argv,
		char *error, unsigned int size);

#endif
