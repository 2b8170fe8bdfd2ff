/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_ether.h>

#include "base/check.h"
#include "port/vlan.h"

/* Frames in ordinary memory, without DPDK's pools. */

#define SIZE 64

struct frame {
	struct rte_mbuf m;
	uint8_t data[RTE_PKTMBUF_HEADROOM + SIZE];
};

/* Make a frame of numbered bytes, without a tag. */
static struct rte_mbuf *
make_frame(struct frame *f, uint16_t len, uint16_t headroom)
{
	uint16_t i;

	memset(f, 0, sizeof(*f));
	f->m.buf_addr = f->data;
	f->m.buf_len = sizeof(f->data);
	f->m.data_off = headroom;
	f->m.data_len = len;
	f->m.pkt_len = len;
	f->m.nb_segs = 1;
	for (i = 0; i < len; i++)
		f->data[headroom + i] = (uint8_t)(i + 1);
	return &f->m;
}

static void
check_bytes(const struct rte_mbuf *m, uint16_t at, const char *bytes, size_t n)
{
	CHECK(memcmp(rte_pktmbuf_mtod_offset(m, const char *, at), bytes, n) == 0);
}

static void
test_push_adds_a_tag_before_others(void)
{
	struct frame f;
	struct rte_mbuf *m = make_frame(&f, SIZE, RTE_PKTMBUF_HEADROOM);

	CHECK(!vlan_is_tagged(m, VLAN_TPID));
	CHECK(vlan_push(m, VLAN_TPID, 7) && vlan_push(m, VLAN_LINK_TPID, 0x6102));
	CHECK(m->data_len == SIZE + 8 && m->pkt_len == SIZE + 8);
	check_bytes(m, 0, "\1\2\3\4\5\6\7\10\11\12\13\14\x91\0\x61\2\x81\0\0\7\15\16\17", 23);
	CHECK(vlan_is_tagged(m, VLAN_LINK_TPID) && vlan_pop(m, VLAN_TPID) == -1);
	CHECK(vlan_pop(m, VLAN_LINK_TPID) == 0x102 && vlan_pop(m, VLAN_TPID) == 7);
	CHECK(vlan_pop(m, VLAN_TPID) == -1);
	CHECK(m->data_len == SIZE && m->pkt_len == SIZE);
	check_bytes(m, 0, "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17", 15);
}

static void
test_push_refuses_what_does_not_fit(void)
{
	struct frame f;

	CHECK(!vlan_push(
			make_frame(&f, RTE_ETHER_HDR_LEN - 1, RTE_PKTMBUF_HEADROOM), VLAN_TPID, 7));
	CHECK(!vlan_push(make_frame(&f, SIZE, RTE_VLAN_HLEN - 1), VLAN_TPID, 7));
	CHECK(vlan_push(make_frame(&f, SIZE, RTE_VLAN_HLEN), VLAN_TPID, 7));
}

static void
test_replace_keeps_one_tag(void)
{
	struct frame f;
	struct rte_mbuf *m = make_frame(&f, SIZE, RTE_PKTMBUF_HEADROOM);

	CHECK(vlan_replace(m, 7) && vlan_replace(m, 8));
	CHECK(m->data_len == SIZE + 4);
	CHECK(vlan_pop(m, VLAN_TPID) == 8 && vlan_pop(m, VLAN_TPID) == -1);
}

int
main(void)
{
	test_push_adds_a_tag_before_others();
	test_push_refuses_what_does_not_fit();
	test_replace_keeps_one_tag();
	return 0;
}
