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

#include "base/log.h"
#include "launch/launch.h"
#include "launch/options.h"
#include "security/trusted_file.h"

#define MAX_ARGS 64
#define ADDED_ARGS 10 /* path, --proc-type, --file-prefix, --sock-dir, --sock-uid, NULL */
#define SIGNALS 32

/* Find the program in the directory of our own executable. */
static bool
find_program(const char *name, char *path, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", path, size - 1);
	char *slash;

	if (len <= 0)
		return false;
	path[len] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL || !launch_program_allowed(name) ||
			(size_t)(slash + 1 - path) + strlen(name) >= size) {
		log_line("launch: the program is not one of spp_nfv, spp_vf, spp_mirror, spp_pcap");
		return false;
	}
	strcpy(slash + 1, name);
	if (access(path, X_OK) < 0) {
		log_line("launch: %s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

static int
open_log(const struct app *app, const char *name, const char *id)
{
	const char *dir = *app->cfg.log_dir != '\0' ? app->cfg.log_dir : rte_eal_get_runtime_dir();
	const char *why;
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s-%s.log", dir, name, id);
	fd = trusted_file_open(path, O_WRONLY | O_CREAT | O_APPEND, 0640, &why);
	if (fd < 0)
		log_line("launch: %s: %s", path, why);
	else
		log_line("launch: %s %s: output goes to %s", name, id, path);
	return fd;
}

/* Return the environment for a secondary. LD_PRELOAD and others are not passed on. */
static char **
make_environment(void)
{
	static const char *const names[] = { "PATH", "HOME", "TERM", "LANG", "SUDO_UID", "SUDO_GID",
		"SUDO_USER", "XDG_RUNTIME_DIR" };
	static char *environment[sizeof(names) / sizeof(names[0]) + 1];
	size_t i, n = 0, len;

	if (environment[0] != NULL)
		return environment;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		len = strlen(names[i]);
		for (char **entry = environ; *entry != NULL; entry++)
			if (strncmp(*entry, names[i], len) == 0 && (*entry)[len] == '=') {
				environment[n++] = *entry;
				break;
			}
	}
	return environment;
}

/* Runs between fork and exec of a process with threads, so it may only use system calls. */
static void
exec_child(char **argv, char **environment, const char *path, int log, int error_fd)
{
	int i, null = open("/dev/null", O_RDONLY), error;

	for (i = 1; i < SIGNALS; i++)
		signal(i, SIG_DFL);
	setsid(); /* Ctrl-C in the primary's pane must not reach the secondary */
	if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(log, STDOUT_FILENO) >= 0 &&
			dup2(log, STDERR_FILENO) >= 0) {
		/* the controller's socket, taps, hugepage files */
		close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
		execve(path, argv, environment);
	}
	error = errno;
	(void)!write(error_fd, &error, sizeof(error));
	_exit(127);
}

static bool
start(const char *path, char **argv, int log)
{
	char **environment = make_environment();
	int fds[2], error = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;
	signal(SIGCHLD, SIG_IGN); /* the kernel reaps children */
	pid = fork();
	if (pid == 0)
		exec_child(argv, environment, path, log, fds[1]);
	close(fds[1]);
	if (pid < 0)
		error = errno;
	else if (read(fds[0], &error, sizeof(error)) <= 0)
		error = 0; /* exec closed the pipe */
	close(fds[0]);
	if (error != 0)
		log_line("launch: %s: %s", path, strerror(error));
	return error == 0;
}

static bool
is_id(const char *text)
{
	size_t len = strlen(text);

	return len >= 1 && len <= 3 && strspn(text, "0123456789") == len;
}

/* Build the command line of the child: its path, the options that are missing, then the words of
 * the command.
 */
static void
make_argv(const struct app *app, const struct launch_context *context,
		const struct launch_options *found, char *path, char **words, unsigned int n,
		char **argv)
{
	static char type[] = "--proc-type", secondary[] = "secondary", prefix[] = "--file-prefix";
	static char sock_dir[] = "--sock-dir", sock_uid[] = "--sock-uid";
	unsigned int argc = 0, i;

	argv[argc++] = path;
	if (!found->proc_type) {
		argv[argc++] = type;
		argv[argc++] = secondary;
	}
	if (!found->file_prefix) {
		argv[argc++] = prefix;
		argv[argc++] = (char *)(uintptr_t)context->file_prefix;
	}
	for (i = 0; i < n; i++)
		argv[argc++] = words[i];
	/* only our spp_nfv has these two options */
	if (strcmp(context->program, "spp_nfv") == 0 &&
			strcmp(app->cfg.sock_dir, CONFIG_SOCK_DIR) != 0) {
		argv[argc++] = sock_dir;
		argv[argc++] = (char *)(uintptr_t)app->cfg.sock_dir;
	}
	if (strcmp(context->program, "spp_nfv") == 0 && *app->cfg.sock_uid != '\0') {
		argv[argc++] = sock_uid;
		argv[argc++] = (char *)(uintptr_t)app->cfg.sock_uid;
	}
	argv[argc] = NULL;
}

/* EAL names its runtime directory after the file prefix. */
static const char *
own_file_prefix(void)
{
	const char *dir = rte_eal_get_runtime_dir(), *slash = strrchr(dir, '/');

	return slash != NULL ? slash + 1 : dir;
}

bool
launch_run(const struct app *app, char **words, unsigned int n)
{
	struct launch_context context = {
		.file_prefix = own_file_prefix(),
		.controller = app->cfg.controller.sin_addr,
	};
	char path[512], *argv[MAX_ARGS + ADDED_ARGS], error[256];
	struct launch_options found;
	bool ok;
	int log;

	if (n < 2 || n > MAX_ARGS || !is_id(words[0])) {
		log_line("launch: expected ID PROC EAL options -- application options");
		return false;
	}
	context.program = words[1];
	if (!find_program(words[1], path, sizeof(path)))
		return false;
	if (!launch_options_check(&context, words + 2, n - 2, &found, error, sizeof(error))) {
		log_line("launch: %s", error);
		return false;
	}
	make_argv(app, &context, &found, path, words + 2, n - 2, argv);
	log = open_log(app, words[1], words[0]);
	if (log < 0)
		return false;
	ok = start(path, argv, log);
	close(log);
	return ok;
}
