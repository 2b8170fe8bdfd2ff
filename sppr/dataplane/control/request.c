/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/log.h"
#include "control/json.h"
#include "control/request.h"

const char *
request_word(const struct request *r, unsigned int i)
{
	return i < r->n ? r->word[i] : "";
}

const struct command *
request_find_command(const struct request *r, const struct command *commands)
{
	unsigned int process = r->app->cfg.primary ? COMMAND_PRIMARY : COMMAND_NFV;
	const struct command *c;

	for (c = commands; c != NULL && c->name != NULL; c++)
		if ((c->processes & process) != 0 && strcmp(c->name, request_word(r, 0)) == 0 &&
				(c->port_prefix == NULL ||
						strncmp(request_word(r, 1), c->port_prefix,
								strlen(c->port_prefix)) == 0))
			return c;
	return NULL;
}

/* Add the reason of a failure. SPP has no such key, and its controllers ignore it. */
static void
put_message(struct json *w, bool ok)
{
	if (!ok)
		json_string(w, "message", *log_last() != '\0' ? log_last() : "invalid command");
}

void
request_reply(struct request *r, bool ok, const char *key, const char *value)
{
	struct json w;

	json_start(&w, r->reply, REPLY_SIZE);
	json_string(&w, "result", ok ? "succeeded" : "failed");
	json_string(&w, "command", request_word(r, 0));
	if (key != NULL)
		json_string(&w, key, value);
	put_message(&w, ok);
	json_finish(&w);
}

bool
request_port(const struct request *r, unsigned int i, struct port_id *id)
{
	if (port_id_parse(request_word(r, i), id) == 0)
		return true;
	log_line("\"%.40s\" is not a port: expected TYPE:NUMBER, such as ring:0 or phy:0nq1",
			request_word(r, i));
	return false;
}

bool
request_has_words(const struct request *r, unsigned int n)
{
	if (r->n == n)
		return true;
	log_line("%.20s: wrong number of words (%u, not %u)", request_word(r, 0), r->n, n);
	return false;
}

/* SPP sends its receive buffer back for commands without a reply of their own. */
void
request_echo(struct request *r)
{
	memcpy(r->reply, r->text, r->len < REPLY_SIZE ? r->len : REPLY_SIZE);
}

void
request_reply_patch(struct request *r, bool ok)
{
	struct json w;

	json_start(&w, r->reply, REPLY_SIZE);
	json_string(&w, "result", ok ? "succeeded" : "failed");
	json_string(&w, "command", request_word(r, 0));
	json_object(&w, "ports");
	json_string(&w, "src", request_word(r, 1));
	json_string(&w, "dst", request_word(r, 2));
	json_end(&w);
	put_message(&w, ok);
	json_finish(&w);
}
