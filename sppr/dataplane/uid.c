/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "uid.h"

static const char *const type_names[] = {
	[PORT_PHY] = "phy",
	[PORT_RING] = "ring",
	[PORT_VHOST] = "vhost",
	[PORT_TAP] = "tap",
	[PORT_NULL] = "nullpmd",
	[PORT_PCAP] = "pcap",
	[PORT_MEMIF] = "memif",
	[PORT_IVSHMEM] = "ivshmem",
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

/* Digits only, no sign, no leading zero: one port has one spelling. */
static int
parse_number(const char *text, uint16_t *number)
{
	unsigned int value = 0;
	const char *p;

	if (*text == '\0' || (text[0] == '0' && text[1] != '\0'))
		return -1;
	for (p = text; *p != '\0'; p++) {
		if (!isdigit((unsigned char)*p))
			return -1;
		value = value * 10 + (unsigned int)(*p - '0');
		if (value > UID_MAX_NUMBER)
			return -1;
	}
	*number = (uint16_t)value;
	return 0;
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
			return parse_number(colon + 1, &uid->number);
		}
	}
	return -1;
}

void
uid_format(struct uid uid, char text[UID_STRLEN])
{
	snprintf(text, UID_STRLEN, "%s:%u", type_names[uid.type], uid.number);
}

int
uid_equal(struct uid a, struct uid b)
{
	return a.type == b.type && a.number == b.number;
}

int
uid_from_ethdev_name(const char *name, struct uid *uid)
{
	size_t i, len;

	for (i = 0; i < N_PREFIXES; i++) {
		len = strlen(ethdev_prefixes[i].prefix);
		if (strncmp(name, ethdev_prefixes[i].prefix, len) == 0) {
			uid->type = ethdev_prefixes[i].type;
			return parse_number(name + len, &uid->number);
		}
	}
	return -1;
}
