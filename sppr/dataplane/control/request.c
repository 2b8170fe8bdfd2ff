/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/log.h"
#include "control/json.h"
#include "control/request.h"

const char *
call_word(const struct call *c, unsigned int i)
{
	return i < c->n ? c->word[i] : "";
}

/* Not SPP's, but its controllers pass over a key they do not know: why it failed. */
static void
put_message(struct json *w, bool ok)
{
	if (!ok)
		json_string(w, "message", *say_last() != '\0' ? say_last() : "not understood");
}

void
call_reply(struct call *c, bool ok, const char *key, const char *value)
{
	struct json w;

	json_start(&w, c->reply, REPLY_SIZE);
	json_string(&w, "result", ok ? "succeeded" : "failed");
	json_string(&w, "command", call_word(c, 0));
	if (key != NULL)
		json_string(&w, key, value);
	put_message(&w, ok);
	json_finish(&w);
}

bool
call_port(const struct call *c, unsigned int i, struct uid *uid)
{
	if (uid_parse(call_word(c, i), uid) == 0)
		return true;
	say("\"%.40s\" is not a port: wanted TYPE:NUMBER, as ring:0 or phy:0nq1", call_word(c, i));
	return false;
}

bool
call_has_words(const struct call *c, unsigned int n)
{
	if (c->n == n)
		return true;
	say("%.20s: wrong number of words (%u, not %u)", call_word(c, 0), c->n, n);
	return false;
}

/* SPP sends its receive buffer back where it has no answer of its own. */
void
call_echo(struct call *c)
{
	memcpy(c->reply, c->text, c->len < REPLY_SIZE ? c->len : REPLY_SIZE);
}

void
call_reply_patch(struct call *c, bool ok)
{
	struct json w;

	json_start(&w, c->reply, REPLY_SIZE);
	json_string(&w, "result", ok ? "succeeded" : "failed");
	json_string(&w, "command", call_word(c, 0));
	json_object(&w, "ports");
	json_string(&w, "src", call_word(c, 1));
	json_string(&w, "dst", call_word(c, 2));
	json_end(&w);
	put_message(&w, ok);
	json_finish(&w);
}
