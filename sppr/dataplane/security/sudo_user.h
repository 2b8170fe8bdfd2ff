/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SECURITY_SUDO_USER_H
#define SECURITY_SUDO_USER_H

#include <stdbool.h>
#include <sys/types.h>

/* The user who started this root process by sudo (SUDO_UID, SUDO_GID). That user must own the
 * sockets and regions that their QEMU opens, and the files they read. Without sudo these functions
 * do nothing.
 */

/* Return whether there is such a user, and whether it is this uid. */
bool sudo_user_exists(void);
bool sudo_user_is(uid_t uid);

/* Return whether files of this uid may be used: root's, our own, or those of the sudo user. */
bool sudo_user_is_trusted(uid_t uid);

/* In a lab of root, QEMU may run as a user of its own (--sock-uid). Sockets are created for that
 * user, and its stale sockets are removed. No other file of that user is trusted. "": no such user.
 */
void sudo_user_set_qemu(const char *uid);
bool sudo_user_may_own_socket(uid_t uid);

/* Between these two calls the calling thread opens and creates files as that user. Keep it short
 * and without EAL: a thread or a hugepage file created meanwhile would have that user's rights.
 */
void sudo_user_enter(void);
void sudo_user_leave(void);

/* Change the owner of a new socket to the user who runs QEMU, because connect() needs write
 * permission.
 */
void sudo_user_chown_socket(const char *path);

/* Change the owner of a new socket to the sudo user, also if QEMU runs as another user. */
void sudo_user_chown_own_socket(const char *path);

#endif
