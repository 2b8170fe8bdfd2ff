/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/log.h"
#include "port/port_type.h"
#include "port/registry.h"

struct port *
port_registry_open(const struct port_env *env, struct port_id id)
{
	if (port_types[id.type]->open != NULL)
		return port_types[id.type]->open(env, id);
	log_line("ports of this type cannot be added");
	return NULL;
}

int
port_registry_id_of_ethdev(const char *name, struct port_id *id)
{
	const char *const *prefix;
	unsigned int i;

	for (i = 0; i < N_PORT_TYPES; i++) {
		prefix = port_types[i]->ethdev_names;
		for (; prefix != NULL && *prefix != NULL; prefix++) {
			if (strncmp(name, *prefix, strlen(*prefix)) != 0)
				continue;
			*id = (struct port_id){ .type = (enum port_type_id)i };
			return port_id_parse_number(name + strlen(*prefix), &id->number);
		}
	}
	return -1;
}

bool
port_registry_ethdev_is_private(enum port_type_id type)
{
	return port_types[type]->ethdev_is_private;
}

const struct command *
port_registry_find_command(const struct request *r)
{
	const struct command *command;
	unsigned int i;

	for (i = 0; i < N_PORT_TYPES; i++) {
		command = request_find_command(r, port_types[i]->commands);
		if (command != NULL)
			return command;
	}
	return NULL;
}

void
port_registry_put_status(const struct app *app, struct json *w)
{
	unsigned int i;

	for (i = 0; i < N_PORT_TYPES; i++)
		if (port_types[i]->put_status != NULL)
			port_types[i]->put_status(app, w);
}

void
port_registry_clear_stats(struct app *app)
{
	unsigned int i;

	for (i = 0; i < N_PORT_TYPES; i++)
		if (port_types[i]->clear_stats != NULL)
			port_types[i]->clear_stats(app);
}

void
port_registry_print_stats(const struct app *app)
{
	unsigned int i;

	for (i = 0; i < N_PORT_TYPES; i++)
		if (port_types[i]->print_stats != NULL)
			port_types[i]->print_stats(app);
}

void
port_registry_close_all(struct app *app)
{
	unsigned int i;

	for (i = 0; i < N_PORT_TYPES; i++)
		if (port_types[i]->close_all != NULL)
			port_types[i]->close_all(app);
}
