/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SECURITY_TRUSTED_FILE_H
#define SECURITY_TRUSTED_FILE_H

#include <sys/types.h>

/* Open a regular file that no other user can have put there: its owner is root, we or the sudo
 * user, it has one name, and it is not behind a symbolic link. Does not block on a FIFO. Return -1
 * with errno and *why set. With O_CREAT a missing file is created. An existing file is not
 * truncated.
 */
int trusted_file_open(const char *path, int flags, mode_t mode, const char **why);

/* Check an open file in the same way. Return the reason of a refusal, or NULL. */
const char *trusted_file_check(int fd);

#endif
