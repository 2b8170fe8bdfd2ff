/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_COMMAND_H
#define CONTROL_COMMAND_H

#include "control/request.h"

/* Execute one received command: len bytes of buf, which must have room for a NUL after them. Write
 * the reply to `reply`. Return true if the process must end after it has sent the reply.
 */
bool command_run(struct app *app, char *buf, size_t len, char reply[REPLY_SIZE]);

/* How many bytes of a reply are sent: of primary and nfv always REPLY_SIZE, padded with NULs; of
 * vf, mirror and pcap the text only. spp_vm sends a JSON text only, and one NUL after another
 * text: 32768 bytes arrive in several pieces through QEMU's user network, and spp-ctl takes the
 * pieces after the first for the replies to the next commands.
 */
size_t command_reply_size(const struct app *app, const char *reply);

#endif
