/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SECURITY_SOCKET_FILE_H
#define SECURITY_SOCKET_FILE_H

#include <stdbool.h>

/* Whether a socket listens at this path, read from a table in the form of /proc/net/unix. Never
 * found out by connecting: a vhost-user server takes the probe for a guest.
 */
bool socket_file_listening(const char *proc_table, const char *path);

/* Make room for a socket at path: remove one that nobody listens on and that no stranger made; 0,
 * or -1 after saying why.
 */
int socket_file_remove_stale(const char *path);

/* Whether the socket at path may be connected to: it does not exist yet, or root, we or the user
 * who called sudo made it. Logs why not.
 */
bool socket_file_may_connect(const char *path);

#endif
