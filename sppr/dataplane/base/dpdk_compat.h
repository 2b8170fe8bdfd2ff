/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_DPDK_COMPAT_H
#define BASE_DPDK_COMPAT_H

#include <rte_telemetry.h>
#include <rte_version.h>

/* Give DPDK 22.11 the names of newer releases. No other file tests RTE_VERSION. */

/* 23.03 introduced this name; 25.11 does not have the old one any more. */
#if RTE_VERSION < RTE_VERSION_NUM(23, 3, 0, 0)
#define rte_tel_data_add_dict_uint rte_tel_data_add_dict_u64
#endif

#endif
