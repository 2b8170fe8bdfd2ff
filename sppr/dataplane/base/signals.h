/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

/* Open an fd that becomes readable on SIGINT, SIGTERM and SIGHUP. Return the fd, or -1 on error. */
int signals_open(void);

#endif
