/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"
#include "port/port.h"
#include "port/port_type.h"

#define MAX_SEGMENTS 16

/* A kernel tap of this process, vtapN. It needs one system call for each packet. */
struct port_tap {
	struct port port;
	struct rte_mempool *pool;
	struct rte_mbuf *spare; /* for the next packet; empty polls allocate nothing */
	int fd;
};

static uint16_t
tap_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct port_tap *p = (struct port_tap *)port;
	struct rte_mbuf *m;
	ssize_t len;
	uint16_t i;

	for (i = 0; i < n; i++) {
		if (p->spare == NULL)
			p->spare = rte_pktmbuf_alloc(p->pool);
		if (p->spare == NULL)
			break;
		m = p->spare;
		len = read(p->fd, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_tailroom(m));
		if (len <= 0)
			break;
		m->data_len = (uint16_t)len;
		m->pkt_len = (uint32_t)len;
		bufs[i] = m;
		p->spare = NULL;
	}
	return i;
}

static int
tap_write(int fd, const struct rte_mbuf *m)
{
	struct iovec iov[MAX_SEGMENTS];
	int n = 0;

	for (; m != NULL; m = m->next) {
		if (n == MAX_SEGMENTS)
			return -1;
		iov[n].iov_base = rte_pktmbuf_mtod(m, void *);
		iov[n++].iov_len = m->data_len;
	}
	return writev(fd, iov, n) < 0 ? -1 : 0;
}

static uint16_t
tap_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct port_tap *p = (struct port_tap *)port;
	uint16_t i;

	for (i = 0; i < n; i++) {
		if (tap_write(p->fd, bufs[i]) < 0)
			break; /* the interface is down or full: drop the rest */
		rte_pktmbuf_free(bufs[i]);
	}
	return i;
}

static void
tap_close(struct port *port)
{
	struct port_tap *p = (struct port_tap *)port;

	rte_pktmbuf_free(p->spare);
	close(p->fd);
}

static const struct port_ops tap_ops = {
	.rx_burst = tap_rx,
	.tx_burst = tap_tx,
	.close = tap_close,
	.counts_bytes = true,
};

static int
bring_up(const char *name)
{
	struct ifreq req;
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret = -1;

	if (s < 0)
		return -1;
	memset(&req, 0, sizeof(req));
	snprintf(req.ifr_name, IFNAMSIZ, "%s", name);
	if (ioctl(s, SIOCGIFFLAGS, &req) == 0) {
		req.ifr_flags |= IFF_UP | IFF_PROMISC;
		ret = ioctl(s, SIOCSIFFLAGS, &req);
	}
	close(s);
	return ret;
}

static int
open_tap(const char *name)
{
	struct ifreq req;
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	memset(&req, 0, sizeof(req));
	req.ifr_flags = IFF_TAP | IFF_NO_PI;
	snprintf(req.ifr_name, IFNAMSIZ, "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &req) < 0 || bring_up(name) < 0) {
		log_line("tap %s: %s", name, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static struct port *
port_tap_open(const struct port_env *env, struct port_id id)
{
	struct port_tap *p = port_alloc(sizeof(*p), id, &tap_ops);
	char name[IFNAMSIZ];

	if (p == NULL)
		return NULL;
	snprintf(name, sizeof(name), "vtap%u", id.number);
	p->pool = env->view->pool;
	p->fd = open_tap(name);
	if (p->fd < 0) {
		free(p);
		return NULL;
	}
	p->port.wait_fd = p->fd;
	return &p->port;
}

static const char *const ethdev_names[] = { "net_tap", "eth_tap", NULL };

const struct port_type port_type_tap = {
	.open = port_tap_open,
	.ethdev_names = ethdev_names,
};
