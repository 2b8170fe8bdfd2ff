/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

#include "base/fd_dir.h"
#include "base/tun_fd.h"

/* The fdinfo of a tun fd has a line `iff:\tNAME`. */
static bool
is_queue_of(int dir, const char *entry, const char *ifname)
{
	int fd = openat(dir, entry, O_RDONLY | O_CLOEXEC);
	char line[256], *save = NULL, *name;
	bool found = false;
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;

	if (f == NULL) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (!found && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "iff:", 4) != 0)
			continue;
		name = strtok_r(line + 4, " \t\n", &save);
		found = name != NULL && strcmp(name, ifname) == 0;
	}
	fclose(f);
	return found;
}

/* net_tap keeps an fd whose queue it detached, in the process that created the interface. It is
 * never readable. Its fdinfo has the name, too.
 */
static bool
is_detached(int fd)
{
	struct ifreq req;

	memset(&req, 0, sizeof(req));
	return ioctl(fd, TUNGETIFF, &req) == 0 && (req.ifr_flags & IFF_DETACH_QUEUE) != 0;
}

static bool
is_wanted(int dir, const char *entry, int fd, const void *ifname)
{
	return is_queue_of(dir, entry, ifname) && !is_detached(fd);
}

int
tun_fd_find(const char *fdinfo_dir, const char *ifname)
{
	return fd_dir_lowest(fdinfo_dir, is_wanted, ifname);
}
