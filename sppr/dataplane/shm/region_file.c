/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "security/sudo_user.h"
#include "security/trusted_file.h"
#include "shm/region.h"
#include "shm/region_file.h"

#define PATH_SIZE 256

/* Create the file under another name first, so that its name always stands for a complete file. */
static int
create_complete(const char *path)
{
	char temporary[PATH_SIZE + 16];
	int fd, failed;

	snprintf(temporary, sizeof(temporary), "%s.%d", path, (int)getpid());
	unlink(temporary);
	fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	failed = 0;
	/* EEXIST: another process has created it */
	if (ftruncate(fd, REGION_SIZE) < 0 ||
			(renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) < 0 &&
					errno != EEXIST))
		failed = errno;
	unlink(temporary);
	close(fd);
	errno = failed;
	return failed ? -1 : 0;
}

/* The QEMU of the sudo user opens the file, so that user owns it. */
static int
create_file(const char *path)
{
	int made, failed;

	sudo_user_enter();
	made = create_complete(path);
	failed = errno;
	sudo_user_leave();
	errno = failed;
	return made;
}

/* Check that a permitted user owns the file and that it has the right size. Lock it. Return NULL,
 * or the reason.
 */
static const char *
check_file(int fd)
{
	const char *why = trusted_file_check(fd);
	struct stat st;

	if (why != NULL)
		return why;
	if (fstat(fd, &st) < 0)
		return strerror(errno);
	if ((st.st_mode & 022) != 0)
		return "can be written by others";
	if (st.st_size < (off_t)REGION_SIZE)
		return "is too short for a region of 4 MiB";
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? "another process has this region" : strerror(errno);
	/* allocate now: a missing page would be a SIGBUS later */
	if (fallocate(fd, 0, 0, REGION_SIZE) < 0 && errno != EOPNOTSUPP)
		return strerror(errno);
	return NULL;
}

int
region_file_open(const char *path, void **base)
{
	const int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	const char *why;
	int fd = open(path, flags);

	if (fd < 0 && errno == ENOENT && create_file(path) == 0)
		fd = open(path, flags);
	if (fd < 0) {
		log_line("%s: %s", path,
				errno == ELOOP ? "is a symbolic link; left alone"
					       : strerror(errno));
		return -1;
	}
	why = check_file(fd);
	if (why == NULL) {
		*base = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
				fd, 0);
		if (*base != MAP_FAILED)
			return fd;
		why = strerror(errno);
	}
	log_line("%s: %s; not used", path, why);
	close(fd);
	return -1;
}

void
region_file_close(int fd, void *base)
{
	munmap(base, REGION_SIZE);
	close(fd);
}
