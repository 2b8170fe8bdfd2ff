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
	enum port_type type;
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
	const char *rest = take_number(text, UID_MAX_NUMBER, number);

	return rest != NULL && *rest == '\0' ? 0 : -1;
}

/* What follows the colon: `N`, or `NnqQ` where the primary may have started several queues. */
static int
parse_rest(const char *text, struct uid *uid)
{
	bool queues = uid->type == PORT_PHY || uid->type == PORT_TAP || uid->type == PORT_NULL;
	const char *rest = take_number(text, UID_MAX_NUMBER, &uid->number);

	uid->nq = 0;
	if (rest == NULL || *rest == '\0')
		return rest == NULL ? -1 : 0;
	if (!queues || strncmp(rest, "nq", 2) != 0)
		return -1;
	rest = take_number(rest + 2, UID_MAX_QUEUE, &uid->nq);
	uid->nq++;
	return rest != NULL && *rest == '\0' ? 0 : -1;
}

int
uid_parse(const char *text, struct uid *uid)
{
	const char *colon = strchr(text, ':');
	size_t i, len;

	if (colon == NULL)
		return -1;
	len = (size_t)(colon - text);
	for (i = 0; i < N_TYPES; i++) {
		if (strlen(type_names[i]) == len && memcmp(text, type_names[i], len) == 0) {
			uid->type = (enum port_type)i;
			return parse_rest(colon + 1, uid);
		}
	}
	return -1;
}

void
uid_format(struct uid uid, char text[UID_STRLEN])
{
	int len = snprintf(text, UID_STRLEN, "%s:%u", type_names[uid.type], uid.number);

	if (uid.nq > 0)
		snprintf(text + len, UID_STRLEN - (size_t)len, "nq%u", uid.nq - 1U);
}

void
uid_format_status(struct uid uid, char text[UID_STRLEN])
{
	int len = snprintf(text, UID_STRLEN, "%s:%u", type_names[uid.type], uid.number);

	if (uid.nq > 0)
		snprintf(text + len, UID_STRLEN - (size_t)len, " nq %u", uid.nq - 1U);
}

int
uid_equal(struct uid a, struct uid b)
{
	return a.type == b.type && a.number == b.number && a.nq == b.nq;
}

int
uid_from_ethdev_name(const char *name, struct uid *uid)
{
	size_t i, len;

	for (i = 0; i < N_PREFIXES; i++) {
		len = strlen(ethdev_prefixes[i].prefix);
		if (strncmp(name, ethdev_prefixes[i].prefix, len) == 0) {
			uid->type = ethdev_prefixes[i].type;
			uid->nq = 0;
			return parse_number(name + len, &uid->number);
		}
	}
	return -1;
}
