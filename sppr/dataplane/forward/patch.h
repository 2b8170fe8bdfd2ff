/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_PATCH_H
#define FORWARD_PATCH_H

#include "app.h"

/* Changes to ports and patches, made while the workers run. 0, or -1 and nothing changed. */

int patch_add_port(struct app *app, struct port_id id);
int patch_del_port(struct app *app, struct port_id id);
int patch_connect(struct app *app, struct port_id src, struct port_id dst);
/* Takes away the patch from this port, leaves the others running; not SPP's. */
int patch_disconnect(struct app *app, struct port_id src);
int patch_reset(struct app *app);
int patch_run(struct app *app, bool running);

/* When the process ends, after the workers have stopped. */
void patch_close_all(struct app *app);

#endif
