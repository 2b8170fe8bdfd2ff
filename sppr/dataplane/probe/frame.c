/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "probe/frame.h"

#define ETHER_LEN 14
#define VLAN_LEN 4
#define IP_LEN 20
#define UDP_LEN 8
#define TCP_LEN 20
#define TCP_SUM 16 /* offset of the checksum in the TCP header */
#define IP_ID 4	   /* offset of the identification in the IPv4 header */
#define LEN_MIN (PROBE_SIZE_MIN - PROBE_FCS)

unsigned int
probe_frame_minimum(bool tcp, bool vlan)
{
	unsigned int size = ETHER_LEN + (vlan ? VLAN_LEN : 0) + IP_LEN + (tcp ? TCP_LEN : UDP_LEN) +
			    PROBE_STAMP + PROBE_FCS;

	return RTE_MAX(size, (unsigned int)PROBE_SIZE_MIN);
}

/* Write the Ethernet header. Return the offset of the IPv4 header. */
static unsigned int
put_ether(uint8_t *to, const struct probe_shape *shape)
{
	uint16_t type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	uint16_t tag[2] = { rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN), rte_cpu_to_be_16(shape->vlan) };
	unsigned int at = 12;

	memcpy(to, shape->dst_mac, 6);
	memcpy(to + 6, shape->src_mac, 6);
	if (shape->vlan != 0) {
		memcpy(to + at, tag, sizeof(tag));
		at += VLAN_LEN;
	}
	memcpy(to + at, &type, sizeof(type));
	return at + 2;
}

static void
put_ip(uint8_t *to, const struct probe_shape *shape, unsigned int len)
{
	struct rte_ipv4_hdr ip = {
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16((uint16_t)len),
		.packet_id = rte_cpu_to_be_16(shape->flow),
		.time_to_live = 64,
		.next_proto_id = shape->tcp ? IPPROTO_TCP : IPPROTO_UDP,
		.src_addr = rte_cpu_to_be_32(shape->src_ip),
		.dst_addr = rte_cpu_to_be_32(shape->dst_ip),
	};

	ip.hdr_checksum = rte_ipv4_cksum(&ip);
	memcpy(to, &ip, sizeof(ip));
}

static void
put_udp(uint8_t *to, const struct probe_shape *shape, unsigned int len)
{
	struct rte_udp_hdr udp = {
		.src_port = rte_cpu_to_be_16(shape->src_port),
		.dst_port = rte_cpu_to_be_16(shape->dst_port),
		.dgram_len = rte_cpu_to_be_16((uint16_t)len),
	};

	memcpy(to, &udp, sizeof(udp));
}

static void
put_tcp(uint8_t *to, const struct probe_shape *shape)
{
	struct rte_tcp_hdr tcp = {
		.src_port = rte_cpu_to_be_16(shape->src_port),
		.dst_port = rte_cpu_to_be_16(shape->dst_port),
		.data_off = TCP_LEN / 4 << 4,
		.tcp_flags = RTE_TCP_ACK_FLAG,
		.rx_win = 0xffff,
	};

	memcpy(to, &tcp, sizeof(tcp));
}

/* Return the TCP checksum while the stamp is zero. */
static uint32_t
constant_sum(const uint8_t *ip, const uint8_t *tcp, unsigned int len)
{
	struct rte_ipv4_hdr header;

	memcpy(&header, ip, sizeof(header));
	return (uint32_t)rte_ipv4_phdr_cksum(&header, 0) + rte_raw_cksum(tcp, len);
}

void
probe_template_make(struct probe_template *t, const struct probe_shape *shape)
{
	unsigned int l3, l4, i;

	memset(t, 0, sizeof(*t));
	t->len = (uint16_t)(shape->size - PROBE_FCS);
	l3 = put_ether(t->bytes, shape);
	l4 = l3 + IP_LEN;
	put_ip(t->bytes + l3, shape, t->len - l3);
	if (shape->tcp)
		put_tcp(t->bytes + l4, shape);
	else
		put_udp(t->bytes + l4, shape, t->len - l4);
	t->stamp = (uint16_t)(l4 + (shape->tcp ? TCP_LEN : UDP_LEN));
	for (i = t->stamp + PROBE_STAMP; i < t->len; i++)
		t->bytes[i] = (uint8_t)i;
	t->crc = probe_crc_start(shape->key);
	if (!shape->tcp) {
		t->crc = probe_crc(t->crc, t->bytes, t->stamp);
		return;
	}
	t->tcp_sum = (uint16_t)(l4 + TCP_SUM);
	t->sum = constant_sum(t->bytes + l3, t->bytes + l4, t->len - l4);
	t->crc = probe_crc(t->crc, t->bytes, t->tcp_sum);
	t->crc = probe_crc(t->crc, t->bytes + t->tcp_sum + 2, t->stamp - t->tcp_sum - 2U);
}

/* The stamp starts at an even offset in the TCP segment, so its sum can be added to the rest. */
void
probe_frame_sum(const struct probe_template *t, uint8_t *head)
{
	uint32_t sum = t->sum + rte_raw_cksum(head + t->stamp, PROBE_STAMP);
	uint16_t folded;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	folded = (uint16_t)~sum;
	memcpy(head + t->tcp_sum, &folded, sizeof(folded));
}

/* Offsets in a frame that may come from a probe. */
struct layout {
	unsigned int l3;
	unsigned int l4;
	unsigned int stamp;
	bool tcp;
};

static inline uint16_t
word_at(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* head has PROBE_HEADERS_MAX bytes. Those after the end of the frame are arbitrary. */
static inline bool
find_layout(const uint8_t *head, unsigned int len, struct layout *at)
{
	const uint8_t *ip;

	if (len < LEN_MIN)
		return false;
	at->l3 = word_at(head + 12) == RTE_ETHER_TYPE_VLAN ? ETHER_LEN + VLAN_LEN : ETHER_LEN;
	ip = head + at->l3;
	if (word_at(ip - 2) != RTE_ETHER_TYPE_IPV4 || ip[0] != RTE_IPV4_VHL_DEF ||
			word_at(ip + 2) != len - at->l3)
		return false;
	at->tcp = ip[9] == IPPROTO_TCP;
	if (!at->tcp && ip[9] != IPPROTO_UDP)
		return false;
	at->l4 = at->l3 + IP_LEN;
	at->stamp = at->l4 + (at->tcp ? TCP_LEN : UDP_LEN);
	return len >= at->stamp + PROBE_STAMP;
}

/* Continue a CRC from offset `from` on, over all segments. */
static uint32_t
crc_of_rest(const struct rte_mbuf *m, unsigned int from, uint32_t crc)
{
	for (; m != NULL; m = m->next) {
		if (from < m->data_len)
			crc = probe_crc(crc, rte_pktmbuf_mtod(m, const uint8_t *) + from,
					m->data_len - from);
		from = from < m->data_len ? 0 : from - m->data_len;
	}
	return crc;
}

static inline bool
crc_is_right(const struct rte_mbuf *m, const uint8_t *head, const struct layout *at, uint32_t key)
{
	const unsigned int sum = at->l4 + TCP_SUM, end = at->stamp + PROBE_STAMP_SIGNED;
	uint32_t crc = probe_crc_start(key), got;

	if (likely(!at->tcp)) {
		crc = probe_crc(crc, head, end);
	} else {
		crc = probe_crc(crc, head, sum);
		crc = probe_crc(crc, head + sum + 2, end - sum - 2);
	}
	if (likely(m->data_len == m->pkt_len))
		crc = probe_crc(crc, head + at->stamp + PROBE_STAMP,
				m->pkt_len - at->stamp - PROBE_STAMP);
	else
		crc = crc_of_rest(m, at->stamp + PROBE_STAMP, crc);
	memcpy(&got, head + end, sizeof(got));
	return rte_be_to_cpu_32(got) == probe_crc_finish(crc);
}

/* Return the sum of the 16-bit words from offset `from` on. rte_raw_cksum_mbuf of DPDK 22.11 is
 * wrong for segments that start at an odd offset: it cuts a sum to 16 bits before it is folded.
 */
static uint32_t
sum_of_rest(const struct rte_mbuf *m, unsigned int from)
{
	uint32_t sum = 0;
	uint16_t part;
	bool odd = false;

	for (; m != NULL; m = m->next) {
		if (from < m->data_len) {
			part = rte_raw_cksum(rte_pktmbuf_mtod(m, const uint8_t *) + from,
					m->data_len - from);
			sum += odd ? rte_bswap16(part) : part;
			odd ^= ((m->data_len - from) & 1) != 0;
		}
		from = from < m->data_len ? 0 : from - m->data_len;
	}
	return sum;
}

static bool
tcp_sum_is_right(const struct rte_mbuf *m, const uint8_t *head, const struct layout *at)
{
	struct rte_ipv4_hdr ip;
	uint32_t sum;

	memcpy(&ip, head + at->l3, sizeof(ip));
	sum = sum_of_rest(m, at->l4) + rte_ipv4_phdr_cksum(&ip, 0);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

static bool
looks_like_ours(const struct probe_expected *e, const uint8_t *head, unsigned int len)
{
	return e->learned && len >= LEN_MIN && memcmp(head, e->macs, sizeof(e->macs)) == 0 &&
	       word_at(head + e->flow_offset) == e->flow;
}

enum probe_verdict
probe_frame_check(struct probe_expected *e, const struct rte_mbuf *m, struct probe_stamp *stamp)
{
	const unsigned int len = m->pkt_len;
	uint8_t copy[PROBE_HEADERS_MAX];
	const uint8_t *head = rte_pktmbuf_mtod(m, const uint8_t *);
	struct layout at;
	uint64_t first;

	if (unlikely(!e->any || len < LEN_MIN))
		return PROBE_FOREIGN;
	/* one segment may end before PROBE_HEADERS_MAX; the layout check comes first */
	if (unlikely(m->data_len < RTE_MIN(len, (unsigned int)PROBE_HEADERS_MAX))) {
		memset(copy, 0, sizeof(copy));
		head = rte_pktmbuf_read(m, 0, RTE_MIN(len, (unsigned int)sizeof(copy)), copy);
		if (head == NULL)
			return PROBE_FOREIGN;
	}
	if (unlikely(!find_layout(head, len, &at) || !crc_is_right(m, head, &at, e->key)))
		return looks_like_ours(e, head, len) ? PROBE_CORRUPT : PROBE_FOREIGN;
	if (at.tcp && !tcp_sum_is_right(m, head, &at))
		return looks_like_ours(e, head, len) ? PROBE_CORRUPT : PROBE_FOREIGN;
	memcpy(&first, head + at.stamp, sizeof(first));
	first = rte_be_to_cpu_64(first);
	stamp->sequence = (uint32_t)(first >> 32);
	stamp->tsc = (first & UINT32_MAX) << 16 | word_at(head + at.stamp + sizeof(first));
	if (word_at(head + at.l3 + IP_ID) != e->flow)
		return PROBE_MISDELIVERED;
	e->learned = true;
	e->flow_offset = (uint16_t)(at.l3 + IP_ID);
	memcpy(e->macs, head, sizeof(e->macs));
	return PROBE_GOOD;
}
