/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GUEST_DEVICES_H
#define GUEST_DEVICES_H

#include <stddef.h>
#include <stdint.h>

/* The devices of the guest, read below root. Tests replace root; it is "" otherwise. */

#define DEVICE_NAME_SIZE 32
#define DEVICES_MAX 64

/* Get the PCI addresses of the ivshmem devices, in order. Return their number. */
unsigned int devices_ivshmem(const char *root, char names[][DEVICE_NAME_SIZE], unsigned int max);

/* Get the network interfaces that have a device, in order of their index, without those in the list
 * of MAC addresses (NULL: all interfaces). Return their number.
 */
unsigned int devices_nics(const char *root, const char *without_mac, char names[][DEVICE_NAME_SIZE],
		unsigned int max);

#endif
