/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_eal.h>

#include "launch.h"
#include "say.h"

#define MAX_ARGS 64
#define SIGNALS 32

/* A plain name of ours, not a path out of our folder. */
static bool
find_program(const char *name, char *path, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", path, size - 1);
	char *slash;

	if (len <= 0)
		return false;
	path[len] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL || strncmp(name, "spp_", 4) != 0 || strchr(name, '/') != NULL ||
			(size_t)(slash + 1 - path) + strlen(name) >= size) {
		say("launch: \"%.40s\" is not a program of ours", name);
		return false;
	}
	strcpy(slash + 1, name);
	if (access(path, X_OK) < 0) {
		say("launch: %s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

static int
open_log(const struct app *app, const char *name, const char *id)
{
	const char *dir = *app->cfg.log_dir != '\0' ? app->cfg.log_dir : rte_eal_get_runtime_dir();
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s-%s.log", dir, name, id);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		say("launch: %s: %s", path, strerror(errno));
	else
		say("launch: %s %s, its output in %s", name, id, path);
	return fd;
}

/* Between fork and exec of a process with threads: system calls only. */
static void
become(char **argv, const char *path, int log, int error_fd)
{
	int i, null = open("/dev/null", O_RDONLY), error;

	for (i = 1; i < SIGNALS; i++)
		signal(i, SIG_DFL);
	setsid(); /* a Ctrl-C in the primary's pane is the primary's */
	if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(log, STDOUT_FILENO) >= 0 &&
			dup2(log, STDERR_FILENO) >= 0) {
		/* the controller's socket, taps, the hugepage files */
		close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
		execv(path, argv);
	}
	error = errno;
	(void)!write(error_fd, &error, sizeof(error));
	_exit(127);
}

static bool
start(const char *path, char **argv, int log)
{
	int fds[2], error = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;
	signal(SIGCHLD, SIG_IGN); /* the kernel reaps */
	pid = fork();
	if (pid == 0)
		become(argv, path, log, fds[1]);
	close(fds[1]);
	if (pid < 0)
		error = errno;
	else if (read(fds[0], &error, sizeof(error)) <= 0)
		error = 0; /* closed by the exec */
	close(fds[0]);
	if (error != 0)
		say("launch: %s: %s", path, strerror(error));
	return error == 0;
}

static bool
is_id(const char *text)
{
	size_t len = strlen(text);

	return len >= 1 && len <= 3 && strspn(text, "0123456789") == len;
}

static bool
says_proc_type(char **words, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n && strcmp(words[i], "--") != 0; i++)
		if (strncmp(words[i], "--proc-type", 11) == 0)
			return true;
	return false;
}

bool
launch_run(const struct app *app, char **words, unsigned int n)
{
	static char type[] = "--proc-type", secondary[] = "secondary";
	char path[512], *argv[MAX_ARGS + 4];
	unsigned int argc = 0, i;
	bool ok;
	int log;

	if (n < 2 || n > MAX_ARGS || !is_id(words[0])) {
		say("launch: wanted ID PROC EAL options -- options");
		return false;
	}
	if (!find_program(words[1], path, sizeof(path)))
		return false;
	argv[argc++] = path;
	if (!says_proc_type(words + 2, n - 2)) {
		argv[argc++] = type;
		argv[argc++] = secondary;
	}
	for (i = 2; i < n; i++)
		argv[argc++] = words[i];
	argv[argc] = NULL;
	log = open_log(app, words[1], words[0]);
	if (log < 0)
		return false;
	ok = start(path, argv, log);
	close(log);
	return ok;
}
