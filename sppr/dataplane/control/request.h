/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_REQUEST_H
#define CONTROL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "app.h"

#define REPLY_SIZE 32768 /* always sent whole, NUL padded */
#define MAX_TOKENS 48

/* One command in hand. */
struct request {
	struct app *app;
	const char *text; /* as received, spaces turned into NULs */
	size_t len;
	char *word[MAX_TOKENS];
	unsigned int n;
	char *reply;
	bool end;
};

/* Which processes have a command. */
enum {
	COMMAND_NFV = 1,
	COMMAND_PRIMARY = 2,
	COMMAND_BOTH = COMMAND_NFV | COMMAND_PRIMARY,
};

struct command {
	const char *name; /* NULL: the end of a list */
	unsigned int processes;
	void (*run)(struct request *r);
	const char *port_prefix; /* the second word must start with this; NULL: any */
};

/* The command of a list (which may be NULL) that this request is, or NULL. */
const struct command *request_find_command(const struct request *r, const struct command *commands);

/* Word i, or "". */
const char *request_word(const struct request *r, unsigned int i);

/* Whether there are n words; false after saying that there are not. */
bool request_has_words(const struct request *r, unsigned int n);

/* Word i as a port; false after saying that it is none. */
bool request_port(const struct request *r, unsigned int i, struct port_id *id);

/* The answers: a result and why it failed; with a member of its own unless key is NULL. */
void request_reply(struct request *r, bool ok, const char *key, const char *value);
void request_reply_patch(struct request *r, bool ok);

/* What was received, back: SPP does so where it has no answer of its own. */
void request_echo(struct request *r);

#endif
