/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SECURITY_SOCKET_FILE_H
#define SECURITY_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/types.h>

/* A listening socket of this process. */
struct socket_file {
	char path[108];
	dev_t dev;
	ino_t ino;
};

/* Create a listening SOCK_SEQPACKET socket at file->path. mode: as of open(), before the umask.
 * Return the fd, or -1 after logging the reason.
 */
int socket_file_listen(struct socket_file *file, mode_t mode);

/* Return whether the path still names this socket: another process may have replaced it. */
bool socket_file_is_ours(const struct socket_file *file);

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
