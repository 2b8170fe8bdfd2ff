/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_PATCH_H
#define FORWARD_PATCH_H

#include "app.h"

struct match;

/* Change ports and patches while the workers run. Each function returns 0, or -1 with nothing
 * changed.
 */

int patch_add_port(struct app *app, struct port_id id);
int patch_del_port(struct app *app, struct port_id id);

/* Patch src to dst: the frames of this match, or, if match is NULL, those that no match takes. A
 * second patch of the same source and match replaces the first one. SPP has no match.
 */
int patch_connect(
		struct app *app, struct port_id src, struct port_id dst, const struct match *match);

enum patch_which {
	PATCH_ALL,     /* all patches from a port */
	PATCH_DEFAULT, /* the one without a match */
	PATCH_MATCH,   /* the one with this match */
};

/* Remove patches from this port. The others keep running. SPP has no such command. */
int patch_disconnect(struct app *app, struct port_id src, enum patch_which which,
		const struct match *match);
int patch_reset(struct app *app);
int patch_run(struct app *app, bool running);

/* Call it when the process ends, after the workers have stopped. */
void patch_close_all(struct app *app);

#endif
