/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LAUNCH_OPTIONS_H
#define LAUNCH_OPTIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

/* Check the command line that `launch` may give to a secondary. The primary runs as root and the
 * command comes over TCP, so each option must be in a list with its whole name, and its value must
 * pass the check of that option. EAL options that load a library (-d), open a file or name a
 * directory are not in the list.
 */
struct launch_context {
	const char *program;	   /* one that launch_program_allowed() accepts */
	const char *file_prefix;   /* of the primary */
	struct in_addr controller; /* of the primary */
};

/* Options that a command line has. The caller adds the missing ones. */
struct launch_options {
	bool proc_type;
	bool file_prefix;
	unsigned int separator; /* index of the `--` */
};

/* Return whether `launch` may start a program of this name. */
bool launch_program_allowed(const char *name);

/* Check `EAL options -- application options`. Return false and a reason in error if a word is not
 * allowed. The reason has printable characters only.
 */
bool launch_options_check(const struct launch_context *context, char *const *words, unsigned int n,
		struct launch_options *found, char *error, size_t size);

#endif
