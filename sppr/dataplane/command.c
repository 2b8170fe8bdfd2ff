/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "json.h"
#ifndef SPP_GUEST
#include "launch.h"
#include "pipe.h"
#include "roster.h"
#endif
#include "patch.h"
#include "say.h"
#include "status.h"
#include "tokens.h"

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

static const char *
word(const struct call *c, unsigned int i)
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

static void
reply_result(struct call *c, bool ok, const char *key, const char *value)
{
	struct json w;

	json_start(&w, c->reply, REPLY_SIZE);
	json_string(&w, "result", ok ? "succeeded" : "failed");
	json_string(&w, "command", word(c, 0));
	if (key != NULL)
		json_string(&w, key, value);
	put_message(&w, ok);
	json_finish(&w);
}

/* Word i as a port; false after saying that it is none. */
static bool
port_word(const struct call *c, unsigned int i, struct uid *uid)
{
	if (uid_parse(word(c, i), uid) == 0)
		return true;
	say("\"%.40s\" is not a port: wanted TYPE:NUMBER, as ring:0 or phy:0nq1", word(c, i));
	return false;
}

static bool
words_are(const struct call *c, unsigned int n)
{
	if (c->n == n)
		return true;
	say("%.20s: wrong number of words (%u, not %u)", word(c, 0), c->n, n);
	return false;
}

static bool
may_forward(const struct call *c)
{
	if (!c->app->has_forwarder)
		say("no forwarder here: the primary needs two lcores or more, and no --disp-stats");
	return c->app->has_forwarder;
}

/* SPP sends its receive buffer back where it has no answer of its own. */
static void
reply_echo(struct call *c)
{
	memcpy(c->reply, c->text, c->len < REPLY_SIZE ? c->len : REPLY_SIZE);
}

static void
do_get_client_id(struct call *c)
{
	struct json w;

	json_start(&w, c->reply, REPLY_SIZE);
	json_array(&w, "results");
	json_object(&w, NULL);
	json_string(&w, "result", "success");
	json_end(&w);
	json_end(&w);
	json_uint(&w, "client_id", c->app->cfg.client_id);
	json_string(&w, "process_type", "nfv");
	json_finish(&w);
}

static void
do_set_client_id(struct call *c)
{
	const char *text = word(c, 1);
	char *end;
	long id = strtol(text, &end, 10);
	bool ok = words_are(c, 2) && *text >= '0' && *text <= '9' && *end == '\0' && id >= 1 &&
		  id <= MAX_CLIENT_ID;

	if (!ok)
		say("an id is 1 to %d", MAX_CLIENT_ID);
	if (ok) {
		c->app->cfg.client_id = (uint16_t)id;
		say("the controller made this id %ld", id);
	}
	reply_result(c, ok, NULL, NULL);
}

static void
do_status(struct call *c)
{
	if (c->app->cfg.primary)
		status_primary(c->app, c->reply, REPLY_SIZE);
	else
		status_nfv(c->app, c->reply, REPLY_SIZE);
}

static void
do_clear(struct call *c)
{
	status_clear(c->app);
	reply_result(c, true, NULL, NULL);
}

#ifndef SPP_GUEST
static void
do_launch(struct call *c)
{
	reply_result(c, launch_run(c->app, c->word + 1, c->n - 1), NULL, NULL);
}

static void
do_pipe(struct call *c)
{
	bool add = strcmp(word(c, 0), "add") == 0;
	bool ok = words_are(c, add ? 4 : 2) &&
		  (add ? pipe_add(c->app, word(c, 1), word(c, 2), word(c, 3))
		       : pipe_del(c->app, word(c, 1)));

	reply_result(c, ok, "port", word(c, 1));
}

static bool
is_pipe(const struct call *c)
{
	return c->app->cfg.primary && pipe_is(word(c, 1));
}
#endif

static void
do_add(struct call *c)
{
	struct uid uid;
	bool ok = may_forward(c) && words_are(c, 2) && port_word(c, 1, &uid) &&
		  patch_add_port(c->app, uid) == 0;

	reply_result(c, ok, "port", word(c, 1));
}

static void
do_del(struct call *c)
{
	struct uid uid;
	bool ok = may_forward(c) && words_are(c, 2) && port_word(c, 1, &uid) &&
		  patch_del_port(c->app, uid) == 0;

	reply_result(c, ok, "port", word(c, 1));
}

static void
reply_patch(struct call *c, bool ok)
{
	struct json w;

	json_start(&w, c->reply, REPLY_SIZE);
	json_string(&w, "result", ok ? "succeeded" : "failed");
	json_string(&w, "command", word(c, 0));
	json_object(&w, "ports");
	json_string(&w, "src", word(c, 1));
	json_string(&w, "dst", word(c, 2));
	json_end(&w);
	put_message(&w, ok);
	json_finish(&w);
}

static void
do_patch(struct call *c)
{
	struct uid src, dst;

	if (c->n == 2 && strcmp(word(c, 1), "reset") == 0 && c->app->has_forwarder &&
			patch_reset(c->app) == 0) {
		reply_echo(c);
		return;
	}
	reply_patch(c, may_forward(c) && words_are(c, 3) && port_word(c, 1, &src) &&
					port_word(c, 2, &dst) &&
					patch_connect(c->app, src, dst) == 0);
}

static void
do_forward(struct call *c)
{
	reply_result(c, may_forward(c) && patch_run(c->app, true) == 0, NULL, NULL);
}

static void
do_stop(struct call *c)
{
	reply_result(c, may_forward(c) && patch_run(c->app, false) == 0, NULL, NULL);
}

static void
do_exit(struct call *c)
{
	reply_result(c, true, NULL, NULL);
	c->end = true;
}

static void
do_unsupported(struct call *c)
{
	say("%.20s: not supported", word(c, 0));
	reply_result(c, false, NULL, NULL);
}

static void
do_too_long(struct call *c)
{
	say("more than %d words", MAX_TOKENS);
	reply_result(c, false, NULL, NULL);
}

enum {
	NFV = 1,
	PRIMARY = 2,
	BOTH = NFV | PRIMARY
};

static const struct {
	const char *name;
	int who;
	void (*run)(struct call *c);
} commands[] = {
	{ "_get_client_id", NFV, do_get_client_id },
	{ "_set_client_id", NFV, do_set_client_id },
	{ "status", BOTH, do_status },
	{ "add", BOTH, do_add },
	{ "del", BOTH, do_del },
	{ "patch", BOTH, do_patch },
	{ "forward", BOTH, do_forward },
	{ "stop", BOTH, do_stop },
	{ "exit", BOTH, do_exit },
	{ "clear", PRIMARY, do_clear },
#ifndef SPP_GUEST
	{ "launch", PRIMARY, do_launch },
#endif
	{ "flow", PRIMARY, do_unsupported },
};

static void
dispatch(struct call *c)
{
	int who = c->app->cfg.primary ? PRIMARY : NFV;
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if ((commands[i].who & who) == 0 || strcmp(commands[i].name, word(c, 0)) != 0)
			continue;
		if (c->n > MAX_TOKENS)
			do_too_long(c);
#ifndef SPP_GUEST
		else if ((commands[i].run == do_add || commands[i].run == do_del) && is_pipe(c))
			do_pipe(c);
#endif
		else
			commands[i].run(c);
		return;
	}
	reply_echo(c);
}

bool
command_run(struct app *app, char *buf, size_t len, char reply[REPLY_SIZE])
{
	struct call c = { .app = app, .text = buf, .len = len, .reply = reply };

	say_forget();
	memset(reply, 0, REPLY_SIZE);
	buf[len] = '\0';
	c.n = tokens_split(buf, c.word, MAX_TOKENS);
	dispatch(&c);
#ifndef SPP_GUEST
	roster_update(app);
#endif
	return c.end;
}
