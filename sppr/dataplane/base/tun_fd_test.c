/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/tun_fd.h"

static void
put(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

int
main(void)
{
	char dir[] = "/tmp/tunfd_testXXXXXX", path[64];
	static const char *const names[] = { "3", "12", "7", "4" };
	size_t i;

	CHECK(mkdtemp(dir) != NULL);
	put(dir, "3", "pos:\t0\nflags:\t02\n");
	put(dir, "12", "pos:\t0\nflags:\t0104002\niff:\ttapa\n");
	put(dir, "7", "pos:\t0\niff:\ttapa\n");
	put(dir, "4", "pos:\t0\niff:\t\n"); /* the detached queue that net_tap keeps open */
	CHECK(tun_fd_find(dir, "tapa") == 7);
	CHECK(tun_fd_find(dir, "tap") == -1);
	CHECK(tun_fd_find("/nowhere", "tapa") == -1);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	CHECK(rmdir(dir) == 0);
	return 0;
}
