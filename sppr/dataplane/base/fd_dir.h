/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_FD_DIR_H
#define BASE_FD_DIR_H

#include <stdbool.h>

/* Whether an fd is the one that is looked for. dir: an fd of the folder, where entry is its name.
 */
typedef bool fd_test(int dir, const char *entry, int fd, const void *wanted);

/* Return the lowest fd in a folder such as /proc/self/fd that passes a test, or -1. */
int fd_dir_lowest(const char *dir, fd_test *test, const void *wanted);

#endif
