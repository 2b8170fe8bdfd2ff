/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/command.h"
#include "control/json.h"
#include "control/status.h"
#include "control/tokens.h"
#include "forward/patch.h"
#ifndef SPP_GUEST
#include "forward/patch_registry.h"
#include "launch/launch.h"
#include "port/registry.h"
#endif

static bool
may_forward(const struct request *r)
{
	if (!r->app->has_forwarder)
		log_line("this primary cannot forward: it needs two lcores or more and must run "
			 "without --disp-stats");
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
	json_string(&w, "data_plane", "sppr"); /* not SPP's: docs/dataplane.md */
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
		log_line("the id must be 1 to %d", MAX_CLIENT_ID);
	if (ok) {
		r->app->cfg.client_id = (uint16_t)id;
		log_line("the controller assigned id %ld", id);
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
	log_line("a command has at most %d words", MAX_TOKENS);
	request_reply(r, false, NULL, NULL);
}

static const struct command commands[] = {
	{ .name = "_get_client_id", .processes = COMMAND_NFV, .run = do_get_client_id },
	{ .name = "_set_client_id", .processes = COMMAND_NFV, .run = do_set_client_id },
	{ .name = "status", .processes = COMMAND_BOTH, .run = do_status },
	{ .name = "add", .processes = COMMAND_BOTH, .run = do_add },
	{ .name = "del", .processes = COMMAND_BOTH, .run = do_del },
	{ .name = "patch", .processes = COMMAND_BOTH, .run = do_patch },
	{ .name = "forward", .processes = COMMAND_BOTH, .run = do_forward },
	{ .name = "stop", .processes = COMMAND_BOTH, .run = do_stop },
	{ .name = "exit", .processes = COMMAND_BOTH, .run = do_exit },
	{ .name = "clear", .processes = COMMAND_PRIMARY, .run = do_clear },
#ifndef SPP_GUEST
	{ .name = "launch", .processes = COMMAND_PRIMARY, .run = do_launch },
#endif
	{ .name = "flow", .processes = COMMAND_PRIMARY, .run = do_unsupported },
	{ .name = NULL },
};

static const struct command *
find_command(const struct request *r)
{
#ifndef SPP_GUEST
	const struct command *of_port_type = port_registry_find_command(r);

	if (of_port_type != NULL)
		return of_port_type;
#endif
	return request_find_command(r, commands);
}

static void
dispatch(struct request *r)
{
	const struct command *command = find_command(r);

	if (command == NULL)
		request_echo(r);
	else if (r->n > MAX_TOKENS)
		do_too_long(r);
	else
		command->run(r);
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
