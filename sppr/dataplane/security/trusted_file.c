/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "security/sudo_user.h"
#include "security/trusted_file.h"

#define NAME_TRIES 20
#define NAME_WAIT_US 5000

const char *
trusted_file_check(int fd)
{
	struct stat st;
	int i;

	for (i = 0; i < NAME_TRIES; i++) {
		if (fstat(fd, &st) < 0)
			return strerror(errno);
		if (!S_ISREG(st.st_mode))
			return "is not a regular file";
		if (!sudo_user_is_trusted(st.st_uid))
			return "belongs to another user";
		if (st.st_nlink <= 1)
			return NULL;
		/* the file of a region has a temporary second name while sppr creates it */
		usleep(NAME_WAIT_US);
	}
	return "has a second name (a hard link)";
}

int
trusted_file_open(const char *path, int flags, mode_t mode, const char **why)
{
	int fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, mode);

	*why = NULL;
	if (fd < 0) {
		*why = errno == ELOOP ? "is a symbolic link" : strerror(errno);
		return -1;
	}
	*why = trusted_file_check(fd);
	if (*why == NULL)
		return fd;
	close(fd);
	errno = EPERM;
	return -1;
}
