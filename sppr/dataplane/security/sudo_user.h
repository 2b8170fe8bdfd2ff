/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SECURITY_SUDO_USER_H
#define SECURITY_SUDO_USER_H

#include <stdbool.h>
#include <sys/types.h>

/* The user who started this root process by sudo (SUDO_UID, SUDO_GID), and what must be theirs: the
 * sockets and regions that their QEMU opens, the files they read. Without sudo nothing is done.
 */

/* Whether a user called sudo, and whether this is the one. */
bool sudo_user_exists(void);
bool sudo_user_is(uid_t uid);

/* Whether files and sockets of this user may be used: root's, our own, and those of the user who
 * called sudo.
 */
bool sudo_user_is_trusted(uid_t uid);

/* In a lab of root QEMU may run as a user of its own (--sock-uid): sockets are made for that user,
 * and its stale sockets are removed. Nothing else of that user's is trusted. "": there is none.
 */
void sudo_user_set_qemu(const char *uid);
bool sudo_user_may_own_socket(uid_t uid);

/* Between the two the calling thread opens and makes files as that user. Short, and without EAL: a
 * thread started within, or a hugepage file opened, would have the user's rights.
 */
void sudo_user_enter(void);
void sudo_user_leave(void);

/* Give a socket that was just made to the user who runs QEMU: connect() wants the right to write.
 */
void sudo_user_chown_socket(const char *path);

#endif
