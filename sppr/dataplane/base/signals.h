/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef STOP_H
#define STOP_H

/* From now on SIGINT, SIGTERM and SIGHUP make this fd readable. -1: there is none. */
int stop_open(void);

#endif
