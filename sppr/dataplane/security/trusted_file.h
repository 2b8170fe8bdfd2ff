/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SECURITY_TRUSTED_FILE_H
#define SECURITY_TRUSTED_FILE_H

#include <sys/types.h>

/* Open a regular file that no stranger can have put there: owned by root, by us or by the user who
 * called sudo, with one name, and not behind a symbolic link. Never blocks, as a FIFO would.
 * Returns -1 with errno and *why set. A new file is made if flags has O_CREAT; an old one is not
 * truncated.
 */
int trusted_file_open(const char *path, int flags, mode_t mode, const char **why);

/* The same checks for an open file. Returns the reason for a refusal, or NULL. */
const char *trusted_file_check(int fd);

#endif
