/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_COMMAND_H
#define CONTROL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "app.h"

#define REPLY_SIZE 32768 /* always sent whole, NUL padded */
#define MAX_TOKENS 48

/* Executes what one recv brought: len bytes of buf, which has room for a NUL after them. The
 * answer is in reply; the result is true when the process is to end once it is sent.
 */
bool command_run(struct app *app, char *buf, size_t len, char reply[REPLY_SIZE]);

#endif
