/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_common.h>

#include "probe/crc.h"

/* The CRC32 instruction takes three cycles, and one can start in each cycle. So three blocks are
 * processed at once, and their CRCs are combined. The CRC of A followed by B is the CRC of A moved
 * over as many zeros as B has bytes, xor the CRC of B that started with 0. The move is linear, so a
 * table for each byte computes it.
 */
#define BLOCK 128

#ifdef __SSE4_2__

static uint32_t over_block[4][256]; /* moved over BLOCK zeros */

RTE_INIT(probe_crc_set_up)
{
	static const uint8_t zeros[BLOCK];
	unsigned int byte, value;

	for (byte = 0; byte < 4; byte++)
		for (value = 0; value < 256; value++)
			over_block[byte][value] = probe_crc_portable(
					(uint32_t)value << (8 * byte), zeros, BLOCK);
}

static inline uint32_t
move(uint32_t crc)
{
	return over_block[0][crc & 255] ^ over_block[1][crc >> 8 & 255] ^
	       over_block[2][crc >> 16 & 255] ^ over_block[3][crc >> 24];
}

static inline uint64_t
load(const uint8_t *p)
{
	uint64_t eight;

	memcpy(&eight, p, sizeof(eight));
	return eight;
}

uint32_t
probe_crc_long(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t a, b, c;
	unsigned int i;

	for (; len >= 3 * BLOCK; len -= 3 * BLOCK, p += 3 * BLOCK) {
		a = crc;
		b = 0;
		c = 0;
		for (i = 0; i < BLOCK; i += sizeof(uint64_t)) {
			a = __builtin_ia32_crc32di(a, load(p + i));
			b = __builtin_ia32_crc32di(b, load(p + BLOCK + i));
			c = __builtin_ia32_crc32di(c, load(p + 2 * BLOCK + i));
		}
		crc = move(move((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
	}
	return probe_crc_short(crc, p, len);
}

#else

uint32_t
probe_crc_long(uint32_t crc, const void *data, size_t len)
{
	return probe_crc_portable(crc, data, len);
}

#endif
