/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "forward/match.h"

#define MAX_VLAN 4094

static bool
parse_vlan(const char *text, uint16_t *vlan)
{
	char *end;
	unsigned long value;

	if (*text < '1' || *text > '9')
		return false;
	value = strtoul(text, &end, 10);
	if (*end != '\0' || value > MAX_VLAN)
		return false;
	*vlan = (uint16_t)value;
	return true;
}

bool
match_parse_mac(const char *text, uint64_t *mac)
{
	unsigned int i, digits;
	uint64_t byte;

	*mac = 0;
	for (i = 0; i < 6; i++) {
		byte = 0;
		for (digits = 0; isxdigit((unsigned char)*text); digits++, text++)
			byte = byte * 16 +
			       (uint64_t)(isdigit((unsigned char)*text)
							       ? *text - '0'
							       : tolower(*text) - 'a' + 10);
		if (digits < 1 || digits > 2 || *text != (i < 5 ? ':' : '\0'))
			return false;
		*mac |= byte << (8 * i);
		text++;
	}
	return true;
}

static bool
parse_mac_word(struct match *match, enum match_mac kind, const char *value)
{
	if (match->kind != MATCH_NO_MAC) {
		log_line("a match has one MAC address at most");
		return false;
	}
	match->kind = kind;
	if (match_parse_mac(value, &match->mac))
		return true;
	log_line("\"%.40s\" is not a MAC address, as 02:00:00:00:00:21", value);
	return false;
}

static bool
parse_word(struct match *match, const char *word)
{
	const char *value = strchr(word, '=');
	size_t len = value != NULL ? (size_t)(value - word) : 0;

	if (len == 4 && memcmp(word, "vlan", 4) == 0) {
		if (match->vlan != MATCH_ANY_VLAN) {
			log_line("vlan is given twice");
			return false;
		}
		if (parse_vlan(value + 1, &match->vlan))
			return true;
		log_line("%.40s: must be a number from 1 to %d", word, MAX_VLAN);
		return false;
	}
	if (len == 7 && memcmp(word, "dst_mac", 7) == 0)
		return parse_mac_word(match, MATCH_DST_MAC, value + 1);
	if (len == 7 && memcmp(word, "src_mac", 7) == 0)
		return parse_mac_word(match, MATCH_SRC_MAC, value + 1);
	log_line("\"%.40s\": must be vlan=, dst_mac= or src_mac=", word);
	return false;
}

bool
match_parse(struct match *match, char *const *words, unsigned int n)
{
	unsigned int i;

	*match = (struct match){ .vlan = MATCH_ANY_VLAN };
	for (i = 0; i < n; i++)
		if (!parse_word(match, words[i]))
			return false;
	return true;
}

void
match_format(const struct match *match, char text[MATCH_STRLEN])
{
	int len = 0;

	text[0] = '\0';
	if (match->vlan != MATCH_ANY_VLAN)
		len = snprintf(text, MATCH_STRLEN, "vlan=%u", match->vlan);
	if (match->kind != MATCH_NO_MAC)
		snprintf(text + len, (size_t)(MATCH_STRLEN - len),
				"%s%s_mac=%02x:%02x:%02x:%02x:%02x:%02x", len > 0 ? " " : "",
				match->kind == MATCH_DST_MAC ? "dst" : "src",
				(unsigned int)(match->mac & 0xff),
				(unsigned int)(match->mac >> 8 & 0xff),
				(unsigned int)(match->mac >> 16 & 0xff),
				(unsigned int)(match->mac >> 24 & 0xff),
				(unsigned int)(match->mac >> 32 & 0xff),
				(unsigned int)(match->mac >> 40 & 0xff));
}

bool
match_equal(const struct match *a, const struct match *b)
{
	return a->vlan == b->vlan && a->kind == b->kind && a->mac == b->mac;
}
