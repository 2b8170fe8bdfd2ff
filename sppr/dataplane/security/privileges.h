/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SECURITY_PRIVILEGES_H
#define SECURITY_PRIVILEGES_H

#include "base/config.h"

/* Drop all capabilities except those that EAL and ports need, and forbid to gain any by exec. Linux
 * keeps both per thread, so call it before EAL creates its threads, which inherit them. argv is the
 * whole command line. Logs the capabilities that are kept. Return -1 after logging the reason.
 */
int privileges_drop(const struct config *cfg, int argc, char **argv);

#endif
