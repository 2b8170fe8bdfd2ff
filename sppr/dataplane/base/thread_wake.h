/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_THREAD_WAKE_H
#define BASE_THREAD_WAKE_H

/* Interrupt the system call that other threads of this process wait in: a poll() returns EINTR.
 * `name` is the beginning of their names. The signal is SIGUSR1, which this process ignores
 * from the first call on. Return the number of threads.
 */
int thread_wake(const char *name);

#endif
