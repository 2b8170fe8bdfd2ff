/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CALL_H
#define CALL_H

#include "control/command.h"

/* One command in hand. */
struct call {
	struct app *app;
	const char *text; /* as received, spaces turned into NULs */
	size_t len;
	char *word[MAX_TOKENS];
	unsigned int n;
	char *reply;
	bool end;
};

/* Word i, or "". */
const char *call_word(const struct call *c, unsigned int i);

/* Whether there are n words; false after saying that there are not. */
bool call_has_words(const struct call *c, unsigned int n);

/* Word i as a port; false after saying that it is none. */
bool call_port(const struct call *c, unsigned int i, struct uid *uid);

/* The answers: a result and why it failed; with a member of its own unless key is NULL. */
void call_reply(struct call *c, bool ok, const char *key, const char *value);
void call_reply_patch(struct call *c, bool ok);

/* What was received, back: SPP does so where it has no answer of its own. */
void call_echo(struct call *c);

#endif
