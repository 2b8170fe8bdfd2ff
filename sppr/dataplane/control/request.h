/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_REQUEST_H
#define CONTROL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "app.h"

#define REPLY_SIZE 32768
#define MAX_TOKENS 48

/* One command with its reply. */
struct request {
	struct app *app;
	const char *text; /* as received, with NULs in place of spaces */
	size_t len;
	char *word[MAX_TOKENS];
	unsigned int n;
	char *reply;
	bool end;
};

/* The processes that have a command. */
enum {
	COMMAND_NFV = 1,
	COMMAND_PRIMARY = 2,
	COMMAND_BOTH = COMMAND_NFV | COMMAND_PRIMARY,
};

struct command {
	const char *name; /* NULL: end of the list */
	unsigned int processes;
	void (*run)(struct request *r);
	const char *port_prefix; /* the second word must start with this; NULL: any word */
};

/* Find the entry for this request in a list. Return NULL if there is none, or if the list is NULL.
 */
const struct command *request_find_command(const struct request *r, const struct command *commands);

/* Return word i, or "". */
const char *request_word(const struct request *r, unsigned int i);

/* Check the number of words. Logs an error. */
bool request_has_words(const struct request *r, unsigned int n);

/* Parse word i as a port. Logs an error. */
bool request_port(const struct request *r, unsigned int i, struct port_id *id);

/* Write a reply: the result, the reason of a failure, and a member of its own unless key is NULL.
 */
void request_reply(struct request *r, bool ok, const char *key, const char *value);
void request_reply_patch(struct request *r, bool ok);

/* Reply with the received text, as SPP does for commands without a reply of their own. */
void request_echo(struct request *r);

#endif
