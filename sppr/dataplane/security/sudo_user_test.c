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
	invoker_own_socket(path);
	CHECK(owner(path) == geteuid() && !invoker_is(geteuid()));
	CHECK(invoker_trusts(0) && invoker_trusts(geteuid()) && !invoker_trusts(65534));
	if (geteuid() == 0) {
		setenv("SUDO_UID", "0", 1);
		setenv("SUDO_GID", "0", 1);
		CHECK(!invoker_is(0)); /* root who called sudo is root */
		setenv("SUDO_UID", "65534", 1);
		CHECK(invoker_is(65534) && !invoker_is(65533));
		CHECK(invoker_trusts(65534) && !invoker_trusts(65533));
		CHECK(symlink(path, link) == 0);
		invoker_own_socket(link); /* neither the link nor what it names */
		CHECK(owner(path) == 0 && owner(link) == 0);
		CHECK(close(creat(file, 0600)) == 0);
		invoker_own_socket(file);
		CHECK(owner(file) == 0);
		invoker_own_socket(path);
		CHECK(owner(path) == 65534);
		CHECK(!invoker_owns_sockets(65533));
		invoker_set_qemu("65533"); /* sudo wakeup: a lab of root, and QEMU's own user */
		CHECK(invoker_owns_sockets(65533) && !invoker_trusts(65533));
		invoker_own_socket(path);
		CHECK(owner(path) == 65533);
		invoker_set_qemu("");
		CHECK(!invoker_owns_sockets(65533));
		invoker_enter();
		CHECK(open(file, O_RDONLY) < 0); /* root's, 0600 */
		invoker_leave();
		CHECK(open(file, O_RDONLY) >= 0);
		CHECK(unlink(file) == 0 && unlink(link) == 0);
	}
	CHECK(unlink(path) == 0 && rmdir(dir) == 0);
	return 0;
}
