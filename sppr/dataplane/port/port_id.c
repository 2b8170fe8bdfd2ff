/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "port/port_id.h"

static const char *const type_names[] = {
	[PORT_PHY] = "phy",
	[PORT_RING] = "ring",
	[PORT_VHOST] = "vhost",
	[PORT_TAP] = "tap",
	[PORT_NULL] = "nullpmd",
	[PORT_PCAP] = "pcap",
	[PORT_MEMIF] = "memif",
	[PORT_IVSHMEM] = "ivshmem",
	[PORT_PROBE] = "probe",
};
#define N_TYPES (sizeof(type_names) / sizeof(type_names[0]))

/* Names the vdev drivers give their ethdevs. net_ring is left out on purpose: ring:N is the
 * rte_ring eth_ringN here, so a ring PMD of the primary is a phy like any other.
 */
static const struct {
	const char *prefix;
	enum port_type_id type;
} ethdev_prefixes[] = {
	{ "net_tap", PORT_TAP },
	{ "eth_tap", PORT_TAP },
	{ "net_null", PORT_NULL },
	{ "eth_null", PORT_NULL },
	{ "net_vhost", PORT_VHOST },
	{ "eth_vhost", PORT_VHOST },
	{ "net_pcap", PORT_PCAP },
	{ "eth_pcap", PORT_PCAP },
	{ "net_memif", PORT_MEMIF },
};
#define N_PREFIXES (sizeof(ethdev_prefixes) / sizeof(ethdev_prefixes[0]))

/* Digits only, no sign, no leading zero: one port has one spelling. The text after them, or NULL.
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

static int
parse_number(const char *text, uint16_t *number)
{
	const char *rest = take_number(text, PORT_ID_MAX_NUMBER, number);

	return rest != NULL && *rest == '\0' ? 0 : -1;
}

/* What follows the colon: `N`, or `NnqQ` where the primary may have started several queues. */
static int
parse_rest(const char *text, struct port_id *id)
{
	bool queues = id->type == PORT_PHY || id->type == PORT_TAP || id->type == PORT_NULL;
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
	for (i = 0; i < N_TYPES; i++) {
		if (strlen(type_names[i]) == len && memcmp(text, type_names[i], len) == 0) {
			id->type = (enum port_type_id)i;
			return parse_rest(colon + 1, id);
		}
	}
	return -1;
}

void
port_id_format(struct port_id id, char text[PORT_ID_STRLEN])
{
	int len = snprintf(text, PORT_ID_STRLEN, "%s:%u", type_names[id.type], id.number);

	if (id.nq > 0)
		snprintf(text + len, PORT_ID_STRLEN - (size_t)len, "nq%u", id.nq - 1U);
}

void
port_id_format_status(struct port_id id, char text[PORT_ID_STRLEN])
{
	int len = snprintf(text, PORT_ID_STRLEN, "%s:%u", type_names[id.type], id.number);

	if (id.nq > 0)
		snprintf(text + len, PORT_ID_STRLEN - (size_t)len, " nq %u", id.nq - 1U);
}

int
port_id_equal(struct port_id a, struct port_id b)
{
	return a.type == b.type && a.number == b.number && a.nq == b.nq;
}

int
port_id_from_ethdev_name(const char *name, struct port_id *id)
{
	size_t i, len;

	for (i = 0; i < N_PREFIXES; i++) {
		len = strlen(ethdev_prefixes[i].prefix);
		if (strncmp(name, ethdev_prefixes[i].prefix, len) == 0) {
			id->type = ethdev_prefixes[i].type;
			id->nq = 0;
			return parse_number(name + len, &id->number);
		}
	}
	return -1;
}
