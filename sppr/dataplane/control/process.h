/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_PROCESS_H
#define CONTROL_PROCESS_H

#include "app.h"

/* What both programs do alike. */

/* Reads the arguments after `--` before EAL has a say, so that a mistake is told at once. Returns
 * how many arguments are EAL's, or exits.
 */
int process_arguments(struct config *cfg, bool primary, int argc, char **argv);

/* -1 after saying so when a secondary's primary is not alive, told from the EAL arguments. */
int process_check_primary(int argc, char **argv);

/* Before rte_eal_init: quiet the libraries; the user's own --log-level still wins. */
void process_quiet_libraries(void);

/* SIGINT, SIGTERM and SIGHUP end the loop. */
int process_catch_signals(void);

/* Serves the controller till told to end; the exit status. */
int process_loop(struct app *app);

#endif
