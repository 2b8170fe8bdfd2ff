/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAUNCH_LAUNCH_H
#define LAUNCH_LAUNCH_H

#include <stdbool.h>

#include "app.h"

/* Execute `launch ID PROC EAL... -- APP...`; words[0] is ID. Start PROC from the directory of our
 * own executable if its options are allowed (launch/options.h), and append its output to <log
 * dir>/PROC-ID.log. Add --proc-type and --file-prefix if they are missing, and our --sock-dir and
 * --sock-uid to spp_nfv. Return false after logging the reason.
 */
bool launch_run(const struct app *app, char **words, unsigned int n);

#endif
