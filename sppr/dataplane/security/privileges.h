/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SECURITY_PRIVILEGES_H
#define SECURITY_PRIVILEGES_H

#include "base/config.h"

/* Give up all capabilities except those that EAL and ports added later need, and forbid to gain any
 * by exec. Linux keeps both per thread, so this runs before EAL creates its threads, which inherit
 * it. argv is the whole command line. Logs what is kept. Returns -1 after logging why it failed.
 */
int privileges_drop(const struct config *cfg, int argc, char **argv);

#endif
