/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SECURITY_SOCKET_FILE_H
#define SECURITY_SOCKET_FILE_H

#include <stdbool.h>

/* Return whether a socket listens at this path, according to a table in the form of /proc/net/unix.
 * Do not probe by connecting: a vhost-user server takes the connection for a guest.
 */
bool socket_file_listening(const char *proc_table, const char *path);

/* Make the path free for a new socket: remove a socket of a permitted owner that no process listens
 * on. Return 0, or -1 after logging the reason.
 */
int socket_file_remove_stale(const char *path);

/* Return whether this process may connect to the socket at this path: it does not exist yet, or a
 * permitted user created it. Logs a refusal.
 */
bool socket_file_may_connect(const char *path);

#endif
