/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PROBE_FRAME_H
#define PROBE_FRAME_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_common.h>
#include <rte_mbuf.h>

#include "probe/crc.h"

/* The numbered, timestamped and signed frames of a probe:
 *
 *   Ethernet [VLAN] IPv4 (UDP | TCP) stamp pattern
 *
 * The stamp, in network byte order: sequence number (32 bits), TSC (48 bits), CRC32C (32 bits). The
 * CRC starts with the key of the run. It covers the whole frame without its own four bytes and
 * without the TCP checksum, which in turn covers the CRC.
 */
#define PROBE_FCS 4
#define PROBE_SIZE_MIN 64 /* includes the FCS, which is in no mbuf */
#define PROBE_SIZE_MAX 9000
#define PROBE_STAMP 14
#define PROBE_STAMP_SIGNED 10 /* the bytes before the CRC */
#define PROBE_HEADERS_MAX (14 + 4 + 20 + 20 + PROBE_STAMP)
#define PROBE_TSC_BITS 48
#define PROBE_TSC_MASK ((1ULL << PROBE_TSC_BITS) - 1)

/* The frames of a run. Addresses and ports are in host byte order. */
struct probe_shape {
	uint8_t src_mac[6];
	uint8_t dst_mac[6];
	uint32_t src_ip;
	uint32_t dst_ip;
	uint16_t src_port;
	uint16_t dst_port;
	uint16_t flow;
	uint16_t vlan; /* 0: no tag */
	uint16_t size; /* with FCS */
	bool tcp;
	uint32_t key;
};

/* A frame without its stamp, and the start values of its sums. */
struct probe_template {
	uint32_t crc;	  /* of the bytes before the stamp */
	uint32_t sum;	  /* of the bytes that the TCP checksum covers, with a stamp of zeros */
	uint16_t len;	  /* without FCS */
	uint16_t stamp;	  /* offset */
	uint16_t tcp_sum; /* offset of the TCP checksum; 0: UDP */
	uint8_t bytes[RTE_CACHE_LINE_ROUNDUP(PROBE_SIZE_MAX)] __rte_cache_aligned;
};

/* What a sink expects, and what it learned from good frames. */
struct probe_expected {
	bool any; /* false: expect nothing, so every frame is foreign */
	uint16_t flow;
	uint32_t key;
	bool learned; /* a good frame came, so the MACs and the offset of the flow are known */
	uint16_t flow_offset;
	uint8_t macs[12];
};

enum probe_verdict {
	PROBE_FOREIGN,	    /* not provably a frame of this run */
	PROBE_CORRUPT,	    /* wrong CRC or checksum, but the MACs and the flow of a good frame */
	PROBE_MISDELIVERED, /* good, but of another flow of this key */
	PROBE_GOOD,
};

struct probe_stamp {
	uint32_t sequence;
	uint64_t tsc; /* the low PROBE_TSC_BITS */
};

/* The smallest size of a frame. */
unsigned int probe_frame_minimum(bool tcp, bool vlan);

/* Prepare the frames of a run. The size must be at least probe_frame_minimum(). */
void probe_template_make(struct probe_template *t, const struct probe_shape *shape);

/* Set the TCP checksum of a frame whose stamp is written. */
void probe_frame_sum(const struct probe_template *t, uint8_t *head);

/* Classify a frame. *stamp is not set for PROBE_FOREIGN and PROBE_CORRUPT. */
enum probe_verdict probe_frame_check(
		struct probe_expected *e, const struct rte_mbuf *m, struct probe_stamp *stamp);

/* Write the stamp into a copy of the template. head has its first PROBE_HEADERS_MAX bytes. */
static inline void
probe_frame_stamp(const struct probe_template *t, uint8_t *head, uint32_t sequence, uint64_t tsc)
{
	uint64_t first = rte_cpu_to_be_64((uint64_t)sequence << 32 | (tsc & PROBE_TSC_MASK) >> 16);
	uint16_t second = rte_cpu_to_be_16((uint16_t)tsc);
	uint8_t *stamp = head + t->stamp;
	const unsigned int tail = t->stamp + PROBE_STAMP;
	uint32_t crc;

	memcpy(stamp, &first, sizeof(first));
	memcpy(stamp + sizeof(first), &second, sizeof(second));
	crc = probe_crc(t->crc, stamp, PROBE_STAMP_SIGNED);
	crc = probe_crc(crc, t->bytes + tail, t->len - tail);
	crc = rte_cpu_to_be_32(probe_crc_finish(crc));
	memcpy(stamp + PROBE_STAMP_SIGNED, &crc, sizeof(crc));
	if (t->tcp_sum != 0)
		probe_frame_sum(t, head);
}

#endif
