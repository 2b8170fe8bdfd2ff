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

/* What a port type is to the rest of the process. Each type defines one, port_type_NAME, in a file
 * of its own in port/types/. Every member is optional. All functions run on the control thread.
 */
struct port_type {
	/* Open a port for `add`. Returns NULL after logging the reason. */
	struct port *(*open)(const struct port_env *env, struct port_id id);

	/* An ethdev whose name starts with one of these, up to NULL, is a port of this type. */
	const char *const *ethdev_names;
	/* Such an ethdev works only in the process that created it. */
	bool ethdev_is_private;

	/* Commands of this type, up to one without a name. They take precedence. */
	const struct command *commands;

	/* Parts of the primary's replies to `status` and `clear`, and of --disp-stats. */
	void (*put_status)(const struct app *app, struct json *w);
	void (*clear_stats)(struct app *app);
	void (*print_stats)(const struct app *app);

	/* Release what this type owns beside its ports. Runs when the process ends. */
	void (*close_all)(struct app *app);
};

#define DECLARE_PORT_TYPE(constant, object, name, form) \
	extern const struct port_type port_type_##object;
PORT_TYPES(DECLARE_PORT_TYPE)
#undef DECLARE_PORT_TYPE

/* By enum port_type_id. */
extern const struct port_type *const port_types[N_PORT_TYPES];

#endif
