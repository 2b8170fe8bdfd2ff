/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"
#include "port/port.h"
#include "port/port_type.h"
#include "security/sudo_user.h"
#include "security/trusted_file.h"

#define SNAPLEN 65535

/* Read spp-rxN.pcap once, and write spp-txN.pcap. Without the first file there are no packets. Both
 * are in the directory of --sock-dir; its default is SPP's /tmp. For debugging, not fast.
 */
struct port_pcap {
	struct port port;
	struct rte_mempool *pool;
	pcap_t *rx;
	pcap_t *link; /* the link type of the written file */
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
	pcap_dump_flush(p->tx); /* readers of the file see each burst */
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

/* No packets come after the end of the file. */
static int
pcap_arm(struct port *port, uint64_t token)
{
	(void)token;
	return ((struct port_pcap *)port)->rx == NULL ? WAIT_NONE : WAIT_POLL;
}

static const struct port_ops pcap_ops = {
	.rx_burst = pcap_rx,
	.tx_burst = pcap_tx,
	.close = pcap_port_close,
	.arm = pcap_arm,
	.counts_bytes = true,
};

/* Any user can write to /tmp, so a file there may belong to another user or be a link. */
static FILE *
open_file(const char *path, int flags, const char *mode)
{
	const char *why;
	int fd = trusted_file_open(path, flags, 0644, &why);
	FILE *f;

	if (fd < 0) {
		if (errno != ENOENT)
			log_line("%s: %s; not used", path, why);
		return NULL;
	}
	f = fdopen(fd, mode);
	if (f == NULL || ((flags & O_CREAT) != 0 && ftruncate(fd, 0) < 0)) {
		log_line("%s: %s", path, strerror(errno));
		if (f != NULL)
			fclose(f);
		else
			close(fd);
		return NULL;
	}
	return f;
}

static int
open_rx(struct port_pcap *p, const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	FILE *f;

	errno = 0;
	f = open_file(path, O_RDONLY, "r");
	if (f == NULL)
		return errno == ENOENT ? 0 : -1;
	p->rx = pcap_fopen_offline(f, error);
	if (p->rx != NULL)
		return 0;
	log_line("%s: %s", path, error);
	fclose(f);
	return -1;
}

static int
open_tx(struct port_pcap *p, const char *path)
{
	FILE *f;

	p->link = pcap_open_dead(DLT_EN10MB, SNAPLEN);
	if (p->link == NULL) {
		log_line("%s: no memory for pcap", path);
		return -1;
	}
	sudo_user_enter();
	f = open_file(path, O_WRONLY | O_CREAT, "w");
	sudo_user_leave();
	if (f == NULL)
		return -1;
	p->tx = pcap_dump_fopen(p->link, f);
	if (p->tx != NULL)
		return 0;
	log_line("%s: %s", path, pcap_geterr(p->link));
	fclose(f);
	return -1;
}

static int
open_files(struct port_pcap *p, const char *folder, unsigned int number)
{
	char rx[128], tx[128]; /* sock_dir has 95 characters at most */

	snprintf(rx, sizeof(rx), "%s/spp-rx%u.pcap", folder, number);
	snprintf(tx, sizeof(tx), "%s/spp-tx%u.pcap", folder, number);
	return open_rx(p, rx) < 0 || open_tx(p, tx) < 0 ? -1 : 0;
}

static struct port *
port_pcap_open(const struct port_env *env, struct port_id id)
{
	struct port_pcap *p = port_alloc(sizeof(*p), id, &pcap_ops);

	if (p == NULL)
		return NULL;
	p->pool = env->view->pool;
	if (open_files(p, env->cfg->sock_dir, id.number) < 0) {
		port_close(&p->port);
		return NULL;
	}
	return &p->port;
}

static const char *const ethdev_names[] = { "net_pcap", "eth_pcap", NULL };

const struct port_type port_type_pcap = {
	.open = port_pcap_open,
	.ethdev_names = ethdev_names,
};
