/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_prefetch.h>

#include "forward/classifier.h"
#include "impair/impairment.h"

#define NONE 0xffff
#define FLOOD 0xfffe
#define VLANS 4096 /* the last one is MATCH_UNTAGGED */
/* Bits of a key that no VLAN has. */
#define SOURCE_BIT 0x8000
#define USED_BIT 0x4000
/* Under full load, outputs with few frames are flushed in turns, all within this number of bursts.
 * A flush of all at once would need more mbufs than the nearest cache has room for.
 */
#define FLUSH_BURSTS 8
#define FLUSH_LEAST 2u
#define PREFETCH 4

struct slot {
	uint64_t key; /* 0: free */
	uint16_t output;
};

struct classifier {
	struct fanout fanout;
	bool by_vlan_dst, by_dst, by_vlan_src, by_src, floods;
	unsigned int turn;    /* the output that is flushed next */
	unsigned int flushes; /* after each full burst */
	uint16_t rest;	      /* the output, or NONE */
	uint32_t mask;	      /* number of slots - 1 */
	struct slot *slot;
	uint16_t *flood_vlan; /* of each output: the VLAN whose group frames it takes */
	uint16_t by_vlan[VLANS];
};

/* The upper 6 bytes are the address. vlan may be MATCH_ANY_VLAN. */
static inline uint64_t
make_key(uint64_t mac, uint16_t vlan, uint16_t source)
{
	return mac << 16 | vlan | source | USED_BIT;
}

static inline uint32_t
hash(uint64_t key)
{
	return (uint32_t)(key * 0x9e3779b97f4a7c15ULL >> 40);
}

static inline uint16_t
look_up(const struct classifier *c, uint64_t key)
{
	uint32_t i = hash(key) & c->mask;

	for (; c->slot[i].key != 0; i = (i + 1) & c->mask)
		if (c->slot[i].key == key)
			return c->slot[i].output;
	return NONE;
}

/* Return MATCH_UNTAGGED, or the VLAN of a frame. */
static inline uint16_t
vlan_of(const uint8_t *frame)
{
	uint16_t type, tci;

	memcpy(&type, frame + 12, sizeof(type));
	if (type != RTE_BE16(RTE_ETHER_TYPE_VLAN))
		return MATCH_UNTAGGED;
	memcpy(&tci, frame + 14, sizeof(tci));
	return rte_be_to_cpu_16(tci) & 0xfff;
}

/* Return the output of a frame, FLOOD or NONE. */
static __rte_noinline uint16_t
classify(const struct classifier *c, const uint8_t *frame)
{
	uint16_t vlan = vlan_of(frame), found;
	uint64_t dst, src;

	memcpy(&dst, frame, sizeof(dst)); /* the address is its lower 6 bytes */
	if (c->by_vlan_dst && (found = look_up(c, make_key(dst, vlan, 0))) != NONE)
		return found;
	if (c->by_dst && (found = look_up(c, make_key(dst, MATCH_ANY_VLAN, 0))) != NONE)
		return found;
	if (c->by_vlan_src || c->by_src) {
		memcpy(&src, frame + 4, sizeof(src)); /* the address is its upper 6 bytes */
		src >>= 16;
		if (c->by_vlan_src && (found = look_up(c, make_key(src, vlan, SOURCE_BIT))) != NONE)
			return found;
		if (c->by_src && (found = look_up(c, make_key(src, MATCH_ANY_VLAN, SOURCE_BIT))) !=
						 NONE)
			return found;
	}
	if (c->floods && (dst & 1) != 0)
		return FLOOD;
	return c->by_vlan[vlan];
}

/* As spp_vf: a group frame that no entry has goes to every port with an entry of its VLAN, and to
 * the port of the default.
 */
static void
flood(struct classifier *c, struct rte_mbuf *m)
{
	uint16_t vlan = vlan_of(rte_pktmbuf_mtod(m, const uint8_t *));
	unsigned int i, n = 0;

	for (i = 0; i < c->fanout.n; i++)
		n += c->flood_vlan[i] == vlan || i == c->rest;
	if (n == 0) {
		c->fanout.src->stats->rx_drop++;
		rte_pktmbuf_free(m);
		return;
	}
	rte_pktmbuf_refcnt_update(m, (int16_t)(n - 1));
	for (i = 0; i < c->fanout.n; i++)
		if (c->flood_vlan[i] == vlan || i == c->rest)
			output_push(&c->fanout.output[i], m);
}

/* Return the slot where the most specific key of a frame is in most cases. */
static inline const struct slot *
first_slot(const struct classifier *c, const uint8_t *frame, uint64_t *key)
{
	uint16_t vlan = MATCH_ANY_VLAN;
	uint64_t dst;

	if (c->by_vlan_dst)
		vlan = vlan_of(frame);
	memcpy(&dst, frame, sizeof(dst));
	*key = make_key(dst, vlan, 0);
	return &c->slot[hash(*key) & c->mask];
}

/* Find the outputs of all frames before any frame is moved, so that the CPU works on several frames
 * at a time.
 */
static void
classify_all(const struct classifier *c, struct rte_mbuf **bufs, uint16_t n, uint16_t *to)
{
	const struct slot *slot;
	const uint8_t *frame;
	uint64_t key;
	uint16_t i;

	for (i = 0; i < n && i < PREFETCH; i++)
		rte_prefetch0(rte_pktmbuf_mtod(bufs[i], const void *));
	for (i = 0; i < n; i++) {
		if (i + PREFETCH < n)
			rte_prefetch0(rte_pktmbuf_mtod(bufs[i + PREFETCH], const void *));
		to[i] = c->rest;
		if (unlikely(bufs[i]->data_len < RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN))
			continue;
		frame = rte_pktmbuf_mtod(bufs[i], const uint8_t *);
		slot = first_slot(c, frame, &key);
		to[i] = likely(slot->key == key) ? slot->output : classify(c, frame);
	}
}

static void
flush_next(struct classifier *c)
{
	struct output *o;
	unsigned int i;

	for (i = 0; i < c->flushes; i++) {
		o = &c->fanout.output[c->turn];
		if (o->n > 0)
			output_flush(o);
		c->turn = c->turn + 1 < c->fanout.n ? c->turn + 1 : 0;
	}
}

/* A short burst, or none, shows that the source has no more frames: flush all outputs. */
static uint16_t
classifier_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct classifier *c = (struct classifier *)port;
	struct rte_mbuf *dropped[FORWARD_BURST];
	uint16_t to[FORWARD_BURST];
	uint16_t i, ndropped = 0;

	classify_all(c, bufs, n, to);
	for (i = 0; i < n; i++) {
		if (likely(to[i] < c->fanout.n)) {
			output_push(&c->fanout.output[to[i]], bufs[i]);
		} else if (to[i] == FLOOD) {
			flood(c, bufs[i]);
		} else {
			dropped[ndropped++] = bufs[i];
		}
	}
	if (ndropped > 0) {
		c->fanout.src->stats->rx_drop += ndropped;
		rte_pktmbuf_free_bulk(dropped, ndropped);
	}
	if (n < FORWARD_BURST)
		fanout_flush(&c->fanout);
	else
		flush_next(c);
	return n;
}

static void
classifier_close(struct port *port)
{
	struct classifier *c = (struct classifier *)port;

	free(c->slot);
	free(c->flood_vlan);
}

static const struct port_ops classifier_ops = {
	.tx_burst = classifier_tx,
	.close = classifier_close,
};

static bool
allocate(struct classifier *c, unsigned int nrules)
{
	uint32_t slots = 16;

	while (slots < 4 * nrules)
		slots *= 2;
	c->mask = slots - 1;
	c->slot = calloc(slots, sizeof(c->slot[0]));
	c->flood_vlan = calloc(nrules + 1, sizeof(c->flood_vlan[0]));
	return c->slot != NULL && c->flood_vlan != NULL;
}

static void
add_mac(struct classifier *c, const struct match *match, uint16_t output)
{
	bool source = match->kind == MATCH_SRC_MAC, any = match->vlan == MATCH_ANY_VLAN;
	uint64_t key = make_key(match->mac, match->vlan, source ? SOURCE_BIT : 0);
	uint32_t i = hash(key) & c->mask;

	while (c->slot[i].key != 0 && c->slot[i].key != key)
		i = (i + 1) & c->mask;
	c->slot[i] = (struct slot){ key, output };
	c->by_vlan_dst |= !source && !any;
	c->by_dst |= !source && any;
	c->by_vlan_src |= source && !any;
	c->by_src |= source && any;
}

static void
fill(struct classifier *c, const struct patch_rules *rules, struct port *rest)
{
	const struct patch_rule *rule;
	unsigned int i;
	uint16_t output;

	c->rest = rest != NULL ? (uint16_t)fanout_add(&c->fanout, rest) : NONE;
	for (i = 0; i < VLANS; i++)
		c->by_vlan[i] = c->rest;
	for (i = 0; i <= rules->n; i++)
		c->flood_vlan[i] = MATCH_ANY_VLAN; /* no VLAN */
	for (i = 0; i < rules->n; i++) {
		rule = &rules->rule[i];
		output = (uint16_t)fanout_add(
				&c->fanout, impairment_or(rule->impairment, rule->dst));
		if (rule->match.kind != MATCH_NO_MAC)
			add_mac(c, &rule->match, output);
		else
			c->by_vlan[rule->match.vlan] = output;
		if (rule->match.flood) {
			c->floods = true;
			c->flood_vlan[output] = rule->match.vlan;
		}
	}
	c->flushes = RTE_MAX(FLUSH_LEAST, (c->fanout.n + FLUSH_BURSTS - 1) / FLUSH_BURSTS);
}

struct fanout *
classifier_new(struct port *src, const struct patch_rules *rules, struct port *rest)
{
	struct classifier *c = fanout_new(sizeof(*c), &classifier_ops, src, rules->n + 1);

	if (c == NULL)
		return NULL;
	if (allocate(c, rules->n)) {
		fill(c, rules, rest);
		return &c->fanout;
	}
	fanout_free(&c->fanout);
	return NULL;
}
