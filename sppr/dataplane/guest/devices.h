/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GUEST_DEVICES_H
#define GUEST_DEVICES_H

#include <stddef.h>
#include <stdint.h>

/* What the guest has, read below a root that tests replace; "" is the real one. */

#define DEVICE_NAME_SIZE 32
#define DEVICES_MAX 64

/* PCI addresses of the ivshmem devices, in order; how many. */
unsigned int devices_ivshmem(const char *root, char names[][DEVICE_NAME_SIZE], unsigned int max);

/* Network interfaces on a bus, in order of their index, without the one with this MAC (NULL: all).
 */
unsigned int devices_nics(const char *root, const char *without_mac, char names[][DEVICE_NAME_SIZE],
		unsigned int max);

#endif
