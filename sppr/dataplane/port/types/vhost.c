/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_vhost.h>

#include "base/log.h"
#include "forward/worker.h"
#include "port/port.h"
#include "port/port_type.h"
#include "security/socket_file.h"
#include "security/sudo_user.h"

/* A vhost-user device served by the library inside this process. No ethdev, so nothing of it is
 * shared with other DPDK processes: a kill cannot wedge their hot plug.
 */

#define GUEST_RX_QUEUE 0 /* we write */
#define GUEST_TX_QUEUE 1 /* we read */
#define NO_DEVICE (-1)

/* Offloads that would make us forward frames without a checksum, or longer than a frame:
 * CSUM, GUEST_CSUM, GUEST_TSO4, GUEST_TSO6, GUEST_UFO, HOST_TSO4, HOST_TSO6, HOST_UFO.
 */
#define NO_FEATURES                                                                             \
	(1ULL << 0 | 1ULL << 1 | 1ULL << 7 | 1ULL << 8 | 1ULL << 10 | 1ULL << 11 | 1ULL << 12 | \
			1ULL << 14)

struct port_vhost {
	struct port port;
	struct rte_mempool *pool;
	int vid;       /* written by the library's thread, read by workers */
	int armed_vid; /* the worker's: what it waits for, and where its kicks come */
	int armed_kick;
	char path[108];
	struct port_vhost *next;
};

/* The most that rte_vhost_enqueue_burst and rte_vhost_dequeue_burst move in one call (MAX_PKT_BURST
 * of lib/vhost/virtio_net.c, 22.11). They do not report the rest. Both directions use full bursts
 * of the worker: when it reads half of what it writes, a guest that forwards has to drop half.
 */
#define LIBRARY_BURST 32

/* The library's thread looks ports up by path while the control thread adds and deletes. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct port_vhost *list;

static uint16_t
vhost_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct port_vhost *p = (struct port_vhost *)port;
	int vid = __atomic_load_n(&p->vid, __ATOMIC_ACQUIRE);
	uint16_t received = 0, burst;

	if (vid == NO_DEVICE)
		return 0;
	do {
		burst = RTE_MIN((uint16_t)(n - received), (uint16_t)LIBRARY_BURST);
		burst = rte_vhost_dequeue_burst(
				vid, GUEST_TX_QUEUE, p->pool, &bufs[received], burst);
		received += burst;
	} while (burst == LIBRARY_BURST && received < n);
	return received;
}

static uint16_t
vhost_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct port_vhost *p = (struct port_vhost *)port;
	int vid = __atomic_load_n(&p->vid, __ATOMIC_ACQUIRE);
	uint16_t sent = 0, burst;

	if (vid == NO_DEVICE)
		return 0;
	do {
		burst = RTE_MIN((uint16_t)(n - sent), (uint16_t)LIBRARY_BURST);
		burst = rte_vhost_enqueue_burst(vid, GUEST_RX_QUEUE, &bufs[sent], burst);
		sent += burst;
	} while (burst == LIBRARY_BURST && sent < n);
	rte_pktmbuf_free_bulk(bufs, sent); /* it copies */
	return sent;
}

/* The guest kicks while we sleep, and need not while we poll. */
static int
vhost_arm(struct port *port, uint64_t token)
{
	struct port_vhost *p = (struct port_vhost *)port;
	struct rte_vhost_vring vring;
	int vid = __atomic_load_n(&p->vid, __ATOMIC_ACQUIRE);

	(void)token;
	p->armed_vid = NO_DEVICE;
	if (vid == NO_DEVICE)
		return WAIT_NONE; /* new_device wakes us */
	if (rte_vhost_get_vhost_vring(vid, GUEST_TX_QUEUE, &vring) < 0 || vring.kickfd < 0 ||
			rte_vhost_enable_guest_notification(vid, GUEST_TX_QUEUE, 1) < 0)
		return WAIT_POLL;
	p->armed_vid = vid;
	p->armed_kick = vring.kickfd;
	return vring.kickfd;
}

static void
vhost_disarm(struct port *port, bool event)
{
	struct port_vhost *p = (struct port_vhost *)port;
	uint64_t count;

	if (p->armed_vid == NO_DEVICE)
		return;
	/* destroy_device waits for us, so this is still the fd it was */
	if (event && read(p->armed_kick, &count, sizeof(count)) < 0)
		count = 0; /* somebody else took it */
	if (__atomic_load_n(&p->vid, __ATOMIC_ACQUIRE) == p->armed_vid)
		rte_vhost_enable_guest_notification(p->armed_vid, GUEST_TX_QUEUE, 0);
}

static void
vhost_close(struct port *port)
{
	struct port_vhost *p = (struct port_vhost *)port, **link;

	/* closes the connection and removes our socket; calls destroy_device, which takes the
	 * lock, so not under it
	 */
	rte_vhost_driver_unregister(p->path);
	pthread_mutex_lock(&list_lock);
	for (link = &list; *link != NULL && *link != p; link = &(*link)->next)
		;
	if (*link != NULL)
		*link = p->next;
	pthread_mutex_unlock(&list_lock);
}

static bool
vhost_link(const struct port *port)
{
	const struct port_vhost *p = (const struct port_vhost *)port;

	return __atomic_load_n(&p->vid, __ATOMIC_ACQUIRE) != NO_DEVICE;
}

static const struct port_ops vhost_ops = {
	.link = vhost_link,
	.rx_burst = vhost_rx,
	.tx_burst = vhost_tx,
	.close = vhost_close,
	.arm = vhost_arm,
	.disarm = vhost_disarm,
};

static void
set_vid(int vid, int to)
{
	char path[sizeof(list->path)];
	struct port_vhost *p;

	if (rte_vhost_get_ifname(vid, path, sizeof(path)) < 0)
		return;
	pthread_mutex_lock(&list_lock);
	for (p = list; p != NULL && strcmp(p->path, path) != 0; p = p->next)
		;
	if (p != NULL && (to != NO_DEVICE || p->vid == vid)) {
		__atomic_store_n(&p->vid, to, __ATOMIC_RELEASE);
		log_line("vhost:%u: %s", p->port.id.number,
				to == NO_DEVICE ? "the guest has gone" : "a guest is there");
	}
	pthread_mutex_unlock(&list_lock);
}

static int
new_device(int vid)
{
	/* we poll: the guest need not kick */
	rte_vhost_enable_guest_notification(vid, GUEST_RX_QUEUE, 0);
	rte_vhost_enable_guest_notification(vid, GUEST_TX_QUEUE, 0);
	set_vid(vid, vid);
	workers_wake();
	return 0;
}

static void
destroy_device(int vid)
{
	set_vid(vid, NO_DEVICE);
	/* the library unmaps the guest's memory next: no worker may still be in it */
	workers_synchronize();
}

static const struct rte_vhost_device_ops device_ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
};

static int
start_driver(struct port_vhost *p, bool client)
{
	if (rte_vhost_driver_register(p->path, client ? RTE_VHOST_USER_CLIENT : 0) < 0) {
		log_line("%s: the vhost library refused it", p->path);
		return -1;
	}
	pthread_mutex_lock(&list_lock);
	p->next = list;
	list = p;
	pthread_mutex_unlock(&list_lock);
	if (rte_vhost_driver_disable_features(p->path, NO_FEATURES) < 0 ||
			rte_vhost_driver_callback_register(p->path, &device_ops) < 0 ||
			rte_vhost_driver_start(p->path) < 0) {
		log_line("%s: the vhost library could not start it", p->path);
		vhost_close(&p->port);
		return -1;
	}
	if (!client)
		sudo_user_chown_socket(p->path);
	return 0;
}

static struct port *
port_vhost_open(const struct port_env *env, struct port_id id)
{
	struct port_vhost *p = port_alloc(sizeof(*p), id, &vhost_ops);

	if (p == NULL)
		return NULL;
	p->pool = env->view->pool;
	p->vid = NO_DEVICE;
	snprintf(p->path, sizeof(p->path), "%s/sock%u", env->cfg->sock_dir, id.number);
	/* in client mode the file is QEMU's */
	if ((env->cfg->vhost_client ? !socket_file_may_connect(p->path)
				    : socket_file_remove_stale(p->path) < 0) ||
			start_driver(p, env->cfg->vhost_client) < 0) {
		free(p);
		return NULL;
	}
	return &p->port;
}

static const char *const ethdev_names[] = { "net_vhost", "eth_vhost", NULL };

const struct port_type port_type_vhost = {
	.open = port_vhost_open,
	.ethdev_names = ethdev_names,
	.ethdev_is_private = true,
};
