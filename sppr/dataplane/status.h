/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef STATUS_H
#define STATUS_H

#include <stddef.h>

#include "app.h"

void status_nfv(const struct app *app, char *reply, size_t size);
void status_primary(const struct app *app, char *reply, size_t size);
void status_clear(struct app *app);

/* For --disp-stats: the counters on stdout, a line each. */
void status_print(const struct app *app);

#endif
