/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>

#include "port/vlan.h"

static uint16_t
get_tci(const struct rte_mbuf *m)
{
	const struct rte_vlan_hdr *tag =
			rte_pktmbuf_mtod_offset(m, const struct rte_vlan_hdr *, RTE_ETHER_HDR_LEN);

	return rte_be_to_cpu_16(tag->vlan_tci);
}

static void
put_tag(char *start, uint16_t tpid, uint16_t tci)
{
	const uint16_t tag[2] = { rte_cpu_to_be_16(tpid), rte_cpu_to_be_16(tci) };

	memcpy(start + 2 * RTE_ETHER_ADDR_LEN, tag, sizeof(tag));
}

bool
vlan_is_tagged(const struct rte_mbuf *m, uint16_t tpid)
{
	const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	return m->data_len >= RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN &&
	       ether->ether_type == rte_cpu_to_be_16(tpid);
}

bool
vlan_push(struct rte_mbuf *m, uint16_t tpid, uint16_t tci)
{
	char *start;

	if (m->data_len < RTE_ETHER_HDR_LEN)
		return false;
	start = rte_pktmbuf_prepend(m, RTE_VLAN_HLEN);
	if (start == NULL)
		return false;
	memmove(start, start + RTE_VLAN_HLEN, 2 * RTE_ETHER_ADDR_LEN);
	put_tag(start, tpid, tci);
	return true;
}

bool
vlan_replace(struct rte_mbuf *m, uint16_t tci)
{
	if (!vlan_is_tagged(m, VLAN_TPID))
		return vlan_push(m, VLAN_TPID, tci);
	put_tag(rte_pktmbuf_mtod(m, char *), VLAN_TPID, tci);
	return true;
}

int
vlan_pop(struct rte_mbuf *m, uint16_t tpid)
{
	char *start = rte_pktmbuf_mtod(m, char *);
	uint16_t tci;

	if (!vlan_is_tagged(m, tpid))
		return -1;
	tci = get_tci(m);
	memmove(start + RTE_VLAN_HLEN, start, 2 * RTE_ETHER_ADDR_LEN);
	rte_pktmbuf_adj(m, RTE_VLAN_HLEN);
	return tci & VLAN_ID_MASK;
}
