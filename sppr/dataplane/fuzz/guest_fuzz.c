/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/command.h"
#include "forward/patch.h"
#include "fuzz/bytes.h"
#include "guest/capture.h"
#include "guest/guest.h"

/* Fuzz the commands of spp_vm: each line is a command. After it, frames pass both ports, which are
 * not those of the machine.
 */

#define PORTS 2

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct app app;
static struct port ports[PORTS];

static unsigned int
rx(struct port *port, struct frame *frames, unsigned int n)
{
	unsigned int i;

	(void)port;
	for (i = 0; i < n; i++) {
		frames[i].data = frames[i].room;
		frames[i].len = 60 * (i + 1);
	}
	return n;
}

static unsigned int
tx(struct port *port, const struct frame *frames, unsigned int n)
{
	(void)port;
	(void)frames;
	return n;
}

static int
listen_to(struct port *port, bool on)
{
	port->ready = on;
	return 0;
}

static void
close_port(struct port *port)
{
	(void)port;
}

static const struct port_ops ops = { .rx = rx, .tx = tx, .listen = listen_to, .close = close_port };

/* A ring would need an ivshmem device. */
struct port *
vport_ring_open(uint16_t number)
{
	(void)number;
	return NULL;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_to_stderr(false);
	return 0;
}

static void
start_anew(void)
{
	uint16_t i;

	app = (struct app){ .cfg = { .kind = PROCESS_NFV, .client_id = 6 }, .has_forwarder = true };
	for (i = 0; i < PORTS; i++) {
		ports[i] = (struct port){ .ops = &ops,
			.id = { .type = PORT_PHY, .number = i },
			.wait_fd = -1,
			.fixed = true };
		port_table_insert(&app.ports, &ports[i]);
		guest_capture_forget(&ports[i]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char buf[REPLY_SIZE + 1], reply[REPLY_SIZE];
	const uint8_t *end = data + size, *line, *stop;
	size_t len;

	count_bytes(size);
	start_anew();
	for (line = data; line < end; line = stop + 1) {
		stop = memchr(line, '\n', (size_t)(end - line));
		if (stop == NULL)
			stop = end;
		len = (size_t)(stop - line);
		if (len == 0 || len > REPLY_SIZE)
			continue;
		memcpy(buf, line, len);
		command_run(&app, buf, len, reply);
		len = strnlen(reply, REPLY_SIZE);
		if (reply[0] == '{' && *line != '{' && (len == REPLY_SIZE || reply[len - 1] != '}'))
			abort();
		guest_forward(&app);
	}
	return 0;
}
