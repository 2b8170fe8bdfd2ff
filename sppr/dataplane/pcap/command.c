/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <rte_common.h>
#include <rte_lcore.h>

#include "control/results.h"
#include "control/status.h"
#include "pcap/command.h"
#include "pcap/recorder.h"

static void
reply(struct request *r, bool ok)
{
	if (ok)
		results_success(r);
	else
		results_error(r);
}

static void
do_start(struct request *r)
{
	reply(r, pcap_recorder_start(r->app));
}

static void
do_stop(struct request *r)
{
	reply(r, pcap_recorder_stop(r->app));
}

static void
do_status(struct request *r)
{
	struct json w;

	results_start(&w, r);
	json_object(&w, "info");
	json_uint(&w, "client-id", r->app->cfg.client_id);
	json_string(&w, "status", pcap_recorder_running() ? "running" : "idle");
	json_uint(&w, "master-lcore", rte_get_main_lcore());
	pcap_recorder_put_status(&w);
	status_put_counters(&w, &r->app->ports); /* not in SPP: docs/dataplane.md */
	json_end(&w);
	json_finish(&w);
}

static void
do_exit(struct request *r)
{
	results_success(r);
	r->end = true;
}

static const struct {
	const char *name;
	void (*run)(struct request *r);
} commands[] = {
	{ "_get_client_id", results_client_id },
	{ "status", do_status },
	{ "start", do_start },
	{ "stop", do_stop },
	{ "exit", do_exit },
};

void
pcap_command(struct request *r)
{
	size_t i;

	for (i = 0; i < RTE_DIM(commands); i++) {
		if (strcmp(commands[i].name, request_word(r, 0)) != 0)
			continue;
		if (r->n != 1)
			results_wrong_format(r);
		else
			commands[i].run(r);
		return;
	}
	results_invalid(r, "command");
}
