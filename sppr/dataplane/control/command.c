/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "control/json.h"
#include "control/request.h"
#ifndef SPP_GUEST
#include "forward/patch_registry.h"
#include "launch/launch.h"
#include "port/types/pipe.h"
#include "probe/command/dispatch.h"
#endif
#include "base/log.h"
#include "control/status.h"
#include "control/tokens.h"
#include "forward/patch.h"

static bool
may_forward(const struct call *c)
{
	if (!c->app->has_forwarder)
		say("no forwarder here: the primary needs two lcores or more, and no --disp-stats");
	return c->app->has_forwarder;
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
	json_string(&w, "data_plane", "sppr"); /* what differs from SPP's nfv: docs/dataplane.md */
	json_finish(&w);
}

static void
do_set_client_id(struct call *c)
{
	const char *text = call_word(c, 1);
	char *end;
	long id = strtol(text, &end, 10);
	bool ok = call_has_words(c, 2) && *text >= '0' && *text <= '9' && *end == '\0' && id >= 1 &&
		  id <= MAX_CLIENT_ID;

	if (!ok)
		say("an id is 1 to %d", MAX_CLIENT_ID);
	if (ok) {
		c->app->cfg.client_id = (uint16_t)id;
		say("the controller made this id %ld", id);
	}
	call_reply(c, ok, NULL, NULL);
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
	call_reply(c, true, NULL, NULL);
}

#ifndef SPP_GUEST
static void
do_launch(struct call *c)
{
	call_reply(c, launch_run(c->app, c->word + 1, c->n - 1), NULL, NULL);
}

static void
do_pipe(struct call *c)
{
	bool add = strcmp(call_word(c, 0), "add") == 0;
	bool ok = call_has_words(c, add ? 4 : 2) &&
		  (add ? pipe_add(c->app, call_word(c, 1), call_word(c, 2), call_word(c, 3))
		       : pipe_del(c->app, call_word(c, 1)));

	call_reply(c, ok, "port", call_word(c, 1));
}

static bool
is_pipe(const struct call *c)
{
	return c->app->cfg.primary && pipe_is(call_word(c, 1));
}
#endif

static void
do_add(struct call *c)
{
	struct uid uid;
	bool ok = may_forward(c) && call_has_words(c, 2) && call_port(c, 1, &uid) &&
		  patch_add_port(c->app, uid) == 0;

	call_reply(c, ok, "port", call_word(c, 1));
}

static void
do_del(struct call *c)
{
	struct uid uid;
	bool ok = may_forward(c) && call_has_words(c, 2) && call_port(c, 1, &uid) &&
		  patch_del_port(c->app, uid) == 0;

	call_reply(c, ok, "port", call_word(c, 1));
}

static void
do_patch(struct call *c)
{
	struct uid src, dst;

	if (c->n == 2 && strcmp(call_word(c, 1), "reset") == 0 && c->app->has_forwarder &&
			patch_reset(c->app) == 0) {
		call_echo(c);
		return;
	}
	if (c->n == 3 && strcmp(call_word(c, 1), "reset") == 0) {
		call_reply(c,
				may_forward(c) && call_port(c, 2, &src) &&
						patch_disconnect(c->app, src) == 0,
				"port", call_word(c, 2));
		return;
	}
	call_reply_patch(c, may_forward(c) && call_has_words(c, 3) && call_port(c, 1, &src) &&
					    call_port(c, 2, &dst) &&
					    patch_connect(c->app, src, dst) == 0);
}

static void
do_forward(struct call *c)
{
	call_reply(c, may_forward(c) && patch_run(c->app, true) == 0, NULL, NULL);
}

static void
do_stop(struct call *c)
{
	call_reply(c, may_forward(c) && patch_run(c->app, false) == 0, NULL, NULL);
}

static void
do_exit(struct call *c)
{
	call_reply(c, true, NULL, NULL);
	c->end = true;
}

static void
do_unsupported(struct call *c)
{
	say("%.20s: not supported", call_word(c, 0));
	call_reply(c, false, NULL, NULL);
}

static void
do_too_long(struct call *c)
{
	say("more than %d words", MAX_TOKENS);
	call_reply(c, false, NULL, NULL);
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
	{ "probe", BOTH, probe_call },
#endif
	{ "flow", PRIMARY, do_unsupported },
};

static void
dispatch(struct call *c)
{
	int who = c->app->cfg.primary ? PRIMARY : NFV;
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if ((commands[i].who & who) == 0 || strcmp(commands[i].name, call_word(c, 0)) != 0)
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
	call_echo(c);
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
