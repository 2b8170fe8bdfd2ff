/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_bus_vdev.h>
#include <rte_eth_ring.h>

#include "base/log.h"
#include "control/command.h"
#include "ethdev/ethdev_start.h"
#include "forward/patch.h"
#include "port/types/pipe.h"

/* Whatever a controller sends: the first byte says which program it goes to, then a command a
 * line. DPDK is not running; what would touch the host (sockets, taps, files) is left out.
 */
#define NRINGS 4

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct app app;
static struct shared shared;
static struct rte_ring *ring[NRINGS];

/* As say.c, without the line on stderr, which is libFuzzer's. */
static char last[512];

void
log_clear_last(void)
{
	last[0] = '\0';
}

const char *
log_last(void)
{
	return last;
}

void
log_line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(last, sizeof(last), fmt, ap);
	va_end(ap);
}

struct port *
port_vhost_open(const struct port_env *env, struct port_id id)
{
	return port_null_open(env, id);
}

struct port *
port_tap_open(const struct port_env *env, struct port_id id)
{
	return port_null_open(env, id);
}

struct port *
port_pcap_open(const struct port_env *env, struct port_id id)
{
	return port_null_open(env, id);
}

struct port *
port_ivshmem_open(const struct port_env *env, struct port_id id)
{
	return port_null_open(env, id);
}

struct port *
port_memif_open(const struct port_env *env, struct port_id id)
{
	return env->cfg->primary ? port_null_open(env, id) : NULL;
}

int
ethdev_start(const struct shared_port *port, struct rte_mempool *pool)
{
	(void)port;
	(void)pool;
	return 0;
}

int
rte_eth_from_rings(const char *name, struct rte_ring *const rx[], const unsigned int nrx,
		struct rte_ring *const tx[], const unsigned int ntx, const unsigned int socket)
{
	(void)name;
	(void)socket;
	return rx[0] == tx[0] && nrx == ntx ? -1 : 0;
}

int
rte_eth_dev_stop(uint16_t id)
{
	(void)id;
	return 0;
}

int
rte_vdev_uninit(const char *name)
{
	(void)name;
	return 0;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int i;

	(void)argc;
	(void)argv;
	for (i = 0; i < NRINGS; i++) {
		ring[i] = aligned_alloc(RTE_CACHE_LINE_SIZE,
				(size_t)rte_ring_get_memsize(SHARED_RING_SLOTS));
		if (ring[i] == NULL || rte_ring_init(ring[i], "fuzz", SHARED_RING_SLOTS,
						       RING_F_SP_ENQ | RING_F_SC_DEQ) != 0)
			abort();
	}
	return 0;
}

static void
start_anew(uint8_t kind)
{
	memset(&app, 0, sizeof(app));
	memset(&shared, 0, sizeof(shared));
	app.cfg.primary = (kind & 1) != 0;
	app.has_forwarder = (kind & 2) == 0;
	app.cfg.client_id = 1;
	app.view.info = &shared;
	memcpy(app.view.ring, ring, sizeof(ring));
	shared.nrings = NRINGS;
	app.env = (struct port_env){ &app.view, &app.cfg };
}

/* JSON of a reply ends where it should, within the fixed size. */
static void
check(const char *reply, char first)
{
	size_t len = strnlen(reply, REPLY_SIZE);

	if (reply[0] == '{' && first != '{' && (len == REPLY_SIZE || reply[len - 1] != '}'))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char buf[REPLY_SIZE + 1], reply[REPLY_SIZE];
	const uint8_t *end = data + size, *line, *stop;

	if (size == 0)
		return 0;
	start_anew(data[0]);
	for (line = data + 1; line < end; line = stop + 1) {
		stop = memchr(line, '\n', (size_t)(end - line));
		if (stop == NULL)
			stop = end;
		size = (size_t)(stop - line);
		if (size == 0 || size > REPLY_SIZE)
			continue;
		memcpy(buf, line, size);
		command_run(&app, buf, size, reply);
		check(reply, (char)*line);
	}
	patch_close_all(&app);
	pipe_del_all(&app);
	return 0;
}
