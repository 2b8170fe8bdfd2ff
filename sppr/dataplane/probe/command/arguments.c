/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>

#include "base/log.h"
#include "probe/command/arguments.h"

#define RATE_MAX 1000000000ULL
#define WINDOW_MAX 1000000ULL
#define COUNT_MAX 1000000000000000ULL
#define SHOWN "%.40s" /* for words of a command */

/* The source port of RFC 2544 (appendix C), and `discard` (RFC 863). */
#define DEFAULT_SRC_PORT 49184
#define DEFAULT_DST_PORT 9

struct fields {
	struct probe_run run;
	bool sized;
	uint32_t given; /* bit i: keys[i] */
};

/* Parse digits without a leading zero. Return the text after them, or NULL if the number is above
 * max.
 */
static const char *
take_number(const char *text, uint64_t max, uint64_t *value)
{
	const char *p = text;

	*value = 0;
	for (; isdigit((unsigned char)*p); p++) {
		if (*value > (max - (uint64_t)(*p - '0')) / 10)
			return NULL;
		*value = *value * 10 + (uint64_t)(*p - '0');
	}
	if (p == text || (text[0] == '0' && p != text + 1) || *value > max)
		return NULL;
	return p;
}

static bool
parse_number(const char *key, const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	const char *rest = take_number(text, max, value);

	if (rest != NULL && *rest == '\0' && *value >= min)
		return true;
	log_line("%s=" SHOWN ": must be a number from %llu to %llu", key, text,
			(unsigned long long)min, (unsigned long long)max);
	return false;
}

static bool
parse_u16(const char *key, const char *text, uint16_t min, uint16_t max, uint16_t *value)
{
	uint64_t wide;

	if (!parse_number(key, text, min, max, &wide))
		return false;
	*value = (uint16_t)wide;
	return true;
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
parse_mac(const char *key, const char *text, bool source, uint8_t mac[6])
{
	const char *p = text;
	unsigned int i;

	for (i = 0; i < 6; i++, p += 3) {
		if (hex(p[0]) < 0 || hex(p[1]) < 0 || p[2] != (i < 5 ? ':' : '\0')) {
			log_line("%s=" SHOWN ": must be a MAC address, as 02:00:00:00:00:01", key,
					text);
			return false;
		}
		mac[i] = (uint8_t)(hex(p[0]) << 4 | hex(p[1]));
	}
	if (!source || (mac[0] & 1) == 0)
		return true;
	log_line("%s=" SHOWN ": a source address cannot be a group address", key, text);
	return false;
}

static bool
parse_ip(const char *key, const char *text, uint32_t *ip)
{
	const char *p = text;
	uint64_t octet;
	unsigned int i;

	*ip = 0;
	for (i = 0; i < 4; i++, p++) {
		p = take_number(p, 255, &octet);
		if (p == NULL || *p != (i < 3 ? '.' : '\0')) {
			log_line("%s=" SHOWN ": must be an IPv4 address", key, text);
			return false;
		}
		*ip = *ip << 8 | (uint32_t)octet;
	}
	return true;
}

static bool
set_flow(const char *key, const char *text, struct fields *f)
{
	return parse_u16(key, text, 0, UINT16_MAX, &f->run.shape.flow);
}

static bool
set_key(const char *key, const char *text, struct fields *f)
{
	uint64_t value;

	if (!parse_number(key, text, 0, UINT32_MAX, &value))
		return false;
	f->run.shape.key = (uint32_t)value;
	return true;
}

static bool
set_rate(const char *key, const char *text, struct fields *f)
{
	return parse_number(key, text, 0, RATE_MAX, &f->run.rate);
}

static bool
set_count(const char *key, const char *text, struct fields *f)
{
	return parse_number(key, text, 0, COUNT_MAX, &f->run.count);
}

static bool
set_time(const char *key, const char *text, struct fields *f)
{
	return parse_number(key, text, 0, UINT32_MAX, &f->run.time_ms);
}

static bool
set_window(const char *key, const char *text, struct fields *f)
{
	return parse_number(key, text, 1, WINDOW_MAX, &f->run.window);
}

static bool
set_peer(const char *key, const char *text, struct fields *f)
{
	return parse_u16(key, text, 0, MAX_PROBES - 1, &f->run.peer);
}

static bool
set_size(const char *key, const char *text, struct fields *f)
{
	f->run.imix = strcmp(text, "imix") == 0;
	if (f->run.imix)
		return true;
	f->sized = true;
	return parse_u16(key, text, PROBE_SIZE_MIN, PROBE_SIZE_MAX, &f->run.shape.size);
}

static bool
set_proto(const char *key, const char *text, struct fields *f)
{
	f->run.shape.tcp = strcmp(text, "tcp") == 0;
	if (f->run.shape.tcp || strcmp(text, "udp") == 0)
		return true;
	log_line("%s=" SHOWN ": must be udp or tcp", key, text);
	return false;
}

static bool
set_vlan(const char *key, const char *text, struct fields *f)
{
	return parse_u16(key, text, 1, 4094, &f->run.shape.vlan);
}

static bool
set_src_mac(const char *key, const char *text, struct fields *f)
{
	return parse_mac(key, text, true, f->run.shape.src_mac);
}

static bool
set_dst_mac(const char *key, const char *text, struct fields *f)
{
	return parse_mac(key, text, false, f->run.shape.dst_mac);
}

static bool
set_src_ip(const char *key, const char *text, struct fields *f)
{
	return parse_ip(key, text, &f->run.shape.src_ip);
}

static bool
set_dst_ip(const char *key, const char *text, struct fields *f)
{
	return parse_ip(key, text, &f->run.shape.dst_ip);
}

static bool
set_src_port(const char *key, const char *text, struct fields *f)
{
	return parse_u16(key, text, 0, UINT16_MAX, &f->run.shape.src_port);
}

static bool
set_dst_port(const char *key, const char *text, struct fields *f)
{
	return parse_u16(key, text, 0, UINT16_MAX, &f->run.shape.dst_port);
}

#define N_EXPECT 2 /* the first keys, which both commands require */

static const struct {
	const char *name;
	bool (*set)(const char *key, const char *text, struct fields *f);
} keys[] = {
	{ "flow", set_flow },
	{ "key", set_key },
	{ "rate", set_rate },
	{ "count", set_count },
	{ "time", set_time },
	{ "window", set_window },
	{ "peer", set_peer },
	{ "size", set_size },
	{ "proto", set_proto },
	{ "vlan", set_vlan },
	{ "src_mac", set_src_mac },
	{ "dst_mac", set_dst_mac },
	{ "src_ip", set_src_ip },
	{ "dst_ip", set_dst_ip },
	{ "src_port", set_src_port },
	{ "dst_port", set_dst_port },
};

static bool
parse_word(const char *word, unsigned int nkeys, struct fields *f)
{
	const char *equals = strchr(word, '=');
	unsigned int i;

	for (i = 0; equals != NULL && i < nkeys; i++) {
		size_t len = strlen(keys[i].name);

		if ((size_t)(equals - word) != len || memcmp(word, keys[i].name, len) != 0)
			continue;
		if ((f->given & 1U << i) != 0) {
			log_line("%s is given twice", keys[i].name);
			return false;
		}
		f->given |= 1U << i;
		return keys[i].set(keys[i].name, equals + 1, f);
	}
	log_line("\"" SHOWN "\": unknown; expected key=value, see docs/dataplane.md", word);
	return false;
}

static bool
parse_words(char *const *word, unsigned int n, unsigned int nkeys, struct fields *f)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (!parse_word(word[i], nkeys, f))
			return false;
	for (i = 0; i < N_EXPECT; i++) {
		if ((f->given & 1U << i) == 0) {
			log_line("%s=NUMBER is missing", keys[i].name);
			return false;
		}
	}
	return true;
}

static void
set_defaults(struct probe_shape *shape, uint16_t number)
{
	*shape = (struct probe_shape){
		/* locally administered, different for each probe */
		.src_mac = { 0x02, 'S', 'P', 'P', 1, (uint8_t)number },
		.dst_mac = { 0x02, 'S', 'P', 'P', 2, (uint8_t)number },
		.src_ip = 0xc6120001, /* 198.18.0.1, of the block of RFC 2544 */
		.dst_ip = 0xc6130001, /* 198.19.0.1 */
		.src_port = DEFAULT_SRC_PORT,
		.dst_port = DEFAULT_DST_PORT,
	};
}

bool
probe_parse_start(struct probe_run *run, uint16_t number, char *const *word, unsigned int n)
{
	struct fields f = { .given = 0 };
	unsigned int minimum;

	set_defaults(&f.run.shape, number);
	f.run.peer = number;
	if (!parse_words(word, n, RTE_DIM(keys), &f))
		return false;
	minimum = probe_frame_minimum(f.run.shape.tcp, f.run.shape.vlan != 0);
	if (!f.sized)
		f.run.shape.size = (uint16_t)minimum;
	if (f.run.shape.size < minimum) {
		log_line("size=%u: a %s frame%s needs %u bytes or more", f.run.shape.size,
				f.run.shape.tcp ? "tcp" : "udp",
				f.run.shape.vlan != 0 ? " with a VLAN tag" : "", minimum);
		return false;
	}
	*run = f.run;
	return true;
}

bool
probe_parse_expect(uint16_t *flow, uint32_t *key, char *const *word, unsigned int n)
{
	struct fields f = { .given = 0 };

	if (!parse_words(word, n, N_EXPECT, &f))
		return false;
	*flow = f.run.shape.flow;
	*key = f.run.shape.key;
	return true;
}
