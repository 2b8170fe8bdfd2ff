/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_DPDK_COMPAT_H
#define BASE_DPDK_COMPAT_H

/* Differences between the DPDK releases this code builds on, 22.11 to 25.11. No other file depends
 * on the version.
 */

#include <rte_telemetry.h>
#include <rte_version.h>

#if RTE_VERSION < RTE_VERSION_NUM(23, 3, 0, 0)
/* DPDK 23.03 added this name, deprecated the old one, and 25.11 no longer has the old one. */
#define rte_tel_data_add_dict_uint rte_tel_data_add_dict_u64
#endif

#endif
