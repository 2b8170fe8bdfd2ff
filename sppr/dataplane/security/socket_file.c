/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "security/socket_file.h"
#include "security/sudo_user.h"

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
