/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "port/port_id.h"

#define PORT_TYPE_NAME(constant, object, name, form) [constant] = { name, form },

static const struct {
	const char *name;
	enum port_id_form form;
} types[N_PORT_TYPES] = { PORT_TYPES(PORT_TYPE_NAME) };

/* Parse digits without a sign and without a leading zero, so that a port has one spelling only.
 * Return the text after them, or NULL.
 */
static const char *
take_number(const char *text, unsigned int max, uint16_t *number)
{
	unsigned int value = 0;
	const char *p;

	for (p = text; isdigit((unsigned char)*p); p++) {
		value = value * 10 + (unsigned int)(*p - '0');
		if (value > max)
			return NULL;
	}
	if (p == text || (text[0] == '0' && p != text + 1))
		return NULL;
	*number = (uint16_t)value;
	return p;
}

int
port_id_parse_number(const char *text, uint16_t *number)
{
	const char *rest = take_number(text, PORT_ID_MAX_NUMBER, number);

	return rest != NULL && *rest == '\0' ? 0 : -1;
}

/* Parse the text after the colon in the form of the type. */
static int
parse_rest(const char *text, struct port_id *id)
{
	bool queues = types[id->type].form == PORT_ID_QUEUES;
	const char *rest = take_number(text, PORT_ID_MAX_NUMBER, &id->number);

	id->nq = 0;
	if (rest == NULL || *rest == '\0')
		return rest == NULL ? -1 : 0;
	if (!queues || strncmp(rest, "nq", 2) != 0)
		return -1;
	rest = take_number(rest + 2, PORT_ID_MAX_QUEUE, &id->nq);
	id->nq++;
	return rest != NULL && *rest == '\0' ? 0 : -1;
}

int
port_id_parse(const char *text, struct port_id *id)
{
	const char *colon = strchr(text, ':');
	size_t i, len;

	if (colon == NULL)
		return -1;
	len = (size_t)(colon - text);
	for (i = 0; i < N_PORT_TYPES; i++) {
		if (types[i].form != PORT_ID_NOT_A_PORT && strlen(types[i].name) == len &&
				memcmp(text, types[i].name, len) == 0) {
			id->type = (enum port_type_id)i;
			return parse_rest(colon + 1, id);
		}
	}
	return -1;
}

void
port_id_format(struct port_id id, char text[PORT_ID_STRLEN])
{
	int len = snprintf(text, PORT_ID_STRLEN, "%s:%u", types[id.type].name, id.number);

	if (id.nq > 0)
		snprintf(text + len, PORT_ID_STRLEN - (size_t)len, "nq%u", id.nq - 1U);
}

void
port_id_format_status(struct port_id id, char text[PORT_ID_STRLEN])
{
	int len = snprintf(text, PORT_ID_STRLEN, "%s:%u", types[id.type].name, id.number);

	if (id.nq > 0)
		snprintf(text + len, PORT_ID_STRLEN - (size_t)len, " nq %u", id.nq - 1U);
}

int
port_id_equal(struct port_id a, struct port_id b)
{
	return a.type == b.type && a.number == b.number && a.nq == b.nq;
}
