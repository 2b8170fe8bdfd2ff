/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAUNCH_LAUNCH_H
#define LAUNCH_LAUNCH_H

#include <stdbool.h>

#include "app.h"

/* `launch ID PROC EAL... -- APP...`: words[0] is ID. Start PROC from the folder of our own
 * executable if its options are allowed (launch_options.h), and append its output to <log
 * dir>/PROC-ID.log. Adds --proc-type and --file-prefix if they are missing, and our --sock-dir to
 * spp_nfv. Returns false after logging why.
 */
bool launch_run(const struct app *app, char **words, unsigned int n);

#endif
