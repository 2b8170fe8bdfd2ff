/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "base/log.h"
#include "control/results.h"

static void
put_result(struct json *w, const char *message)
{
	json_array(w, "results");
	json_object(w, NULL);
	json_string(w, "result", message == NULL ? "success" : "error");
	if (message != NULL) {
		json_object(w, "error_details");
		json_string(w, "message", message);
		if (*log_last() != '\0')
			json_string(w, "reason", log_last());
		json_end(w);
	}
	json_end(w);
	json_end(w);
}

void
results_start(struct json *w, struct request *r)
{
	json_start(w, r->reply, REPLY_SIZE);
	put_result(w, NULL);
}

static void
reply(struct request *r, const char *message)
{
	struct json w;

	json_start(&w, r->reply, REPLY_SIZE);
	put_result(&w, message);
	json_finish(&w);
}

void
results_success(struct request *r)
{
	reply(r, NULL);
}

void
results_wrong_format(struct request *r)
{
	reply(r, "Wrong message format");
}

void
results_invalid(struct request *r, const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "Invalid value (%s)", name);
	reply(r, text);
}

void
results_error(struct request *r)
{
	reply(r, "error occur");
}

void
results_client_id(struct request *r)
{
	struct json w;

	results_start(&w, r);
	json_uint(&w, "client_id", r->app->cfg.client_id);
	json_string(&w, "process_type", config_kind_name(r->app->cfg.kind));
	json_string(&w, "data_plane", "sppr"); /* not SPP's: docs/dataplane.md */
	json_finish(&w);
}
