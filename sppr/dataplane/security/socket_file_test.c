/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "security/socket_file.h"

static void
test_table(void)
{
	char name[] = "/tmp/sockfile_testXXXXXX";
	FILE *f = fdopen(mkstemp(name), "w");

	fprintf(f, "Num       RefCount Protocol Flags    Type St Inode Path\n"
		   "ffff: 00000002 00000000 00010000 0001 01 111 /tmp/sock1\n"
		   "ffff: 00000002 00000000 00000000 0001 03 112 /tmp/sock2\n"
		   "ffff: 00000002 00000000 00000000 0001 03 113\n"
		   "ffff: 00000002 00000000 00010000 0001 01 114 /tmp/with space\n");
	fclose(f);
	CHECK(socket_file_listening(name, "/tmp/sock1"));
	CHECK(!socket_file_listening(name, "/tmp/sock2"));
	CHECK(!socket_file_listening(name, "/tmp/sock"));
	CHECK(!socket_file_listening(name, "/tmp/sock11"));
	CHECK(!socket_file_listening(name, "113"));
	CHECK(socket_file_listening(name, "/tmp/with space"));
	CHECK(socket_file_listening("/no/such/table", "/tmp/sock1"));
	unlink(name);
}

static void
test_of_another_user(const struct sockaddr_un *addr)
{
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	struct stat st;

	if (geteuid() == 0) {
		unsetenv("SUDO_UID");
		CHECK(bind(s, (const struct sockaddr *)addr, sizeof(*addr)) == 0);
		CHECK(socket_file_may_connect(addr->sun_path));
		CHECK(chown(addr->sun_path, 65534, 65534) == 0);
		CHECK(socket_file_remove_stale(addr->sun_path) < 0 &&
				lstat(addr->sun_path, &st) == 0);
		CHECK(!socket_file_may_connect(addr->sun_path));
		CHECK(unlink(addr->sun_path) == 0);
	}
	close(s);
}

static void
test_clear(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	struct stat st;
	FILE *f;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/sockfile_test.%d", getpid());
	CHECK(socket_file_remove_stale(addr.sun_path) == 0);
	CHECK(bind(s, (struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(s, 1) == 0);
	CHECK(socket_file_remove_stale(addr.sun_path) < 0 && lstat(addr.sun_path, &st) == 0);
	close(s);
	CHECK(socket_file_remove_stale(addr.sun_path) == 0 && lstat(addr.sun_path, &st) < 0);
	test_of_another_user(&addr);
	CHECK(socket_file_may_connect(addr.sun_path));
	f = fopen(addr.sun_path, "w");
	fclose(f);
	CHECK(socket_file_remove_stale(addr.sun_path) < 0 && lstat(addr.sun_path, &st) == 0);
	CHECK(!socket_file_may_connect(addr.sun_path));
	unlink(addr.sun_path);
}

int
main(void)
{
	test_table();
	test_clear();
	return 0;
}
