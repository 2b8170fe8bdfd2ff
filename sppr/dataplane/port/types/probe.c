/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/request.h"
#include "port/port_type.h"
#include "probe/command/dispatch.h"
#include "probe/port.h"

static const struct command commands[] = {
	{ .name = "probe", .processes = COMMAND_BOTH, .run = probe_command },
	{ .name = NULL },
};

const struct port_type port_type_probe = {
	.open = port_probe_open,
	.commands = commands,
};
