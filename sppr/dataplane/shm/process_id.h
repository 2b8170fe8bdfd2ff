/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_PROCESS_ID_H
#define SHM_PROCESS_ID_H

#include <stdint.h>

/* A process: its pid, and the low half of its start time, because pids are reused. 0: none. */
typedef uint64_t process_id;

#endif
