/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAUNCH_H
#define LAUNCH_H

#include <stdbool.h>

#include "app.h"

/* `launch ID PROC EAL... -- APP...`: words[0] is ID. Starts PROC from the folder of our own
 * executable, its output appended to <log dir>/PROC-ID.log. False after saying why not.
 */
bool launch_run(const struct app *app, char **words, unsigned int n);

#endif
