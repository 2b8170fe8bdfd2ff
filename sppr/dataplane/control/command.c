/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/command.h"
#include "control/json.h"
#include "control/status.h"
#include "control/tokens.h"
#include "forward/match.h"
#include "forward/patch.h"
#ifndef SPP_GUEST
#include "capture/server.h"
#include "component/command.h"
#include "control/results.h"
#include "forward/patch_registry.h"
#include "impair/command.h"
#include "launch/launch.h"
#include "pcap/command.h"
#include "port/registry.h"
#else
#include "guest/capture.h"
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
#ifndef SPP_GUEST
		capture_server_update();
#endif
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
do_impair(struct request *r)
{
	request_reply(r, may_forward(r) && impair_command(r), "port", request_word(r, 1));
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

/* `patch reset UID`, `patch reset UID default`, or `patch reset UID vlan=100` */
static bool
run_disconnect(struct request *r)
{
	bool is_default = r->n == 4 && strcmp(request_word(r, 3), "default") == 0;
	struct port_id src;
	struct match match;

	if (!request_port(r, 2, &src))
		return false;
	if (r->n == 3)
		return patch_disconnect(r->app, src, PATCH_ALL, NULL) == 0;
	if (is_default)
		return patch_disconnect(r->app, src, PATCH_DEFAULT, NULL) == 0;
	return match_parse(&match, r->word + 3, r->n - 3) &&
	       patch_disconnect(r->app, src, PATCH_MATCH, &match) == 0;
}

/* `patch SRC DST`, or `patch SRC DST vlan=100` */
static bool
run_connect(struct request *r)
{
	struct port_id src, dst;
	struct match match;

	if (r->n < 3 && !request_has_words(r, 3))
		return false;
	return request_port(r, 1, &src) && request_port(r, 2, &dst) &&
	       (r->n == 3 || match_parse(&match, r->word + 3, r->n - 3)) &&
	       patch_connect(r->app, src, dst, r->n == 3 ? NULL : &match) == 0;
}

static void
do_patch(struct request *r)
{
	bool reset = strcmp(request_word(r, 1), "reset") == 0;

	if (r->n == 2 && reset && r->app->has_forwarder && patch_reset(r->app) == 0)
		request_echo(r);
	else if (r->n >= 3 && reset)
		request_reply(r, may_forward(r) && run_disconnect(r), "port", request_word(r, 2));
	else
		request_reply_patch(r, may_forward(r) && run_connect(r));
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
	{ .name = "impair", .processes = COMMAND_BOTH, .run = do_impair },
	{ .name = "launch", .processes = COMMAND_PRIMARY, .run = do_launch },
#else
	{ .name = "capture", .processes = COMMAND_NFV, .run = guest_capture_command },
#endif
	{ .name = "flow", .processes = COMMAND_PRIMARY, .run = do_unsupported },
	{ .name = NULL },
};

#ifndef SPP_GUEST
/* Run a command of spp_vf, spp_mirror or spp_pcap. Return false in another process. */
static bool
run_with_results(struct request *r)
{
	enum process_kind kind = r->app->cfg.kind;

	if (kind != PROCESS_VF && kind != PROCESS_MIRROR && kind != PROCESS_PCAP)
		return false;
	if (r->n > MAX_TOKENS)
		results_wrong_format(r);
	else if (kind == PROCESS_PCAP)
		pcap_command(r);
	else
		component_command(r);
	return true;
}
#endif

static void
dispatch(struct request *r)
{
	const struct command *command = NULL;

#ifndef SPP_GUEST
	command = port_registry_find_command(r);
	if (command == NULL && run_with_results(r))
		return;
#endif
	if (command == NULL)
		command = request_find_command(r, commands);
	if (command == NULL)
		request_echo(r);
	else if (r->n > MAX_TOKENS)
		do_too_long(r);
	else
		command->run(r);
}

size_t
command_reply_size(const struct app *app, const char *reply)
{
#ifdef SPP_GUEST
	size_t size = REPLY_SIZE;

	(void)app;
	while (size > 0 && reply[size - 1] == '\0')
		size--;
	return size < REPLY_SIZE && reply[0] != '{' ? size + 1 : size;
#else
	bool padded = app->cfg.kind == PROCESS_PRIMARY || app->cfg.kind == PROCESS_NFV;

	return padded ? REPLY_SIZE : strlen(reply);
#endif
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
