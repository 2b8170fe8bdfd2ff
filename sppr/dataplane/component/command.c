/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_lcore.h>

#include "base/log.h"
#include "component/command.h"
#include "component/component.h"
#include "component/status.h"
#include "control/results.h"

#define MAX_VID 4095
#define MAX_PCP 7

/* Each parser replies itself if a word is wrong, with the name that SPP has for it. */

/* A number in C's notations, as in SPP. */
static bool
parse_number(const char *text, unsigned long max, unsigned long *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoul(text, &end, 0);
	return errno == 0 && *end == '\0' && *value <= max;
}

static bool
invalid(struct request *r, const char *name)
{
	results_invalid(r, name);
	return false;
}

static bool
parse_action(struct request *r, const char *yes, const char *no, bool *is_yes)
{
	*is_yes = strcmp(request_word(r, 1), yes) == 0;
	return *is_yes || strcmp(request_word(r, 1), no) == 0 || invalid(r, "action");
}

static bool
parse_port(struct request *r, unsigned int i, struct port_id *id)
{
	return request_port(r, i, id) || invalid(r, "port");
}

static enum component_type
type_of(const struct request *r, const char *name)
{
	enum component_type type;
	bool is_mirror = r->app->cfg.kind == PROCESS_MIRROR;

	for (type = COMPONENT_FORWARD; type <= COMPONENT_MIRROR; type++)
		if (strcmp(name, component_type_name(type)) == 0 &&
				(type == COMPONENT_MIRROR) == is_mirror)
			return type;
	return COMPONENT_NONE;
}

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
	const char *name = request_word(r, 2);
	enum component_type type;
	unsigned long lcore;

	if (component_find(name) >= 0 || strlen(name) >= COMPONENT_NAME_SIZE)
		results_invalid(r, "component name");
	else if (r->n < 5)
		results_wrong_format(r);
	else if (!parse_number(request_word(r, 3), RTE_MAX_LCORE - 1, &lcore))
		results_invalid(r, "core");
	else if ((type = type_of(r, request_word(r, 4))) == COMPONENT_NONE)
		results_invalid(r, "component type");
	else
		reply(r, component_start(r->app, name, (unsigned int)lcore, type));
}

static void
do_component(struct request *r)
{
	bool start;

	if (!parse_action(r, "start", "stop", &start))
		return;
	if (start)
		do_start(r);
	else
		reply(r, component_stop(r->app, request_word(r, 2)));
}

/* Parse `add_vlantag VID PCP` and `del_vlantag`. */
static bool
parse_vlan(struct request *r, struct port_side *side)
{
	const char *operation = request_word(r, 5);
	unsigned long vid, pcp = 0;

	*side = (struct port_side){ .vlan = VLAN_NONE };
	if (r->n == 5)
		return true;
	if (r->app->cfg.kind != PROCESS_VF)
		return invalid(r, "port vlan operation");
	if (strcmp(operation, "del_vlantag") == 0) {
		side->vlan = VLAN_DEL;
		return true;
	}
	if (strcmp(operation, "add_vlantag") != 0)
		return invalid(r, "port vlan operation");
	if (!parse_number(request_word(r, 6), MAX_VID, &vid))
		return invalid(r, "port vid");
	if (r->n == 8 && !parse_number(request_word(r, 7), MAX_PCP, &pcp))
		return invalid(r, "port pcp");
	side->vlan = VLAN_ADD;
	side->tci = (uint16_t)(pcp << 13 | vid);
	return true;
}

/* Check that an `add` does not take a side that is in use. A VLAN tag may be added to a side that
 * the component has already.
 */
static bool
check_unused(struct request *r, struct port_id id, bool tx, int component)
{
	const struct port *port = port_table_find(&r->app->ports, id);
	int index;

	if (port == NULL)
		return true;
	index = component_find_attachment(port, tx);
	if (index < 0)
		return true;
	if (r->n == 8 && components.attachment[index].component == (unsigned int)component)
		return true;
	return component_find_attachment(port, !tx) >= 0 ? invalid(r, "port")
							 : invalid(r, "port rxtx");
}

static void
do_port(struct request *r)
{
	const char *direction = request_word(r, 3);
	bool add, tx = strcmp(direction, "tx") == 0;
	struct port_side side;
	struct port_id id;
	int component;

	if (!parse_action(r, "add", "del", &add) || !parse_port(r, 2, &id))
		return;
	if (!tx && strcmp(direction, "rx") != 0) {
		results_invalid(r, "port rxtx");
		return;
	}
	component = component_find(request_word(r, 4));
	if (add && !check_unused(r, id, tx, component))
		return;
	if (component < 0)
		results_invalid(r, "component name");
	else if (!add)
		reply(r, component_detach(r->app, (unsigned int)component, id, tx));
	else if (parse_vlan(r, &side))
		reply(r, component_attach(r->app, (unsigned int)component, id, tx, side));
}

/* Parse `mac MAC` or `vlan VID MAC` into the match of an entry. */
static bool
parse_class(struct request *r, struct class_entry *entry)
{
	bool by_vlan = strcmp(request_word(r, 2), "vlan") == 0;
	const char *mac = request_word(r, by_vlan ? 4 : 3);
	unsigned long vid = MATCH_UNTAGGED;

	if (!by_vlan && strcmp(request_word(r, 2), "mac") != 0)
		return invalid(r, "type");
	if (r->n != (by_vlan ? 6U : 5U)) {
		results_wrong_format(r);
		return false;
	}
	if (by_vlan && !parse_number(request_word(r, 3), MAX_VID, &vid))
		return invalid(r, "vlan id");
	entry->match = (struct match){ .vlan = (uint16_t)vid, .flood = true };
	entry->is_default = strcmp(mac, "default") == 0;
	if (entry->is_default)
		return true;
	entry->match.kind = MATCH_DST_MAC;
	return match_parse_mac(mac, &entry->match.mac) || invalid(r, "mac address");
}

static void
do_classifier_table(struct request *r)
{
	struct class_entry entry, *existing;
	struct port_id id;
	bool add;

	if (!parse_action(r, "add", "del", &add) || !parse_class(r, &entry) ||
			!parse_port(r, r->n - 1, &id))
		return;
	entry.port = port_table_find(&r->app->ports, id);
	existing = entry.port != NULL ? component_find_entry(entry.port) : NULL;
	if (entry.port == NULL || (add && existing != NULL) ||
			(!add && (existing == NULL ||
						 !match_equal(&existing->match, &entry.match)))) {
		results_invalid(r, "port");
		return;
	}
	reply(r, add ? component_add_entry(r->app, entry)
		     : component_del_entry(r->app, entry.port));
}

static void
do_exit(struct request *r)
{
	results_success(r);
	r->end = true;
}

static const struct {
	const char *name;
	unsigned int fewest, most; /* words */
	bool only_vf;
	void (*run)(struct request *r);
} commands[] = {
	{ "classifier_table", 5, 6, true, do_classifier_table },
	{ "_get_client_id", 1, 1, false, results_client_id },
	{ "status", 1, 1, false, component_status },
	{ "exit", 1, 1, false, do_exit },
	{ "component", 3, 5, false, do_component },
	{ "port", 5, 8, false, do_port },
};

void
component_command(struct request *r)
{
	size_t i;

	for (i = 0; i < RTE_DIM(commands); i++) {
		if (strcmp(commands[i].name, request_word(r, 0)) != 0 ||
				(commands[i].only_vf && r->app->cfg.kind != PROCESS_VF))
			continue;
		if (r->n < commands[i].fewest || r->n > commands[i].most)
			results_wrong_format(r);
		else
			commands[i].run(r);
		return;
	}
	results_invalid(r, "command");
}
