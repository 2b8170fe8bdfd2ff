/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_PORT_TYPE_H
#define PORT_PORT_TYPE_H

#include <stdbool.h>

#include "port/port_id.h"

struct app;
struct command;
struct json;
struct port;
struct port_env;

/* A port type. Each type defines one object, port_type_NAME, in its own file in port/types/, and is
 * listed in PORT_TYPES of port/port_id.h. Every member is optional. All functions run on the
 * control thread.
 */
struct port_type {
	/* Open a port for `add`. Returns NULL after logging the reason. */
	struct port *(*open)(const struct port_env *env, struct port_id id);

	/* Prefixes of ethdev names, up to NULL: such an ethdev is a port of this type. */
	const char *const *ethdev_names;
	/* Such an ethdev works only in the process that created it. */
	bool ethdev_is_private;

	/* Commands of the type, up to an entry without a name. They take precedence over others. */
	const struct command *commands;

	/* For the primary: add the members of this type to the status, clear its counters, and
	 * print them for --disp-stats.
	 */
	void (*put_status)(const struct app *app, struct json *w);
	void (*clear_stats)(struct app *app);
	void (*print_stats)(const struct app *app);

	/* Release what the type owns in addition to its ports, when the process ends. */
	void (*close_all)(struct app *app);
};

#define DECLARE_PORT_TYPE(constant, object, name, form) \
	extern const struct port_type port_type_##object;
PORT_TYPES(DECLARE_PORT_TYPE)
#undef DECLARE_PORT_TYPE

/* Indexed by enum port_type_id. */
extern const struct port_type *const port_types[N_PORT_TYPES];

#endif
