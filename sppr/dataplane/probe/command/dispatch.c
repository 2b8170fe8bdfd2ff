/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/log.h"
#include "probe/command/arguments.h"
#include "probe/command/dispatch.h"
#include "probe/command/reply.h"

#define N_FIXED 3 /* words before the first key=value */

static bool
do_start(struct request *r, struct port *port)
{
	struct probe_run run;

	if (!probe_parse_start(&run, port->id.number, r->word + N_FIXED, r->n - N_FIXED))
		return false;
	probe_start(port, &run);
	return true;
}

static bool
do_expect(struct request *r, struct port *port)
{
	uint16_t flow;
	uint32_t key;

	if (!probe_parse_expect(&flow, &key, r->word + N_FIXED, r->n - N_FIXED))
		return false;
	probe_expect(port, flow, key);
	return true;
}

static bool
do_stop(struct request *r, struct port *port)
{
	if (!request_has_words(r, N_FIXED))
		return false;
	probe_stop(port);
	return true;
}

static bool
do_result(struct request *r, struct port *port)
{
	if (!request_has_words(r, N_FIXED))
		return false;
	probe_reply_result(probe_slot_of(port), request_word(r, 2), r->reply, REPLY_SIZE);
	return true;
}

static bool
do_histogram(struct request *r, struct port *port)
{
	if (!request_has_words(r, N_FIXED))
		return false;
	probe_reply_histogram(probe_slot_of(port), request_word(r, 2), r->reply, REPLY_SIZE);
	return true;
}

static const struct {
	const char *name;
	bool (*run)(struct request *r, struct port *port);
	bool replies; /* run() writes the reply if it succeeds */
} verbs[] = {
	{ "start", do_start, false },
	{ "expect", do_expect, false },
	{ "stop", do_stop, false },
	{ "result", do_result, true },
	{ "histogram", do_histogram, true },
};

static struct port *
find_probe(const struct request *r)
{
	struct port *port;
	struct port_id id;

	if (!request_port(r, 2, &id))
		return NULL;
	port = port_table_find(&r->app->ports, id);
	if (port != NULL && id.type == PORT_PROBE)
		return port;
	log_line("%.40s: no such probe in this process; add it first, as \"add probe:0\"",
			request_word(r, 2));
	return NULL;
}

void
probe_command(struct request *r)
{
	struct port *port;
	size_t i;
	bool ok;

	for (i = 0; i < RTE_DIM(verbs); i++) {
		if (strcmp(verbs[i].name, request_word(r, 1)) != 0)
			continue;
		port = find_probe(r);
		ok = port != NULL && verbs[i].run(r, port);
		if (!ok || !verbs[i].replies)
			request_reply(r, ok, "port", request_word(r, 2));
		return;
	}
	log_line("probe %.20s: must be start, expect, stop, result or histogram",
			request_word(r, 1));
	request_reply(r, false, "port", request_word(r, 2));
}
