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
#include "memif/name.h"
#include "security/socket_file.h"
#include "security/sudo_user.h"

#define BACKLOG 8

static const char *
base(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* Read where the common name points to, a name in the same directory. Return false if it is not our
 * link.
 */
static bool
common_target(const struct memif_name *name, char *target, size_t size)
{
	ssize_t n = readlink(name->common, target, size - 1);
	unsigned int number;
	int end = 0;

	if (n < 0)
		return false;
	target[n] = '\0';
	return sscanf(target, "spp-memif.%u.sock%n", &number, &end) == 1 && end == (int)n;
}

/* Remove a common name that no process uses. Return true if the name is free. */
static bool
remove_unused_common(const struct memif_name *name)
{
	char target[64], path[sizeof(name->common)];
	struct stat st;

	if (lstat(name->common, &st) < 0)
		return errno == ENOENT;
	if (!S_ISLNK(st.st_mode)) /* a socket of SPP or net_memif */
		return !socket_file_listening("/proc/net/unix", name->common) &&
		       socket_file_remove_stale(name->common) == 0;
	if (!common_target(name, target, sizeof(target)))
		return false;
	snprintf(path, sizeof(path), "%.*s%s", (int)(base(name->common) - name->common),
			name->common, target);
	return !socket_file_listening("/proc/net/unix", path) && unlink(name->common) == 0;
}

/* The first process gets the common name: symlink() creates it or fails with EEXIST. */
static bool
claim_common(const struct memif_name *name)
{
	char target[64];
	struct stat st;
	int i;

	for (i = 0; i < 2; i++) {
		if (symlink(base(name->own), name->common) == 0)
			return true;
		if (errno != EEXIST)
			return false;
		/* left by a killed process with our number; a link of another user could change
		 * later
		 */
		if (lstat(name->common, &st) == 0 && sudo_user_is_trusted(st.st_uid) &&
				common_target(name, target, sizeof(target)) &&
				strcmp(target, base(name->own)) == 0)
			return true;
		if (!remove_unused_common(name))
			return false;
	}
	return false;
}

static int
listen_at(struct memif_name *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct stat st;

	memcpy(address.sun_path, name->own, sizeof(address.sun_path));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		log_line("%s: %s", name->own, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (listen(fd, BACKLOG) < 0 || lstat(name->own, &st) < 0) {
		log_line("%s: %s", name->own, strerror(errno));
		unlink(name->own);
		close(fd);
		return -1;
	}
	name->dev = st.st_dev;
	name->ino = st.st_ino;
	return fd;
}

int
memif_name_listen(struct memif_name *name, const char *dir, unsigned int number)
{
	int fd;

	memset(name, 0, sizeof(*name));
	snprintf(name->own, sizeof(name->own), "%s/spp-memif.%u.sock", dir, number);
	snprintf(name->common, sizeof(name->common), "%s/spp-memif.sock", dir);
	if (socket_file_remove_stale(name->own) < 0)
		return -1;
	fd = listen_at(name);
	if (fd < 0)
		return -1;
	sudo_user_chown_socket(name->own);
	if (claim_common(name))
		log_line("memif clients connect to %s (%s)", name->common, base(name->own));
	else
		log_line("memif clients connect to %s; %s is another process's", name->own,
				name->common);
	return fd;
}

void
memif_name_close(const struct memif_name *name, int fd)
{
	char target[64];
	struct stat st;

	close(fd);
	/* another process may have replaced the name */
	if (lstat(name->own, &st) < 0 || st.st_dev != name->dev || st.st_ino != name->ino)
		return;
	if (common_target(name, target, sizeof(target)) && strcmp(target, base(name->own)) == 0)
		unlink(name->common);
	unlink(name->own);
}
