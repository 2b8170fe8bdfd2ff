/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "memif/name.h"
#include "security/socket_file.h"
#include "security/sudo_user.h"

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
		if (symlink(base(name->own.path), name->common) == 0)
			return true;
		if (errno != EEXIST)
			return false;
		/* left by a killed process with our number; a link of another user could change
		 * later
		 */
		if (lstat(name->common, &st) == 0 && sudo_user_is_trusted(st.st_uid) &&
				common_target(name, target, sizeof(target)) &&
				strcmp(target, base(name->own.path)) == 0)
			return true;
		if (!remove_unused_common(name))
			return false;
	}
	return false;
}

int
memif_name_listen(struct memif_name *name, const char *dir, unsigned int number)
{
	int fd;

	memset(name, 0, sizeof(*name));
	snprintf(name->own.path, sizeof(name->own.path), "%s/spp-memif.%u.sock", dir, number);
	snprintf(name->common, sizeof(name->common), "%s/spp-memif.sock", dir);
	if (socket_file_remove_stale(name->own.path) < 0)
		return -1;
	fd = socket_file_listen(&name->own, ACCESSPERMS);
	if (fd < 0)
		return -1;
	sudo_user_chown_socket(name->own.path);
	if (claim_common(name))
		log_line("memif clients connect to %s (%s)", name->common, base(name->own.path));
	else
		log_line("memif clients connect to %s; %s is another process's", name->own.path,
				name->common);
	return fd;
}

void
memif_name_close(const struct memif_name *name, int fd)
{
	char target[64];

	close(fd);
	if (!socket_file_is_ours(&name->own))
		return;
	if (common_target(name, target, sizeof(target)) &&
			strcmp(target, base(name->own.path)) == 0)
		unlink(name->common);
	unlink(name->own.path);
}
