/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "shm/region.h"
#include "shm/region_file.h"

static char dir[] = "/tmp/regionXXXXXX";
static char path[64], other[64];

static int
entries(void)
{
	DIR *d = opendir(dir);
	int n = 0;

	CHECK(d != NULL);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

static void
refused(void)
{
	void *base;

	CHECK(region_file_open(path, &base) < 0);
}

static void
test_made_when_missing_and_had_by_one(void)
{
	void *base, *again;
	struct stat st;
	int fd = region_file_open(path, &base);

	CHECK(fd >= 0 && stat(path, &st) == 0);
	CHECK(st.st_size == REGION_SIZE && (st.st_mode & 07777) == 0600);
	CHECK(st.st_blocks * 512 >= (blkcnt_t)REGION_SIZE);
	CHECK(entries() == 1);
	memset(base, 7, REGION_SIZE);
	refused(); /* flock belongs to the open file, so one process can test it */
	region_file_close(fd, base);
	fd = region_file_open(path, &again);
	CHECK(fd >= 0 && *(char *)again == 7); /* unchanged */
	region_file_close(fd, again);
	unlink(path);
}

static void
test_of_the_user_who_called_sudo(void)
{
	struct stat st;
	void *base;
	int fd;

	if (geteuid() != 0)
		return;
	CHECK(chmod(dir, 0777) == 0 && setenv("SUDO_UID", "65534", 1) == 0);
	CHECK(setenv("SUDO_GID", "65533", 1) == 0);
	fd = region_file_open(path, &base);
	CHECK(fd >= 0 && stat(path, &st) == 0 && st.st_uid == 65534 && st.st_gid == 65533);
	region_file_close(fd, base);
	fd = region_file_open(path, &base); /* owned by the sudo user */
	CHECK(fd >= 0);
	region_file_close(fd, base);
	CHECK(unsetenv("SUDO_UID") == 0);
	refused();
	CHECK(setenv("SUDO_UID", "65535", 1) == 0);
	refused(); /* of a third user */
	CHECK(setenv("SUDO_UID", "-1", 1) == 0);
	refused();
	CHECK(unsetenv("SUDO_UID") == 0 && chmod(dir, 0700) == 0 && unlink(path) == 0);
}

static void
test_refused(void)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	CHECK(fd >= 0 && ftruncate(fd, REGION_SIZE - 1) == 0);
	refused();
	CHECK(ftruncate(fd, REGION_SIZE) == 0 && fchmod(fd, 0620) == 0);
	refused();
	CHECK(fchmod(fd, 0600) == 0);
	if (geteuid() == 0) {
		CHECK(fchown(fd, 65534, 65534) == 0);
		refused();
	}
	close(fd);
	CHECK(rename(path, other) == 0 && symlink(other, path) == 0);
	refused();
	CHECK(unlink(path) == 0 && symlink("/tmp/region-nowhere", path) == 0);
	refused();
	CHECK(access("/tmp/region-nowhere", F_OK) < 0);
	CHECK(unlink(path) == 0 && mkfifo(path, 0600) == 0);
	refused();
	CHECK(unlink(path) == 0 && mkdir(path, 0700) == 0);
	refused();
	CHECK(rmdir(path) == 0 && unlink(other) == 0 && entries() == 0);
}

int
main(void)
{
	CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/ivshmem0", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	test_made_when_missing_and_had_by_one();
	test_of_the_user_who_called_sudo();
	test_refused();
	rmdir(dir);
	return 0;
}
