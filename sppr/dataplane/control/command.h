/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_COMMAND_H
#define CONTROL_COMMAND_H

#include "control/request.h"

/* Executes what one recv brought: len bytes of buf, which has room for a NUL after them. The
 * answer is in reply; the result is true when the process is to end once it is sent.
 */
bool command_run(struct app *app, char *buf, size_t len, char reply[REPLY_SIZE]);

#endif
