/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "component/component.h"
#include "control/command.h"
#include "ethdev/pipe_ethdev.h"
#include "forward/patch.h"
#include "fuzz/bytes.h"
#include "port/port_type.h"
#include "port/registry.h"

/* Fuzz the commands of a controller. The first byte selects the process, then each line is a
 * command. DPDK is not initialized, and nothing touches the host (sockets, taps, files).
 */
#define NRINGS 4
#define HELD_LIMIT 100 /* frames; it limits the memory of each impairment, too */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct app app;
static struct shared shared;
static struct rte_ring *ring[NRINGS];

/* Types that would touch the host are null ports here. A new type is a null port, too, unless it is
 * added to RUNS_IN_FUZZER.
 */
#define RUNS_IN_FUZZER(type) \
	((type) == PORT_PHY || (type) == PORT_RING || (type) == PORT_PROBE || (type) == PORT_PIPE)
#define PORT_TYPE_ENTRY(constant, object, name, form) \
	[constant] = RUNS_IN_FUZZER(constant) ? &port_type_##object : &port_type_null,

const struct port_type *const port_types[N_PORT_TYPES] = { PORT_TYPES(PORT_TYPE_ENTRY) };

int
pipe_ethdev_create(const struct shared_view *view, uint16_t number, uint16_t rx, uint16_t tx)
{
	(void)view;
	(void)number;
	return rx == tx ? -1 : 0;
}

void
pipe_ethdev_remove(uint16_t number, uint16_t ethdev)
{
	(void)number;
	(void)ethdev;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int i;

	(void)argc;
	(void)argv;
	log_to_stderr(false); /* stderr belongs to libFuzzer */
	for (i = 0; i < NRINGS; i++) {
		ring[i] = aligned_alloc(RTE_CACHE_LINE_SIZE,
				(size_t)rte_ring_get_memsize(SHARED_RING_SLOTS));
		if (ring[i] == NULL || rte_ring_init(ring[i], "fuzz", SHARED_RING_SLOTS,
						       RING_F_SP_ENQ | RING_F_SC_DEQ) != 0)
			abort();
	}
	return 0;
}

/* Without EAL there is no lcore, so no component can be started. These exist from the beginning. */
static void
add_components(void)
{
	static const struct component all[] = { { "c", COMPONENT_CLASSIFIER, 1 },
		{ "m", COMPONENT_MERGE, 1 }, { "f", COMPONENT_FORWARD, 1 } },
				      mirror = { "c", COMPONENT_MIRROR, 1 };

	memset(&components, 0, sizeof(components));
	if (app.cfg.kind == PROCESS_VF) {
		memcpy(components.component, all, sizeof(all));
		components.n = RTE_DIM(all);
	} else if (app.cfg.kind == PROCESS_MIRROR) {
		components.component[0] = mirror;
		components.n = 1;
	}
}

static void
start_anew(uint8_t kind)
{
	static const enum process_kind kinds[] = { PROCESS_NFV, PROCESS_VF, PROCESS_MIRROR,
		PROCESS_NFV };

	memset(&app, 0, sizeof(app));
	memset(&shared, 0, sizeof(shared));
	app.cfg.kind = (kind & 1) != 0 ? PROCESS_PRIMARY : kinds[kind >> 2 & 3];
	app.cfg.primary = app.cfg.kind == PROCESS_PRIMARY;
	add_components();
	app.has_forwarder = (kind & 2) == 0;
	app.cfg.client_id = 1;
	app.view.info = &shared;
	memcpy(app.view.ring, ring, sizeof(ring));
	shared.nrings = NRINGS;
	shared.held_limit = HELD_LIMIT;
	app.env = (struct port_env){ &app.view, &app.cfg };
}

/* A JSON reply must end within the fixed size. */
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

	count_bytes(size);
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
	port_registry_close_all(&app);
	return 0;
}
