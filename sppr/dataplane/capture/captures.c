/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_common.h>

#include "base/log.h"
#include "capture/captures.h"
#include "capture/producer.h"
#include "forward/worker.h"

struct capture {
	struct capture_producer ring;
	struct port *port;
	struct capture_producer **slot; /* of the port */
	const void *owner;
	struct capture *next;
};

static struct {
	struct capture *first;
	unsigned int n;
	uint64_t memory;
} captures;

static struct capture_producer **
free_slot(struct port *port, bool tx)
{
	struct capture_slots *slots = tx ? &port->tx_captures : &port->rx_captures;
	unsigned int i;

	for (i = 0; i < CAPTURES_PER_SIDE; i++)
		if (slots->slot[i] == NULL)
			return &slots->slot[i];
	return NULL;
}

/* Return why a port cannot be captured, or NULL. */
static const char *
check_port(const struct port *port, bool tx)
{
	if (port == NULL)
		return "no such port in this process";
	if (tx ? port->ops->tx_burst == NULL : port->ops->rx_burst == NULL)
		return tx ? "the port has no tx side" : "the port has no rx side";
	return NULL;
}

static const char *
check_limits(const struct capture_request *request)
{
	if (captures.n >= CAPTURES_MAX)
		return "this process has 64 captures already";
	if (captures.memory + request->ring_size > CAPTURES_MEMORY_MAX)
		return "the rings of this process would need more than 256 MiB";
	return NULL;
}

static struct capture *
open_capture(const struct capture_request *request, int *fd)
{
	size_t size = RTE_CACHE_LINE_ROUNDUP(sizeof(struct capture));
	struct capture *c = aligned_alloc(RTE_CACHE_LINE_SIZE, size);

	if (c == NULL)
		return NULL;
	memset(c, 0, size);
	*fd = capture_producer_open(&c->ring, request->snaplen, request->ring_size);
	if (*fd >= 0)
		return c;
	log_line("capture: no memory for a ring of %u bytes: %s", request->ring_size,
			strerror(errno));
	free(c);
	return NULL;
}

/* Free a capture that no worker uses. */
static void
release(struct capture *c)
{
	captures.n--;
	captures.memory -= c->ring.size;
	__atomic_store_n(&c->ring.header->ended, 1, __ATOMIC_RELEASE);
	capture_producer_close(&c->ring);
	free(c);
}

const char *
captures_start(struct app *app, const struct capture_request *request, const void *owner, int *fd)
{
	struct port *port = port_table_find(&app->ports, request->port);
	const char *why = check_port(port, request->tx);
	struct capture_producer **slot;
	struct capture *c;

	if (why == NULL)
		why = check_limits(request);
	if (why != NULL)
		return why;
	slot = free_slot(port, request->tx);
	if (slot == NULL)
		return "this side of the port has 4 captures already";
	c = open_capture(request, fd);
	if (c == NULL)
		return "no memory for the ring";
	c->port = port;
	c->slot = slot;
	c->owner = owner;
	c->next = captures.first;
	captures.first = c;
	captures.n++;
	captures.memory += request->ring_size;
	__atomic_store_n(slot, &c->ring, __ATOMIC_RELEASE);
	if (workers_apply(&app->ports, app->running) == 0)
		return NULL;
	captures.first = c->next;
	__atomic_store_n(slot, NULL, __ATOMIC_RELEASE);
	workers_synchronize();
	release(c);
	close(*fd);
	return "no memory for new patch tables";
}

/* Remove captures from the list, and from their ports. Return them as a list. */
static struct capture *
take(const void *owner, const struct port *port)
{
	struct capture **link = &captures.first, *taken = NULL, *c;

	while ((c = *link) != NULL) {
		if ((owner != NULL && c->owner != owner) || (port != NULL && c->port != port)) {
			link = &c->next;
			continue;
		}
		*link = c->next;
		c->next = taken;
		taken = c;
		__atomic_store_n(c->slot, NULL, __ATOMIC_RELEASE);
	}
	return taken;
}

static void
release_all(struct capture *list)
{
	struct capture *next;

	for (; list != NULL; list = next) {
		next = list->next;
		release(list);
	}
}

void
captures_end_of_owner(struct app *app, const void *owner)
{
	struct capture *list = take(owner, NULL);

	if (list == NULL)
		return;
	/* Without memory for new tables, the old ones call the hook, which finds no capture. */
	if (workers_apply(&app->ports, app->running) < 0)
		workers_synchronize();
	release_all(list);
}

void
captures_end_of_port(const struct port *port)
{
	release_all(take(NULL, port));
}
