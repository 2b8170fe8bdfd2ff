/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/thread_wake.h"

static void
on_signal(int signo)
{
	(void)signo;
}

static bool
has_name(const char *tid, const char *name)
{
	char path[64], comm[32] = "";
	FILE *f;
	bool found;

	snprintf(path, sizeof(path), "/proc/self/task/%.16s/comm", tid);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	found = fgets(comm, sizeof(comm), f) != NULL && strncmp(comm, name, strlen(name)) == 0;
	fclose(f);
	return found;
}

int
thread_wake(const char *name)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct dirent *entry;
	DIR *tasks;
	int woken = 0;

	if (sigaction(SIGUSR1, &action, NULL) < 0)
		return 0;
	tasks = opendir("/proc/self/task");
	if (tasks == NULL)
		return 0;
	while ((entry = readdir(tasks)) != NULL)
		if (has_name(entry->d_name, name) &&
				syscall(SYS_tgkill, getpid(), atoi(entry->d_name), SIGUSR1) == 0)
			woken++;
	closedir(tasks);
	return woken;
}
