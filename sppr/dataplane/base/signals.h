/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

/* From now on SIGINT, SIGTERM and SIGHUP make this fd readable. -1: there is none. */
int signals_open(void);

#endif
