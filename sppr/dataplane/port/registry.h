/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_REGISTRY_H
#define PORT_REGISTRY_H

#include "app.h"
#include "control/json.h"
#include "control/request.h"

/* What the process asks of the registered port types (port_type.h). */

/* Open a port of a type that can be added. Returns NULL after logging the reason. */
struct port *port_registry_open(const struct port_env *env, struct port_id id);

/* Set *id to the port that an ethdev of this name is. Returns -1 for a name that no type has: such
 * an ethdev is a phy.
 */
int port_registry_id_of_ethdev(const char *name, struct port_id *id);

/* Whether ethdevs of this type work only in the process that created them. */
bool port_registry_ethdev_is_private(enum port_type_id type);

/* The command of a port type that this request is, or NULL. */
const struct command *port_registry_find_command(const struct request *r);

/* Call the function of each type that has it. */
void port_registry_put_status(const struct app *app, struct json *w);
void port_registry_clear_stats(struct app *app);
void port_registry_print_stats(const struct app *app);
void port_registry_close_all(struct app *app);

#endif
