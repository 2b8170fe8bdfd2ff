/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_PROCESS_H
#define CONTROL_PROCESS_H

#include "app.h"

/* Code shared by spp_primary and the secondaries. */

/* Parse the arguments after `--` before EAL starts, so that mistakes are reported at once. Return
 * the number of arguments for EAL. Exits on an error and after --help.
 */
int process_arguments(struct config *cfg, enum process_kind kind, int argc, char **argv);

/* Check that the primary named by the EAL arguments is alive. Return -1 after logging that it is
 * not.
 */
int process_check_primary(int argc, char **argv);

/* Lower the log levels of libraries. Call it before rte_eal_init, so that --log-level takes
 * precedence.
 */
void process_quiet_libraries(void);

/* Let SIGINT, SIGTERM and SIGHUP end process_loop(). */
int process_catch_signals(void);

/* Serve the controller until the process must end. Return the exit status. */
int process_loop(struct app *app);

#endif
