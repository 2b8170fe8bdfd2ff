/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "base/check.h"
#include "forward/classifier.h"
#include "forward/mirror.h"

/* Frames and ports in ordinary memory, without DPDK's pools. */

#define OUTPUTS 16

struct frame {
	struct rte_mbuf m;
	uint8_t data[RTE_PKTMBUF_HEADROOM + 64];
};

static struct port *sink[OUTPUTS], *src;
static unsigned int received[OUTPUTS];
static struct rte_mbuf *last[OUTPUTS];

static uint16_t
sink_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	received[port->id.number] += n;
	if (n > 0)
		last[port->id.number] = bufs[n - 1];
	return n;
}

static void
no_close(struct port *port)
{
	(void)port;
}

static const struct port_ops sink_ops = { .tx_burst = sink_tx, .close = no_close };

static struct rte_mbuf *
make_frame(struct frame *f, const char *dst, const char *source, int vlan)
{
	uint64_t mac;
	uint8_t *p = f->data + RTE_PKTMBUF_HEADROOM;

	memset(f, 0, sizeof(*f));
	f->m.buf_addr = f->data;
	f->m.data_off = RTE_PKTMBUF_HEADROOM;
	f->m.data_len = 60;
	f->m.pkt_len = 60;
	f->m.nb_segs = 1;
	rte_mbuf_refcnt_set(&f->m, 1);
	CHECK(match_parse_mac(dst, &mac));
	memcpy(p, &mac, 6);
	CHECK(match_parse_mac(source, &mac));
	memcpy(p + 6, &mac, 6);
	p[12] = vlan >= 0 ? 0x81 : 0x08;
	if (vlan >= 0) {
		p[14] = (uint8_t)(vlan >> 8 | 0xe0); /* with a priority */
		p[15] = (uint8_t)vlan;
	}
	return &f->m;
}

static struct patch_rules *
make_rules(unsigned int n)
{
	struct patch_rules *rules = calloc(1, sizeof(*rules) + n * sizeof(rules->rule[0]));

	CHECK(rules != NULL);
	return rules;
}

static void
add_rule(struct patch_rules *rules, unsigned int to, uint16_t vlan, enum match_mac kind,
		const char *mac, bool flood)
{
	struct match match = { .vlan = vlan, .kind = kind, .flood = flood };

	CHECK(kind == MATCH_NO_MAC || match_parse_mac(mac, &match.mac));
	rules->rule[rules->n++] = (struct patch_rule){ .match = match, .dst = sink[to] };
}

/* Return the output of one frame, or -1. */
static int
send_one(struct fanout *f, struct rte_mbuf *m)
{
	unsigned int i;
	int to = -1;

	memset(received, 0, sizeof(received));
	f->port.ops->tx_burst(&f->port, &m, 1);
	for (i = 0; i < OUTPUTS; i++)
		if (received[i] > 0)
			to = to < 0 ? (int)i : 99;
	return to;
}

static void
test_most_specific_wins(void)
{
	static const char a[] = "02:00:00:00:00:0a", b[] = "02:00:00:00:00:0b",
			  x[] = "02:00:00:00:00:ff";
	struct patch_rules *rules = make_rules(4);
	struct fanout *f;
	struct frame frame;

	add_rule(rules, 0, MATCH_ANY_VLAN, MATCH_DST_MAC, a, false);
	add_rule(rules, 1, 100, MATCH_DST_MAC, a, false);
	add_rule(rules, 2, 100, MATCH_NO_MAC, NULL, false);
	add_rule(rules, 2, MATCH_ANY_VLAN, MATCH_SRC_MAC, b, false);
	f = classifier_new(src, rules, sink[3]);
	CHECK(f != NULL && f->n == 4);
	CHECK(send_one(f, make_frame(&frame, a, x, -1)) == 0);
	CHECK(send_one(f, make_frame(&frame, a, x, 7)) == 0);
	CHECK(send_one(f, make_frame(&frame, a, x, 100)) == 1);
	CHECK(send_one(f, make_frame(&frame, x, x, 100)) == 2);
	CHECK(send_one(f, make_frame(&frame, x, b, 7)) == 2);
	CHECK(send_one(f, make_frame(&frame, a, b, 7)) == 0);
	CHECK(send_one(f, make_frame(&frame, b, a, 7)) == 3);
	CHECK(send_one(f, make_frame(&frame, x, x, -1)) == 3);
	CHECK(send_one(f, make_frame(&frame, "ff:ff:ff:ff:ff:ff", x, -1)) == 3);
	make_frame(&frame, a, x, -1)->data_len = 14; /* too short to look at */
	CHECK(send_one(f, &frame.m) == 3);
	fanout_free(f);
	free(rules);
}

/* The rules of spp_vf: entries of `mac` are for frames without a tag, group frames go to all. */
static void
test_classifier_table(void)
{
	static const char a[] = "02:00:00:00:00:0a", x[] = "02:00:00:00:00:ff",
			  all[] = "ff:ff:ff:ff:ff:ff";
	struct patch_rules *rules = make_rules(4);
	struct fanout *f;
	struct frame frame;

	add_rule(rules, 0, MATCH_UNTAGGED, MATCH_DST_MAC, a, true);
	add_rule(rules, 1, 100, MATCH_DST_MAC, a, true);
	add_rule(rules, 2, MATCH_UNTAGGED, MATCH_NO_MAC, NULL, true);
	add_rule(rules, 3, 0, MATCH_DST_MAC, a, true);
	f = classifier_new(src, rules, sink[2]);
	CHECK(f != NULL && f->n == 4);
	CHECK(send_one(f, make_frame(&frame, a, x, -1)) == 0);
	CHECK(send_one(f, make_frame(&frame, a, x, 100)) == 1);
	CHECK(send_one(f, make_frame(&frame, a, x, 7)) == 2);
	CHECK(send_one(f, make_frame(&frame, a, x, 0)) == 3); /* VLAN 0 is not any VLAN */
	CHECK(send_one(f, make_frame(&frame, x, x, 0)) == 2);
	CHECK(send_one(f, make_frame(&frame, x, x, -1)) == 2);
	send_one(f, make_frame(&frame, all, x, -1));
	CHECK(received[0] == 1 && received[1] == 0 && received[2] == 1);
	CHECK(rte_mbuf_refcnt_read(&frame.m) == 2);
	send_one(f, make_frame(&frame, all, x, 100));
	CHECK(received[0] == 0 && received[1] == 1 && received[2] == 1);
	CHECK(send_one(f, make_frame(&frame, all, x, 7)) == 2);
	fanout_free(f);
	free(rules);
}

static unsigned int
total_received(void)
{
	unsigned int i, sum = 0;

	for (i = 0; i < OUTPUTS; i++)
		sum += received[i];
	return sum;
}

/* While the bursts are full, outputs collect frames, and two outputs are flushed after a burst. */
static void
test_flush(void)
{
	static struct frame frames[FORWARD_BURST];
	struct rte_mbuf *bufs[FORWARD_BURST];
	struct patch_rules *rules = make_rules(OUTPUTS);
	struct fanout *f;
	unsigned int i;

	for (i = 0; i < OUTPUTS; i++)
		add_rule(rules, i, (uint16_t)i, MATCH_NO_MAC, NULL, false);
	f = classifier_new(src, rules, NULL);
	for (i = 0; i < FORWARD_BURST; i++) /* four to each output */
		bufs[i] = make_frame(&frames[i], "2:0:0:0:0:1", "2:0:0:0:0:2", (int)i % OUTPUTS);
	memset(received, 0, sizeof(received));
	for (i = 1; i <= OUTPUTS / 2; i++) {
		f->port.ops->tx_burst(&f->port, bufs, FORWARD_BURST);
		CHECK(received[2 * i - 2] == 4 * i && received[2 * i - 1] == 4 * i);
		CHECK(total_received() == 4 * i * (i + 1));
	}
	CHECK(last[2] == bufs[50]);
	f->port.ops->tx_burst(&f->port, bufs, FORWARD_BURST);
	CHECK(received[0] == 36 && received[2] == 8);
	f->port.ops->tx_burst(&f->port, bufs, 0);
	CHECK(total_received() == 9 * FORWARD_BURST && received[2] == 36);
	for (i = 0; i < FORWARD_BURST; i++)
		bufs[i] = &frames[9].m;
	f->port.ops->tx_burst(&f->port, bufs, FORWARD_BURST);
	CHECK(received[9] == 36 + FORWARD_BURST); /* a full output does not wait */
	fanout_free(f);
	free(rules);
}

static void
test_mirror(void)
{
	struct fanout *f = mirror_new(src, sink[0], sink[1]);
	struct rte_mbuf *m;
	struct frame frame;

	CHECK(f != NULL);
	m = make_frame(&frame, "2:0:0:0:0:1", "2:0:0:0:0:2", -1);
	memset(received, 0, sizeof(received));
	CHECK(f->port.ops->tx_burst(&f->port, &m, 1) == 1);
	CHECK(received[0] == 1 && received[1] == 1 && rte_mbuf_refcnt_read(m) == 2);
	CHECK(last[0] == m && last[1] == m);
	fanout_free(f);
}

int
main(void)
{
	unsigned int i;

	for (i = 0; i < OUTPUTS; i++)
		sink[i] = port_alloc(sizeof(*sink[i]), (struct port_id){ .number = (uint16_t)i },
				&sink_ops);
	src = port_alloc(sizeof(*src), (struct port_id){ 0 }, &sink_ops);
	test_most_specific_wins();
	test_classifier_table();
	test_flush();
	test_mirror();
	for (i = 0; i < OUTPUTS; i++)
		port_close(sink[i]);
	port_close(src);
	return 0;
}
