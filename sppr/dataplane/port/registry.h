/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_REGISTRY_H
#define PORT_REGISTRY_H

#include "app.h"
#include "control/json.h"
#include "control/request.h"

/* Functions over all registered port types (port/port_type.h). */

/* Open a port. Return NULL after logging the reason. */
struct port *port_registry_open(const struct port_env *env, struct port_id id);

/* Find the type and number of an ethdev by its name. Return -1 if no type has the name. The ethdev
 * is a phy then.
 */
int port_registry_id_of_ethdev(const char *name, struct port_id *id);

/* Return whether ethdevs of this type work only in the process that created them. */
bool port_registry_ethdev_is_private(enum port_type_id type);

/* Find the command of a port type for this request. Return NULL if there is none. */
const struct command *port_registry_find_command(const struct request *r);

/* Call the function of each type that has one. */
void port_registry_put_status(const struct app *app, struct json *w);
void port_registry_clear_stats(struct app *app);
void port_registry_print_stats(const struct app *app);
void port_registry_close_all(struct app *app);

#endif
