/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_MATCH_H
#define FORWARD_MATCH_H

#include <stdbool.h>
#include <stdint.h>

/* Which frames of a source a patch takes: by VLAN, by one MAC address, or by both. */

#define MATCH_ANY_VLAN 0x1000
#define MATCH_UNTAGGED 0xfff /* VID 4095 is reserved, so it stands for frames without a tag */
#define MATCH_STRLEN 64

enum match_mac {
	MATCH_NO_MAC,
	MATCH_DST_MAC,
	MATCH_SRC_MAC,
};

struct match {
	uint16_t vlan; /* a VID, MATCH_ANY_VLAN or MATCH_UNTAGGED */
	enum match_mac kind;
	uint64_t mac; /* as a frame has it in memory: the first byte is the lowest one */
	bool flood;   /* also take the group frames of the VLAN that no other match has: spp_vf */
};

/* Parse words such as `vlan=100` and `dst_mac=02:00:00:00:00:21`. Logs an error. */
bool match_parse(struct match *match, char *const *words, unsigned int n);

/* Parse a MAC address of six groups of one or two hex digits. */
bool match_parse_mac(const char *text, uint64_t *mac);

/* `vlan=100 dst_mac=02:00:00:00:00:21`, the words of match_parse(). */
void match_format(const struct match *match, char text[MATCH_STRLEN]);

bool match_equal(const struct match *a, const struct match *b);

#endif
