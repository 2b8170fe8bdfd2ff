/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "security/socket_file.h"
#include "security/sudo_user.h"

/* As many as a service accepts: with a full queue, connect() of a client with a time limit fails.
 */
#define BACKLOG 16
#define SO_ACCEPTS 0x00010000 /* __SO_ACCEPTCON: the flag of a listening socket */

bool
socket_file_listening(const char *proc_table, const char *path)
{
	FILE *f = fopen(proc_table, "re");
	char line[512];
	unsigned int flags;
	int at;

	if (f == NULL)
		return true; /* unknown, so keep the socket */
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		at = 0;
		/* Num RefCount Protocol Flags Type St Inode Path */
		if (sscanf(line, "%*s %*s %*s %x %*s %*s %*s %n", &flags, &at) == 1 && at > 0 &&
				(flags & SO_ACCEPTS) != 0 && strcmp(line + at, path) == 0) {
			fclose(f);
			return true;
		}
	}
	fclose(f);
	return false;
}

int
socket_file_remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		log_line("%s: %s", path, strerror(errno));
		return -1;
	}
	if (!S_ISSOCK(st.st_mode)) {
		log_line("%s exists and is not a socket; left alone", path);
		return -1;
	}
	if (!sudo_user_may_own_socket(st.st_uid)) {
		log_line("%s belongs to user %u; left alone", path, st.st_uid);
		return -1;
	}
	if (socket_file_listening("/proc/net/unix", path)) {
		log_line("%s: another process listens there; left alone", path);
		return -1;
	}
	if (unlink(path) < 0) {
		log_line("%s: %s", path, strerror(errno));
		return -1;
	}
	log_line("%s: removed a stale socket", path);
	return 0;
}

bool
socket_file_may_connect(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0) {
		if (errno != ENOENT)
			log_line("%s: %s", path, strerror(errno));
		return errno == ENOENT;
	}
	if (!S_ISSOCK(st.st_mode) || !sudo_user_may_own_socket(st.st_uid)) {
		log_line("%s: %s; not used", path,
				S_ISSOCK(st.st_mode) ? "belongs to another user"
						     : "is not a socket");
		return false;
	}
	return true;
}

int
socket_file_listen(struct socket_file *file, mode_t mode)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct stat st;

	memcpy(address.sun_path, file->path, sizeof(address.sun_path));
	/* bind() gives the file the mode of the socket */
	if (fd < 0 || fchmod(fd, mode) < 0 ||
			bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		log_line("%s: %s", file->path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (listen(fd, BACKLOG) < 0 || lstat(file->path, &st) < 0) {
		log_line("%s: %s", file->path, strerror(errno));
		unlink(file->path);
		close(fd);
		return -1;
	}
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	return fd;
}

bool
socket_file_is_ours(const struct socket_file *file)
{
	struct stat st;

	return lstat(file->path, &st) == 0 && st.st_dev == file->dev && st.st_ino == file->ino;
}
