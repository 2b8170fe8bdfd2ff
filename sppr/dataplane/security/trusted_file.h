/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef OWNFILE_H
#define OWNFILE_H

#include <sys/types.h>

/* Open a regular file that no stranger can have put there: owned by root, by us or by the user who
 * called sudo, with one name, and not behind a symbolic link. Never blocks, as a FIFO would.
 * Returns -1 with errno and *why set. A new file is made if flags has O_CREAT; an old one is not
 * truncated.
 */
int ownfile_open(const char *path, int flags, mode_t mode, const char **why);

/* The same checks for an open file. Returns the reason for a refusal, or NULL. */
const char *ownfile_refusal(int fd);

#endif
