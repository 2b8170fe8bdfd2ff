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
may_forward(const struct request *r)
{
	if (!r->app->has_forwarder)
		log_line("no forwarder here: the primary needs two lcores or more, and no "
			 "--disp-stats");
	return r->app->has_forwarder;
}

static void
do_get_client_id(struct request *r)
{
	struct json w;

	json_start(&w, r->reply, REPLY_SIZE);
	json_array(&w, "results");
	json_object(&w, NULL);
	json_string(&w, "result", "success");
	json_end(&w);
	json_end(&w);
	json_uint(&w, "client_id", r->app->cfg.client_id);
	json_string(&w, "process_type", "nfv");
	json_string(&w, "data_plane", "sppr"); /* what differs from SPP's nfv: docs/dataplane.md */
	json_finish(&w);
}

static void
do_set_client_id(struct request *r)
{
	const char *text = request_word(r, 1);
	char *end;
	long id = strtol(text, &end, 10);
	bool ok = request_has_words(r, 2) && *text >= '0' && *text <= '9' && *end == '\0' &&
		  id >= 1 && id <= MAX_CLIENT_ID;

	if (!ok)
		log_line("an id is 1 to %d", MAX_CLIENT_ID);
	if (ok) {
		r->app->cfg.client_id = (uint16_t)id;
		log_line("the controller made this id %ld", id);
	}
	request_reply(r, ok, NULL, NULL);
}

static void
do_status(struct request *r)
{
	if (r->app->cfg.primary)
		status_primary(r->app, r->reply, REPLY_SIZE);
	else
		status_nfv(r->app, r->reply, REPLY_SIZE);
}

static void
do_clear(struct request *r)
{
	status_clear(r->app);
	request_reply(r, true, NULL, NULL);
}

#ifndef SPP_GUEST
static void
do_launch(struct request *r)
{
	request_reply(r, launch_run(r->app, r->word + 1, r->n - 1), NULL, NULL);
}

static void
do_pipe(struct request *r)
{
	bool add = strcmp(request_word(r, 0), "add") == 0;
	bool ok = request_has_words(r, add ? 4 : 2) &&
		  (add ? pipe_add(r->app, request_word(r, 1), request_word(r, 2),
					 request_word(r, 3))
		       : pipe_del(r->app, request_word(r, 1)));

	request_reply(r, ok, "port", request_word(r, 1));
}

static bool
is_pipe(const struct request *r)
{
	return r->app->cfg.primary && pipe_is(request_word(r, 1));
}
#endif

static void
do_add(struct request *r)
{
	struct port_id id;
	bool ok = may_forward(r) && request_has_words(r, 2) && request_port(r, 1, &id) &&
		  patch_add_port(r->app, id) == 0;

	request_reply(r, ok, "port", request_word(r, 1));
}

static void
do_del(struct request *r)
{
	struct port_id id;
	bool ok = may_forward(r) && request_has_words(r, 2) && request_port(r, 1, &id) &&
		  patch_del_port(r->app, id) == 0;

	request_reply(r, ok, "port", request_word(r, 1));
}

static void
do_patch(struct request *r)
{
	struct port_id src, dst;

	if (r->n == 2 && strcmp(request_word(r, 1), "reset") == 0 && r->app->has_forwarder &&
			patch_reset(r->app) == 0) {
		request_echo(r);
		return;
	}
	if (r->n == 3 && strcmp(request_word(r, 1), "reset") == 0) {
		request_reply(r,
				may_forward(r) && request_port(r, 2, &src) &&
						patch_disconnect(r->app, src) == 0,
				"port", request_word(r, 2));
		return;
	}
	request_reply_patch(r, may_forward(r) && request_has_words(r, 3) &&
					       request_port(r, 1, &src) &&
					       request_port(r, 2, &dst) &&
					       patch_connect(r->app, src, dst) == 0);
}

static void
do_forward(struct request *r)
{
	request_reply(r, may_forward(r) && patch_run(r->app, true) == 0, NULL, NULL);
}

static void
do_stop(struct request *r)
{
	request_reply(r, may_forward(r) && patch_run(r->app, false) == 0, NULL, NULL);
}

static void
do_exit(struct request *r)
{
	request_reply(r, true, NULL, NULL);
	r->end = true;
}

static void
do_unsupported(struct request *r)
{
	log_line("%.20s: not supported", request_word(r, 0));
	request_reply(r, false, NULL, NULL);
}

static void
do_too_long(struct request *r)
{
	log_line("more than %d words", MAX_TOKENS);
	request_reply(r, false, NULL, NULL);
}

enum {
	NFV = 1,
	PRIMARY = 2,
	BOTH = NFV | PRIMARY
};

static const struct {
	const char *name;
	int who;
	void (*run)(struct request *r);
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
	{ "probe", BOTH, probe_command },
#endif
	{ "flow", PRIMARY, do_unsupported },
};

static void
dispatch(struct request *r)
{
	int who = r->app->cfg.primary ? PRIMARY : NFV;
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if ((commands[i].who & who) == 0 ||
				strcmp(commands[i].name, request_word(r, 0)) != 0)
			continue;
		if (r->n > MAX_TOKENS)
			do_too_long(r);
#ifndef SPP_GUEST
		else if ((commands[i].run == do_add || commands[i].run == do_del) && is_pipe(r))
			do_pipe(r);
#endif
		else
			commands[i].run(r);
		return;
	}
	request_echo(r);
}

bool
command_run(struct app *app, char *buf, size_t len, char reply[REPLY_SIZE])
{
	struct request r = { .app = app, .text = buf, .len = len, .reply = reply };

	log_clear_last();
	memset(reply, 0, REPLY_SIZE);
	buf[len] = '\0';
	r.n = tokens_split(buf, r.word, MAX_TOKENS);
	dispatch(&r);
#ifndef SPP_GUEST
	patch_registry_update(app);
#endif
	return r.end;
}
