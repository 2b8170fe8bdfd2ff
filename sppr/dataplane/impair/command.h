/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMPAIR_COMMAND_H
#define IMPAIR_COMMAND_H

#include "control/request.h"

/* Run `impair SRC [MATCH] KEY=VALUE...` or `impair SRC [MATCH] off`. Return false after logging the
 * reason; then nothing changed.
 */
bool impair_command(struct request *r);

#endif
