/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PROBE_CRC_H
#define PROBE_CRC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* CRC32C (polynomial 0x1edc6f41, reflected). Start with probe_crc_start(key), end with
 * probe_crc_finish. With key 0 the result is the usual CRC32C. Two keys give two different values
 * for the same bytes.
 */
static inline uint32_t
probe_crc_start(uint32_t key)
{
	return ~key;
}

static inline uint32_t
probe_crc_finish(uint32_t crc)
{
	return ~crc;
}

/* For CPUs without the CRC32 instruction: 4 bits at a time. */
static inline uint32_t
probe_crc_portable(uint32_t crc, const void *data, size_t len)
{
	static const uint32_t table[16] = { 0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
		0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6,
		0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75 };
	const uint8_t *p = data;

	for (; len > 0; len--) {
		crc ^= *p++;
		crc = (crc >> 4) ^ table[crc & 15];
		crc = (crc >> 4) ^ table[crc & 15];
	}
	return crc;
}

#ifdef __SSE4_2__
static inline uint32_t
probe_crc_short(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t wide = crc, eight;
	uint32_t four;

	for (; len >= sizeof(eight); len -= sizeof(eight), p += sizeof(eight)) {
		memcpy(&eight, p, sizeof(eight));
		wide = __builtin_ia32_crc32di(wide, eight);
	}
	crc = (uint32_t)wide;
	if (len >= sizeof(four)) {
		memcpy(&four, p, sizeof(four));
		crc = __builtin_ia32_crc32si(crc, four);
		len -= sizeof(four);
		p += sizeof(four);
	}
	for (; len > 0; len--)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}
#else
#define probe_crc_short probe_crc_portable
#endif

#define PROBE_CRC_LONG 384 /* three blocks at once are faster from this length */

uint32_t probe_crc_long(uint32_t crc, const void *data, size_t len);

static inline uint32_t
probe_crc(uint32_t crc, const void *data, size_t len)
{
	return len < PROBE_CRC_LONG ? probe_crc_short(crc, data, len)
				    : probe_crc_long(crc, data, len);
}

#endif
