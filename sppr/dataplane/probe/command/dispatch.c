/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/log.h"
#include "probe/command/arguments.h"
#include "probe/command/dispatch.h"
#include "probe/command/reply.h"

#define N_FIXED 3 /* words before the first key=value */

static bool
do_start(struct call *c, struct port *port)
{
	struct probe_run run;

	if (!probe_parse_start(&run, port->uid.number, c->word + N_FIXED, c->n - N_FIXED))
		return false;
	probe_start(port, &run);
	return true;
}

static bool
do_expect(struct call *c, struct port *port)
{
	uint16_t flow;
	uint32_t key;

	if (!probe_parse_expect(&flow, &key, c->word + N_FIXED, c->n - N_FIXED))
		return false;
	probe_expect(port, flow, key);
	return true;
}

static bool
do_stop(struct call *c, struct port *port)
{
	if (!call_has_words(c, N_FIXED))
		return false;
	probe_stop(port);
	return true;
}

static bool
do_result(struct call *c, struct port *port)
{
	if (!call_has_words(c, N_FIXED))
		return false;
	probe_reply_result(probe_slot_of(port), call_word(c, 2), c->reply, REPLY_SIZE);
	return true;
}

static bool
do_histogram(struct call *c, struct port *port)
{
	if (!call_has_words(c, N_FIXED))
		return false;
	probe_reply_histogram(probe_slot_of(port), call_word(c, 2), c->reply, REPLY_SIZE);
	return true;
}

static const struct {
	const char *name;
	bool (*run)(struct call *c, struct port *port);
	bool replies; /* by itself, when it succeeds */
} verbs[] = {
	{ "start", do_start, false },
	{ "expect", do_expect, false },
	{ "stop", do_stop, false },
	{ "result", do_result, true },
	{ "histogram", do_histogram, true },
};

static struct port *
find_probe(const struct call *c)
{
	struct port *port;
	struct uid uid;

	if (!call_port(c, 2, &uid))
		return NULL;
	port = port_find(&c->app->ports, uid);
	if (port != NULL && uid.type == PORT_PROBE)
		return port;
	say("%.40s: no such probe in this process; add it first, as \"add probe:0\"",
			call_word(c, 2));
	return NULL;
}

void
probe_call(struct call *c)
{
	struct port *port;
	size_t i;
	bool ok;

	for (i = 0; i < RTE_DIM(verbs); i++) {
		if (strcmp(verbs[i].name, call_word(c, 1)) != 0)
			continue;
		port = find_probe(c);
		ok = port != NULL && verbs[i].run(c, port);
		if (!ok || !verbs[i].replies)
			call_reply(c, ok, "port", call_word(c, 2));
		return;
	}
	say("probe %.20s: must be start, expect, stop, result or histogram", call_word(c, 1));
	call_reply(c, false, "port", call_word(c, 2));
}
