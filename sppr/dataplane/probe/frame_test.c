/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_ip.h>
#include <rte_tcp.h>

#include "base/check.h"
#include "probe/frame.h"

#define KEY 0xfeedbeef
#define FLOW 700
#define TSC 0x0000a1b2c3d4e5f6
#define SEQUENCE 0x89abcdef

static struct probe_template template;
static struct probe_expected expected;
static struct probe_stamp stamp;
static uint8_t frame[RTE_CACHE_LINE_ROUNDUP(PROBE_SIZE_MAX)];
static struct rte_mbuf segments[RTE_MBUF_MAX_NB_SEGS > 128 ? 128 : RTE_MBUF_MAX_NB_SEGS];

static const struct probe_shape udp = {
	.src_mac = { 2, 0, 0, 0, 0, 1 },
	.dst_mac = { 2, 0, 0, 0, 0, 2 },
	.src_ip = 0xc6120001,
	.dst_ip = 0xc6130001,
	.src_port = 49184,
	.dst_port = 9,
	.flow = FLOW,
	.size = 64,
	.key = KEY,
};

static void
expect(uint16_t flow, uint32_t key)
{
	expected = (struct probe_expected){ .any = true, .flow = flow, .key = key };
}

static void
make(const struct probe_shape *shape)
{
	memset(frame, 0xa5, sizeof(frame));
	probe_template_make(&template, shape);
	memcpy(frame, template.bytes, template.len);
	probe_frame_stamp(&template, frame, SEQUENCE, TSC);
}

/* Check `frame` as a chain of segments of `piece` bytes. */
static enum probe_verdict
judge(unsigned int len, unsigned int piece)
{
	unsigned int n = 0, at;

	for (at = 0; at < len; at += piece, n++) {
		CHECK(n < RTE_DIM(segments));
		memset((void *)&segments[n], 0, sizeof(segments[n]));
		segments[n].buf_addr = frame + at;
		segments[n].data_len = (uint16_t)RTE_MIN(piece, len - at);
		if (n > 0)
			segments[n - 1].next = &segments[n];
	}
	segments[0].pkt_len = len;
	segments[0].nb_segs = (uint16_t)n;
	memset(&stamp, 0, sizeof(stamp));
	return probe_frame_check(&expected, &segments[0], &stamp);
}

static void
test_crc(void)
{
	unsigned int i;

	CHECK(probe_crc_finish(probe_crc(probe_crc_start(0), "123456789", 9)) == 0xe3069283);
	for (i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * i >> 3);
	for (i = 0; i < 3000; i++)
		CHECK(probe_crc_portable(1234, frame + i % 7, i) ==
				probe_crc(1234, frame + i % 7, i));
}

static void
test_minimum(void)
{
	CHECK(probe_frame_minimum(false, false) == 64 && probe_frame_minimum(false, true) == 64);
	CHECK(probe_frame_minimum(true, false) == 72 && probe_frame_minimum(true, true) == 76);
}

/* All sizes at a limit, both protocols, with and without a tag, cut into segments. */
static void
test_good(void)
{
	static const uint16_t sizes[] = { 0, 77, 128, 1518, 2052, 2053, 4096, 8999, 9000 };
	static const unsigned int pieces[] = { 71, 72, 73, 100, 2048, 9000 };
	struct probe_shape shape;
	unsigned int i, j, kind;

	for (kind = 0; kind < 4; kind++) {
		for (i = 0; i < RTE_DIM(sizes); i++) {
			shape = udp;
			shape.tcp = (kind & 1) != 0;
			shape.vlan = (kind & 2) != 0 ? 100 : 0;
			shape.size = (uint16_t)RTE_MAX(
					sizes[i], probe_frame_minimum(shape.tcp, shape.vlan != 0));
			make(&shape);
			for (j = 0; j < RTE_DIM(pieces); j++) {
				expect(FLOW, KEY);
				if (shape.size / pieces[j] >= RTE_DIM(segments))
					continue;
				CHECK(judge(template.len, pieces[j]) == PROBE_GOOD);
				CHECK(stamp.sequence == SEQUENCE && stamp.tsc == TSC);
				CHECK(expected.learned);
			}
		}
	}
	make(&udp);
	expect(FLOW, KEY);
	CHECK(judge(template.len, 1) == PROBE_GOOD); /* headers in several segments */
}

/* Sums that other programs check. */
static void
test_sums(void)
{
	struct probe_shape shape = udp;
	const struct rte_ipv4_hdr *ip = (const void *)(frame + 14);
	unsigned int size;

	make(&udp);
	CHECK(rte_ipv4_cksum(ip) == 0 && frame[40] == 0 && frame[41] == 0);
	CHECK(ip->packet_id == rte_cpu_to_be_16(FLOW));
	shape.tcp = true;
	for (size = 72; size < 200; size++) {
		shape.size = (uint16_t)size;
		make(&shape);
		CHECK(rte_ipv4_cksum(ip) == 0);
		CHECK(rte_ipv4_udptcp_cksum(ip, frame + 34) == 0);
	}
}

static void
flip_each_bit(const struct probe_shape *shape)
{
	unsigned int bit, byte;
	enum probe_verdict verdict;

	make(shape);
	expect(FLOW, KEY);
	CHECK(judge(template.len, 9000) == PROBE_GOOD);
	for (bit = 0; bit < 8U * template.len; bit++) {
		byte = bit / 8;
		frame[byte] ^= (uint8_t)(1 << bit % 8);
		verdict = judge(template.len, 9000);
		/* with damaged MACs or flow the frame cannot be assigned */
		if (byte < 12 || (byte >= expected.flow_offset && byte < expected.flow_offset + 2U))
			CHECK(verdict == PROBE_FOREIGN);
		else
			CHECK(verdict == PROBE_CORRUPT);
		frame[byte] ^= (uint8_t)(1 << bit % 8);
	}
	CHECK(judge(template.len, 9000) == PROBE_GOOD);
}

static void
test_damaged(void)
{
	struct probe_shape shape = udp;

	flip_each_bit(&shape);
	shape.vlan = 4094;
	shape.size = 200;
	flip_each_bit(&shape);
	shape.tcp = true;
	flip_each_bit(&shape);
	make(&shape);
	CHECK(judge(template.len - 1U, 9000) == PROBE_CORRUPT); /* too short */
	CHECK(judge(template.len + 1U, 9000) == PROBE_CORRUPT); /* too long */
}

static void
test_not_ours(void)
{
	struct probe_shape shape = udp;

	make(&udp);
	expected.any = false;
	CHECK(judge(template.len, 9000) == PROBE_FOREIGN);
	expect(FLOW, KEY + 1); /* nothing learned, so not corrupt */
	CHECK(judge(template.len, 9000) == PROBE_FOREIGN);
	expect(FLOW + 1, KEY);
	CHECK(judge(template.len, 9000) == PROBE_MISDELIVERED && !expected.learned);
	expect(FLOW, KEY);
	memset(frame, 0, sizeof(frame));
	CHECK(judge(60, 9000) == PROBE_FOREIGN && judge(14, 9000) == PROBE_FOREIGN);
	expect(0, KEY); /* the compared bytes are zero, but nothing was learned */
	CHECK(judge(60, 9000) == PROBE_FOREIGN);
	expect(FLOW, KEY);
	CHECK(judge(1, 9000) == PROBE_FOREIGN && judge(9000, 9000) == PROBE_FOREIGN);
	shape.flow = FLOW + 1; /* damaged, and of another flow */
	make(&udp);
	CHECK(judge(template.len, 9000) == PROBE_GOOD);
	make(&shape);
	frame[template.len - 1] ^= 1;
	CHECK(judge(template.len, 9000) == PROBE_FOREIGN);
}

int
main(void)
{
	test_crc();
	test_minimum();
	test_good();
	test_sums();
	test_damaged();
	test_not_ours();
	return 0;
}
