/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_PROCESS_ID_H
#define SHM_PROCESS_ID_H

#include <stdint.h>

/* A process: its pid and, as pids come again, the low half of its start time. 0 for nobody. */
typedef uint64_t process_id;

#endif
