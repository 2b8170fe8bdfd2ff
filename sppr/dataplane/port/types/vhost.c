/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_vhost.h>

#include "base/log.h"
#include "base/thread_wake.h"
#include "forward/worker.h"
#include "port/port.h"
#include "port/port_type.h"
#include "security/socket_file.h"
#include "security/sudo_user.h"

/* A vhost-user device, served by the vhost library in this process without an ethdev. So other DPDK
 * processes share nothing of it, and a kill cannot block their hot plug.
 */

#define GUEST_RX_QUEUE 0 /* to the guest */
#define GUEST_TX_QUEUE 1 /* from the guest */
#define NO_DEVICE (-1)

/* Offloads that would deliver frames without a checksum, or larger than the MTU: CSUM, GUEST_CSUM,
 * GUEST_TSO4, GUEST_TSO6, GUEST_UFO, HOST_TSO4, HOST_TSO6, HOST_UFO.
 */
#define NO_FEATURES                                                                             \
	(1ULL << 0 | 1ULL << 1 | 1ULL << 7 | 1ULL << 8 | 1ULL << 10 | 1ULL << 11 | 1ULL << 12 | \
			1ULL << 14)

struct port_vhost {
	struct port port;
	struct rte_mempool *pool;
	int vid;       /* the library's thread writes it, workers read it */
	int armed_vid; /* for the worker: the device and the kickfd that it waits for */
	int armed_kick;
	char path[108];
	struct port_vhost *next;
};

/* The most packets that rte_vhost_enqueue_burst and rte_vhost_dequeue_burst move in one call
 * (MAX_PKT_BURST of lib/vhost/virtio_net.c, 22.11). They do not report the rest. Both directions
 * use full bursts of the worker: a guest that forwards drops half of its packets if only half of
 * what is written to it is read.
 */
#define LIBRARY_BURST 32

/* The beginning of the name of the library's thread: vhost-events, in 24.11 vhost-evt. */
#define LIBRARY_THREAD "vhost-ev"
#define WAKES 3
#define WAKE_INTERVAL_US 1000

/* The library's thread finds a port by its path while the control thread adds and deletes ports. */
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
	rte_pktmbuf_free_bulk(bufs, sent); /* the library copies packets */
	return sent;
}

/* Let the guest notify (virtio kick) while this worker sleeps, and not while it polls. */
static int
vhost_arm(struct port *port, uint64_t token)
{
	struct port_vhost *p = (struct port_vhost *)port;
	struct rte_vhost_vring vring;
	int vid = __atomic_load_n(&p->vid, __ATOMIC_ACQUIRE);

	(void)token;
	p->armed_vid = NO_DEVICE;
	if (vid == NO_DEVICE)
		return WAIT_NONE; /* new_device() wakes the worker */
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
	/* destroy_device() waits for this worker, so the fd is valid */
	if (event && read(p->armed_kick, &count, sizeof(count)) < 0)
		count = 0; /* another thread has read it */
	if (__atomic_load_n(&p->vid, __ATOMIC_ACQUIRE) == p->armed_vid)
		rte_vhost_enable_guest_notification(p->armed_vid, GUEST_TX_QUEUE, 0);
}

/* The library's thread passes its sockets to poll() for up to a second: until then, a new socket
 * accepts no connection, and the kernel lists one that was closed (fdset_event_dispatch of
 * lib/vhost/fd_man.c, 22.11). A thread that is not in poll() yet misses a signal, hence several.
 */
static void
renew_poll(void)
{
	int i;

	for (i = 0; i < WAKES; i++) {
		if (i > 0)
			usleep(WAKE_INTERVAL_US);
		if (thread_wake(LIBRARY_THREAD) == 0)
			return;
	}
}

static void
vhost_close(struct port *port)
{
	struct port_vhost *p = (struct port_vhost *)port, **link;

	/* closes the connection and removes our socket; it calls destroy_device(), which takes the
	 * lock
	 */
	rte_vhost_driver_unregister(p->path);
	renew_poll();
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
	.counts_bytes = true,
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
				to == NO_DEVICE ? "the guest disconnected" : "a guest connected");
	}
	pthread_mutex_unlock(&list_lock);
}

static int
new_device(int vid)
{
	/* workers poll, so the guest need not notify */
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
	/* the library unmaps the guest's memory next: wait until no worker uses it */
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
	renew_poll();
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
	/* in client mode QEMU owns the socket file */
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
