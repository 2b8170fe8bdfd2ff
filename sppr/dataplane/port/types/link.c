/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <stdlib.h>

#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ring.h>

#include "base/log.h"
#include "base/packet_fd.h"
#include "forward/deliver.h"
#include "forward/ring_notify.h"
#include "port/exclusive.h"
#include "port/mtu.h"
#include "port/port.h"
#include "port/port_type.h"
#include "port/types/link.h"
#include "port/vlan.h"

/* A link to another host, over a net_af_packet of the primary, or a NIC that --link names. Chains
 * share it: each has a channel of it, link:NnqV, and sends with VLAN tag V and receives with tag
 * V ^ 1.
 *
 * Workers send under tx_lock. A worker that polls a channel reads for all channels, under rx_lock,
 * and puts each frame into the FIFO of its channel.
 */

#define FIRST_VLAN 2
#define LAST_VLAN 999
#define N_VLANS 1024 /* V ^ 1 is below it */
#define FIFO_SLOTS 1024
#define FIFO_LONG (FIFO_SLOTS / 2)

/* Limits of the slots of net_af_packet, 2048 bytes (TPACKET_V2, 22.11). It frees a longer frame and
 * reports it as sent. The kernel cuts a received frame off at 1982 bytes, without the tag that the
 * driver puts back.
 */
#define DRIVER_TX_MAX 2016
#define DRIVER_RX_MAX (1982 - 1 + RTE_VLAN_HLEN)

struct channel {
	struct port port;
	struct link *link;
	struct rte_ring *fifo; /* in ordinary memory; its producer has rx_lock */
	uint64_t sleeper;      /* forward/ring_notify.h */
	uint64_t missed;       /* frames that found the FIFO full and are not in rx_drop yet */
};

struct link {
	struct port port; /* link:N, the totals */
	uint16_t ethdev;
	int fd; /* of the driver's socket, or WAIT_POLL */
	unsigned int ifindex;
	uint32_t longest_rx; /* atomic: the control thread may write it */
	uint32_t longest_tx;
	struct channel *watcher; /* the channel whose worker waits for fd */
	struct link *next;
	pthread_mutex_t tx_lock __rte_cache_aligned;
	pthread_mutex_t rx_lock __rte_cache_aligned;
	struct channel *longest; /* the channel with the longest FIFO after the last read */
	struct channel *by_vlan[N_VLANS]; /* of the tag of received frames */
};

static struct link *links;

static struct link *
find_link(uint16_t number)
{
	struct link *l;

	for (l = links; l != NULL && l->port.id.number != number; l = l->next)
		;
	return l;
}

static uint16_t
vlan_of(struct port_id id)
{
	return (uint16_t)(id.nq - 1);
}

/* Whether a patch leads from the channel. Then a worker takes its frames: if the process does not
 * forward, nobody reads from the link. The control thread may change the patches.
 */
static bool
is_patched(const struct channel *c)
{
	return __atomic_load_n(&c->port.patched_to, __ATOMIC_RELAXED) != NULL ||
	       __atomic_load_n(&c->port.rules, __ATOMIC_RELAXED) != NULL;
}

/* Put a frame into the FIFO of its channel. Return false if it is for none. */
static bool
sort(struct link *l, struct rte_mbuf *m)
{
	bool fits = m->pkt_len <= __atomic_load_n(&l->longest_rx, __ATOMIC_RELAXED);
	int vlan = fits ? vlan_pop(m, VLAN_LINK_TPID) : -1;
	struct channel *c = vlan >= 0 && vlan < N_VLANS ? l->by_vlan[vlan] : NULL;

	if (c == NULL || !is_patched(c))
		return false;
	if (rte_ring_sp_enqueue(c->fifo, m) < 0) {
		__atomic_add_fetch(&c->missed, 1, __ATOMIC_RELAXED);
		rte_pktmbuf_free(m);
	} else {
		ring_notify_filled(&c->sleeper);
	}
	if (l->longest == NULL || rte_ring_count(c->fifo) > rte_ring_count(l->longest->fifo))
		l->longest = c;
	return true;
}

/* Whether this worker has many frames to take from another channel first. Without this, a worker
 * with many channels would read more frames for one of them than it takes from it in a round.
 */
static bool
is_behind(const struct link *l, const struct channel *c)
{
	const struct channel *longest = l->longest;

	return longest != NULL && longest->port.rx_worker == c->port.rx_worker &&
	       rte_ring_count(longest->fifo) >= FIFO_LONG;
}

static void
read_for_all(struct link *l, const struct channel *reader)
{
	struct rte_mbuf *bufs[FORWARD_BURST];
	struct port_stats *stats = l->port.stats;
	uint16_t i, n;

	if (is_behind(l, reader))
		return;
	n = rte_eth_rx_burst(l->ethdev, 0, bufs, FORWARD_BURST);
	stats->rx += n;
	stats->rx_bytes += total_bytes(bufs, n);
	for (i = 0; i < n; i++) {
		if (sort(l, bufs[i]))
			continue;
		stats->rx_drop++;
		rte_pktmbuf_free(bufs[i]);
	}
}

static uint16_t
channel_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct channel *c = (struct channel *)port;

	if (pthread_mutex_trylock(&c->link->rx_lock) == 0) {
		read_for_all(c->link, c);
		pthread_mutex_unlock(&c->link->rx_lock);
	}
	if (unlikely(__atomic_load_n(&c->missed, __ATOMIC_RELAXED) > 0))
		port->stats->rx_drop += __atomic_exchange_n(&c->missed, 0, __ATOMIC_RELAXED);
	return (uint16_t)rte_ring_sc_dequeue_burst(c->fifo, (void **)bufs, n, NULL);
}

static bool
push_tag(struct rte_mbuf *m, const void *how)
{
	const struct channel *c = how;
	uint32_t most = __atomic_load_n(&c->link->longest_tx, __ATOMIC_RELAXED);

	return m->pkt_len + RTE_VLAN_HLEN <= most &&
	       vlan_push(m, VLAN_LINK_TPID, vlan_of(c->port.id));
}

static uint16_t
channel_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct link *l = ((struct channel *)port)->link;
	uint16_t good = change_frames(bufs, n, push_tag, port), sent;
	uint64_t bytes = total_bytes(bufs, good);

	pthread_mutex_lock(&l->tx_lock);
	sent = rte_eth_tx_burst(l->ethdev, 0, bufs, good);
	l->port.stats->tx += sent;
	l->port.stats->tx_drop += (uint64_t)(n - sent);
	l->port.stats->tx_bytes += bytes;
	if (unlikely(sent < good))
		l->port.stats->tx_bytes -= total_bytes(&bufs[sent], (unsigned int)(good - sent));
	pthread_mutex_unlock(&l->tx_lock);
	return sent;
}

/* One sleeping worker waits for the socket. Others sleep until a worker that reads fills their
 * FIFO. So a busy channel does not wake the workers of the others.
 */
static int
channel_arm(struct port *port, uint64_t token)
{
	struct channel *c = (struct channel *)port, *nobody = NULL;
	struct link *l = c->link;
	socklen_t len = sizeof(int);
	int error;

	if (l->fd == WAIT_POLL)
		return WAIT_POLL;
	__atomic_store_n(&c->sleeper, token, __ATOMIC_RELEASE);
	if (!__atomic_compare_exchange_n(
			    &l->watcher, &nobody, c, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return WAIT_NONE;
	/* the error of an interface that was down would end every poll() */
	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return WAIT_POLL;
	return l->fd;
}

static void
channel_disarm(struct port *port, bool event)
{
	struct channel *c = (struct channel *)port, *expected = c;

	(void)event;
	__atomic_store_n(&c->sleeper, 0, __ATOMIC_RELEASE);
	__atomic_compare_exchange_n(&c->link->watcher, &expected, NULL, false, __ATOMIC_ACQ_REL,
			__ATOMIC_RELAXED);
}

static void
channel_free(struct channel *c)
{
	free(c->fifo);
	c->fifo = NULL;
}

/* No worker uses the channel, but one that polls another channel may read for it. */
static void
channel_close(struct port *port)
{
	struct channel *c = (struct channel *)port;
	struct link *l = c->link;
	void *m;

	pthread_mutex_lock(&l->rx_lock);
	l->by_vlan[vlan_of(port->id) ^ 1] = NULL;
	if (l->longest == c)
		l->longest = NULL;
	pthread_mutex_unlock(&l->rx_lock);
	while (rte_ring_sc_dequeue(c->fifo, &m) == 0)
		rte_pktmbuf_free(m);
	channel_free(c);
}

static bool
channel_link(const struct port *port)
{
	const struct channel *c = (const struct channel *)port;
	struct rte_eth_link found;

	return rte_eth_link_get_nowait(c->link->ethdev, &found) < 0 ||
	       found.link_status == RTE_ETH_LINK_UP;
}

static const struct port_ops channel_ops = {
	.rx_burst = channel_rx,
	.tx_burst = channel_tx,
	.close = channel_close,
	.arm = channel_arm,
	.disarm = channel_disarm,
	.link = channel_link,
	.counts_bytes = true,
};

/* Find out how long frames can be. A received frame may have a tag of a chain in addition to ours.
 * A longer one was merged by GRO, and may be cut off.
 */
static void
update_limits(struct link *l)
{
	/* the kernel does not take our tag as one of VLAN */
	unsigned int mtu = mtu_of_ethdev(l->ethdev, l->ifindex) + RTE_ETHER_HDR_LEN;

	__atomic_store_n(&l->longest_tx, RTE_MIN(mtu, (unsigned int)DRIVER_TX_MAX),
			__ATOMIC_RELAXED);
	__atomic_store_n(&l->longest_rx, RTE_MIN(mtu + RTE_VLAN_HLEN, (unsigned int)DRIVER_RX_MAX),
			__ATOMIC_RELAXED);
}

static int
create_fifo(struct channel *c)
{
	c->fifo = aligned_alloc(RTE_CACHE_LINE_SIZE, (size_t)rte_ring_get_memsize(FIFO_SLOTS));
	if (c->fifo != NULL)
		return rte_ring_init(c->fifo, "link", FIFO_SLOTS, RING_F_SP_ENQ | RING_F_SC_DEQ);
	log_line("no memory for a port");
	return -1;
}

static struct link *
check(const struct port_env *env, struct port_id id)
{
	struct link *l = find_link(id.number);

	if (!env->cfg->primary)
		log_line("link ports belong to the primary");
	else if (l == NULL)
		log_line("link:%u: the primary has no --vdev net_af_packet%u, and no --link "
			 "%u=phy:M",
				id.number, id.number, id.number);
	else if (id.nq == 0 || vlan_of(id) < FIRST_VLAN || vlan_of(id) > LAST_VLAN)
		log_line("link:%u: add a channel, link:%unqV, with a VLAN id V from %d to %d",
				id.number, id.number, FIRST_VLAN, LAST_VLAN);
	else
		return l;
	return NULL;
}

static struct port *
channel_open(const struct port_env *env, struct port_id id)
{
	struct link *l = check(env, id);
	struct channel *c = l != NULL ? port_alloc(sizeof(*c), id, &channel_ops) : NULL;

	if (c == NULL)
		return NULL;
	c->link = l;
	if (create_fifo(c) < 0) {
		channel_free(c);
		free(c);
		return NULL;
	}
	update_limits(l);
	pthread_mutex_lock(&l->rx_lock);
	l->by_vlan[vlan_of(id) ^ 1] = c;
	pthread_mutex_unlock(&l->rx_lock);
	return &c->port;
}

/* These are never called: link_reserved() refuses every patch. */
static uint16_t
no_burst(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	(void)port;
	(void)bufs;
	(void)n;
	return 0;
}

static const char *
link_reserved(const struct port *port, bool tx)
{
	(void)port;
	(void)tx;
	return "several chains share it: add a channel of it, such as link:0nq102, and patch that";
}

static void
link_close(struct port *port)
{
	struct link *l = (struct link *)port, **at;

	for (at = &links; *at != l; at = &(*at)->next)
		;
	*at = l->next;
	pthread_mutex_destroy(&l->rx_lock);
	pthread_mutex_destroy(&l->tx_lock);
}

static const struct port_ops link_ops = {
	.rx_burst = no_burst,
	.tx_burst = no_burst,
	.close = link_close,
	.reserved = link_reserved,
	.counts_bytes = true,
};

struct port *
port_link_open(const struct shared_port *dev, struct port_id id)
{
	struct rte_eth_dev_info info;
	struct link *l;

	if (dev->nrxq != 1 || dev->ntxq != 1 || rte_eth_dev_info_get(dev->ethdev, &info) < 0) {
		log_line("link:%u: a link has one queue in each direction", id.number);
		return NULL;
	}
	l = port_alloc(sizeof(*l), id, &link_ops);
	if (l == NULL)
		return NULL;
	l->ethdev = dev->ethdev;
	l->ifindex = info.if_index;
	l->fd = info.if_index == 0 ? WAIT_POLL : packet_fd_find("/proc/self/fd", info.if_index);
	pthread_mutex_init(&l->rx_lock, NULL);
	pthread_mutex_init(&l->tx_lock, NULL);
	l->next = links;
	links = l;
	return &l->port;
}

static const char *const ethdev_names[] = { "net_af_packet", "eth_af_packet", NULL };

const struct port_type port_type_link = {
	.open = channel_open,
	.ethdev_names = ethdev_names,
	.ethdev_is_private = true,
};
