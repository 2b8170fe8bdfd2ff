/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_REQUEST_H
#define CONTROL_REQUEST_H

#include "control/command.h"

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
