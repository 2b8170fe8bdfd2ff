/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "security/sudo_user.h"

static char dir[] = "/tmp/invokerXXXXXX";

static void
listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	close(fd);
}

static uid_t
owner(const char *path)
{
	struct stat st;

	CHECK(lstat(path, &st) == 0);
	return st.st_uid;
}

int
main(void)
{
	char path[64], link[64], file[64];

	CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	snprintf(file, sizeof(file), "%s/file", dir);
	unsetenv("SUDO_UID");
	listen_at(path);
	sudo_user_chown_socket(path);
	CHECK(owner(path) == geteuid() && !sudo_user_is(geteuid()));
	CHECK(sudo_user_is_trusted(0) && sudo_user_is_trusted(geteuid()) &&
			!sudo_user_is_trusted(65534));
	if (geteuid() == 0) {
		setenv("SUDO_UID", "0", 1);
		setenv("SUDO_GID", "0", 1);
		CHECK(!sudo_user_is(0)); /* root who called sudo counts as root */
		setenv("SUDO_UID", "65534", 1);
		CHECK(sudo_user_is(65534) && !sudo_user_is(65533));
		CHECK(sudo_user_is_trusted(65534) && !sudo_user_is_trusted(65533));
		CHECK(symlink(path, link) == 0);
		sudo_user_chown_socket(link); /* neither the link nor its target changes */
		CHECK(owner(path) == 0 && owner(link) == 0);
		CHECK(close(creat(file, 0600)) == 0);
		sudo_user_chown_socket(file);
		CHECK(owner(file) == 0);
		sudo_user_chown_socket(path);
		CHECK(owner(path) == 65534);
		CHECK(!sudo_user_may_own_socket(65533));
		sudo_user_set_qemu("65533"); /* a lab of root with a QEMU user */
		CHECK(sudo_user_may_own_socket(65533) && !sudo_user_is_trusted(65533));
		sudo_user_chown_socket(path);
		CHECK(owner(path) == 65533);
		sudo_user_set_qemu("");
		CHECK(!sudo_user_may_own_socket(65533));
		sudo_user_enter();
		CHECK(open(file, O_RDONLY) < 0); /* owned by root, mode 0600 */
		sudo_user_leave();
		CHECK(open(file, O_RDONLY) >= 0);
		CHECK(unlink(file) == 0 && unlink(link) == 0);
	}
	CHECK(unlink(path) == 0 && rmdir(dir) == 0);
	return 0;
}
