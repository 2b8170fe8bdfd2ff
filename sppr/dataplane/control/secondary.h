/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_SECONDARY_H
#define CONTROL_SECONDARY_H

#include "base/config.h"

/* The main function of spp_nfv, spp_vf, spp_mirror and spp_pcap. */
int secondary_main(enum process_kind kind, int argc, char **argv);

#endif
