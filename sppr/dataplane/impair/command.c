/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/log.h"
#include "forward/worker.h"
#include "impair/command.h"
#include "impair/impairment.h"

#define N_FIXED 2 /* words before the match */

/* The words of a command, and the place of the impairment in its patch. */
struct arguments {
	struct port *src;
	struct impairment **place;
	unsigned int first; /* the word behind the match */
};

static bool
is_match_word(const char *word)
{
	return strncmp(word, "vlan=", 5) == 0 || strncmp(word, "dst_mac=", 8) == 0 ||
	       strncmp(word, "src_mac=", 8) == 0;
}

/* Return the place of the impairment of a patch, or NULL if there is no such patch. */
static struct impairment **
find_place(struct port *src, const struct match *match)
{
	unsigned int i;

	if (match == NULL)
		return src->patched_to != NULL ? &src->impairment : NULL;
	for (i = 0; src->rules != NULL && i < src->rules->n; i++)
		if (match_equal(&src->rules->rule[i].match, match))
			return &src->rules->rule[i].impairment;
	return NULL;
}

static bool
find_patch(struct arguments *a, const struct match *match)
{
	char port[PORT_ID_STRLEN], words[MATCH_STRLEN];

	a->place = find_place(a->src, match);
	if (a->place != NULL)
		return true;
	port_id_format(a->src->id, port);
	if (match != NULL)
		match_format(match, words);
	log_line("%s: no patch leads from it %s%s", port,
			match != NULL ? "with " : "without a match", match != NULL ? words : "");
	return false;
}

static bool
parse(const struct request *r, struct arguments *a)
{
	struct port_id id;
	struct match match;

	if (!request_port(r, 1, &id))
		return false;
	a->src = port_table_find(&r->app->ports, id);
	if (a->src == NULL) {
		log_line("%.40s: no such port in this process", request_word(r, 1));
		return false;
	}
	a->first = N_FIXED;
	if (strcmp(request_word(r, N_FIXED), "default") == 0) {
		a->first++;
		return find_patch(a, NULL);
	}
	while (is_match_word(request_word(r, a->first)))
		a->first++;
	if (a->first == N_FIXED)
		return find_patch(a, NULL);
	return match_parse(&match, r->word + N_FIXED, a->first - N_FIXED) && find_patch(a, &match);
}

/* Give a patch another impairment, or none, and let the workers follow. */
static bool
replace(struct app *app, struct impairment **place, struct impairment *impairment)
{
	struct impairment *before = *place;
	int ret;

	*place = impairment;
	ret = workers_apply(&app->ports, app->running);
	if (ret < 0)
		*place = before;
	impairments_release_unused(&app->ports);
	return ret == 0;
}

bool
impair_command(struct request *r)
{
	struct impair_parameters p;
	struct impairment *new;
	struct arguments a;

	if (!parse(r, &a))
		return false;
	if (r->n == a.first + 1 && strcmp(request_word(r, a.first), "off") == 0)
		return *a.place == NULL || replace(r->app, a.place, NULL);
	if (!impair_parse(&p, r->word + a.first, r->n - a.first))
		return false;
	if (*a.place != NULL)
		return impairment_change(*a.place, &p) == 0;
	new = impairment_new(a.src, &r->app->view, &p);
	return new != NULL &&replace(r->app, a.place, new);
}
