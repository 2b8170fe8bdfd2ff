/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PCAP_RECORDER_H
#define PCAP_RECORDER_H

#include "app.h"
#include "control/json.h"

/* spp_pcap: the first worker lcore receives from the port of `-c`, as of any other patch, into a
 * ring. Each of the other worker lcores takes frames out of it, and writes files of its own.
 */

/* Open the port of `-c`, and start the writers. Return -1 after logging the reason. */
int pcap_recorder_set_up(struct app *app);

/* Start or stop a capture. Both do nothing if it is done already. Return false after logging the
 * reason.
 */
bool pcap_recorder_start(struct app *app);
bool pcap_recorder_stop(struct app *app);

/* Whether a capture runs. It ends by itself if no writer can write any more. */
bool pcap_recorder_running(void);

/* Add the members `core`, and the numbers of frames. */
void pcap_recorder_put_status(struct json *w);

/* Stop the writers, and complete their files. Call it after the workers have stopped. */
void pcap_recorder_close(void);

#endif
