/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "security/trusted_file.h"

#define FLAGS (O_WRONLY | O_CREAT)
#define NOBODY 65534

static const char *why;

static void
test_refused(const char *path, const char *reason)
{
	CHECK(trusted_file_open(path, FLAGS, 0600, &why) < 0);
	CHECK_STR(why, reason);
}

int
main(void)
{
	char dir[] = "/tmp/ownfile_testXXXXXX", file[64], name[64];
	int fd;

	unsetenv("SUDO_UID");
	CHECK(mkdtemp(dir) != NULL);
	snprintf(file, sizeof(file), "%s/file", dir);
	snprintf(name, sizeof(name), "%s/name", dir);
	CHECK(trusted_file_open(file, O_RDONLY, 0, &why) < 0 && errno == ENOENT);
	fd = trusted_file_open(file, FLAGS, 0600, &why);
	CHECK(fd >= 0 && why == NULL && write(fd, "x", 1) == 1 && close(fd) == 0);
	fd = trusted_file_open(file, FLAGS, 0600, &why);
	CHECK(fd >= 0 && lseek(fd, 0, SEEK_END) == 1 && close(fd) == 0);

	CHECK(symlink(file, name) == 0);
	test_refused(name, "is a symbolic link");
	CHECK(unlink(name) == 0 && link(file, name) == 0);
	test_refused(file, "has a second name (a hard link)");
	CHECK(unlink(name) == 0 && mkfifo(name, 0600) == 0);
	test_refused(name, strerror(ENXIO)); /* it has no reader */
	CHECK(trusted_file_open(name, O_RDONLY, 0, &why) < 0);
	CHECK_STR(why, "is not a regular file");
	CHECK(unlink(name) == 0 && mkdir(name, 0700) == 0);
	CHECK(trusted_file_open(name, O_RDONLY, 0, &why) < 0);
	CHECK_STR(why, "is not a regular file");
	CHECK(rmdir(name) == 0);
	if (geteuid() == 0) {
		CHECK(chown(file, NOBODY, NOBODY) == 0);
		test_refused(file, "belongs to another user");
		setenv("SUDO_UID", "65534", 1);
		setenv("SUDO_GID", "65534", 1);
		fd = trusted_file_open(file, FLAGS, 0600, &why);
		CHECK(fd >= 0 && close(fd) == 0);
	}
	CHECK(unlink(file) == 0 && rmdir(dir) == 0);
	return 0;
}
