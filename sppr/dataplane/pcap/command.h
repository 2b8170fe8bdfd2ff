/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PCAP_COMMAND_H
#define PCAP_COMMAND_H

#include "control/request.h"

/* Run a command of spp_pcap: status, start, stop, exit. */
void pcap_command(struct request *r);

#endif
