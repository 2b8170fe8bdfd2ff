/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAUNCH_OPTIONS_H
#define LAUNCH_OPTIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

/* The command line that `launch` may give to a secondary. The primary runs as root and the command
 * comes over TCP, so an option passes only if it is on a list, by its whole name, and if its value
 * passes the check of that option. EAL options that load a library (-d), open a file or name a
 * directory are not on the list.
 */
struct launch_context {
	const char *program;	   /* as launch_program_allowed() accepts it */
	const char *file_prefix;   /* of the primary */
	struct in_addr controller; /* of the primary */
};

/* The options a command line has; the caller adds what is missing. */
struct launch_options {
	bool proc_type;
	bool file_prefix;
	unsigned int separator; /* index of the `--` */
};

/* Whether this is the name of a program that `launch` may start. */
bool launch_program_allowed(const char *name);

/* Check `EAL options -- application options`. Returns false and a reason in error if any word is
 * not allowed. The reason has printable characters only.
 */
bool launch_options_check(const struct launch_context *context, char *const *words, unsigned int n,
		struct launch_options *found, char *error, size_t size);

#endif
