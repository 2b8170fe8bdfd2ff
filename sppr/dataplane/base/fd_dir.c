/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <stdlib.h>

#include "base/fd_dir.h"

int
fd_dir_lowest(const char *dir, fd_test *test, const void *wanted)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int fd, best = -1;

	if (d == NULL)
		return -1;
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		fd = atoi(e->d_name);
		if ((best < 0 || fd < best) && test(dirfd(d), e->d_name, fd, wanted))
			best = fd;
	}
	closedir(d);
	return best;
}
