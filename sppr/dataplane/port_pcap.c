/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "invoker.h"
#include "port.h"
#include "say.h"

#define SNAPLEN 65535

/* Reads /tmp/spp-rxN.pcap once to its end (no file: no packets), writes /tmp/spp-txN.pcap. A
 * debugging aid, not a fast port.
 */
struct port_pcap {
	struct port port;
	struct rte_mempool *pool;
	pcap_t *rx;
	pcap_t *link; /* what the writer says the frames are */
	pcap_dumper_t *tx;
};

static struct rte_mbuf *
read_frame(struct port_pcap *p)
{
	struct pcap_pkthdr *header;
	const u_char *data;
	struct rte_mbuf *m;
	char *to;

	if (p->rx == NULL || (m = rte_pktmbuf_alloc(p->pool)) == NULL)
		return NULL;
	if (pcap_next_ex(p->rx, &header, &data) != 1) {
		rte_pktmbuf_free(m);
		pcap_close(p->rx);
		p->rx = NULL;
		return NULL;
	}
	if (header->caplen > rte_pktmbuf_tailroom(m))
		header->caplen = rte_pktmbuf_tailroom(m);
	to = rte_pktmbuf_append(m, (uint16_t)header->caplen);
	memcpy(to, data, header->caplen);
	return m;
}

static uint16_t
pcap_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct port_pcap *p = (struct port_pcap *)port;
	uint16_t i;

	for (i = 0; i < n; i++) {
		bufs[i] = read_frame(p);
		if (bufs[i] == NULL)
			break;
	}
	return i;
}

static uint16_t
pcap_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct port_pcap *p = (struct port_pcap *)port;
	struct pcap_pkthdr header;
	char flat[RTE_MBUF_DEFAULT_BUF_SIZE * 4];
	uint16_t i;

	gettimeofday(&header.ts, NULL);
	for (i = 0; i < n; i++) {
		header.len = bufs[i]->pkt_len;
		header.caplen = RTE_MIN(header.len, (uint32_t)sizeof(flat));
		pcap_dump((u_char *)p->tx, &header,
				rte_pktmbuf_read(bufs[i], 0, header.caplen, flat));
		rte_pktmbuf_free(bufs[i]);
	}
	pcap_dump_flush(p->tx); /* whoever looks at the file sees what was sent */
	return n;
}

static void
pcap_port_close(struct port *port)
{
	struct port_pcap *p = (struct port_pcap *)port;

	if (p->tx != NULL)
		pcap_dump_close(p->tx);
	if (p->link != NULL)
		pcap_close(p->link);
	if (p->rx != NULL)
		pcap_close(p->rx);
}

/* Once a file has ended nothing comes any more. */
static int
pcap_arm(struct port *port, uint64_t waker)
{
	(void)waker;
	return ((struct port_pcap *)port)->rx == NULL ? WAIT_NONE : WAIT_POLL;
}

static const struct port_ops pcap_ops = {
	.rx_burst = pcap_rx,
	.tx_burst = pcap_tx,
	.close = pcap_port_close,
	.arm = pcap_arm,
};

static int
open_files(struct port_pcap *p, unsigned int number)
{
	char error[PCAP_ERRBUF_SIZE];
	char path[64];

	snprintf(path, sizeof(path), "/tmp/spp-rx%u.pcap", number);
	if (access(path, F_OK) == 0) {
		p->rx = pcap_open_offline(path, error);
		if (p->rx == NULL) {
			say("%s", error);
			return -1;
		}
	}
	snprintf(path, sizeof(path), "/tmp/spp-tx%u.pcap", number);
	p->link = pcap_open_dead(DLT_EN10MB, SNAPLEN);
	invoker_enter();
	p->tx = p->link != NULL ? pcap_dump_open(p->link, path) : NULL;
	invoker_leave();
	if (p->tx == NULL) {
		say("%s", p->link != NULL ? pcap_geterr(p->link) : "no memory for pcap");
		return -1;
	}
	return 0;
}

struct port *
port_pcap_open(const struct port_env *env, struct uid uid)
{
	struct port_pcap *p = port_alloc(sizeof(*p), uid, &pcap_ops);

	if (p == NULL)
		return NULL;
	p->pool = env->view->pool;
	if (open_files(p, uid.number) < 0) {
		port_close(&p->port);
		return NULL;
	}
	return &p->port;
}
