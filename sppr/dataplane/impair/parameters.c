/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "impair/parameters.h"

#define SHOWN "%.40s" /* for words of a command */
#define DELAY_MAX 3600000000000ULL
#define RATE_MIN 8ULL
#define RATE_MAX 1000000000000ULL
#define BURST_MAX 1000000000ULL
#define BURST_DEFAULT_MIN 9018ULL /* a jumbo frame */
#define BURST_DEFAULT_PER_S 250	  /* the bytes of 4 ms */
#define GEMODEL "gemodel,"
#define NOTHING N_IMPAIR_KEYS

static const char *const distributions[] = { "uniform", "normal" };

static const struct {
	const char *name;
	const struct unit *units;
	uint64_t min, max;
	enum impair_key needs;
	const char *expected;
} keys[N_IMPAIR_KEYS] = {
	[IMPAIR_DELAY] = { "delay", units_time, 0, DELAY_MAX, NOTHING,
			"a time such as 50ms or 1.5s, at most 3600s" },
	[IMPAIR_JITTER] = { "jitter", units_time, 0, DELAY_MAX, IMPAIR_DELAY,
			"a time such as 50ms or 1.5s, at most 3600s" },
	[IMPAIR_DISTRIBUTION] = { "distribution", NULL, 0, 0, IMPAIR_JITTER, "uniform or normal" },
	[IMPAIR_LOSS] = { "loss", units_percent, 0, PART_ALL, NOTHING,
			"a percentage such as 0.5%, or gemodel,P,R,1-H,1-K in percent" },
	[IMPAIR_DUPLICATE] = { "duplicate", units_percent, 0, PART_ALL, NOTHING,
			"a percentage such as 0.5%" },
	[IMPAIR_CORRUPT] = { "corrupt", units_percent, 0, PART_ALL, NOTHING,
			"a percentage such as 0.5%" },
	[IMPAIR_REORDER] = { "reorder", units_percent, 0, PART_ALL, IMPAIR_DELAY,
			"a percentage such as 0.5%" },
	[IMPAIR_GAP] = { "gap", units_plain, 1, UINT32_MAX, IMPAIR_REORDER,
			"a number from 1 to 4294967295" },
	[IMPAIR_RATE] = { "rate", units_rate, RATE_MIN, RATE_MAX, NOTHING,
			"a rate such as 10mbit, from 8bit to 1000gbit" },
	[IMPAIR_BURST] = { "burst", units_plain, 1, BURST_MAX, IMPAIR_RATE,
			"a number of bytes from 1 to 1000000000" },
	[IMPAIR_LIMIT] = { "limit", units_plain, 1, IMPAIR_LIMIT_MAX, NOTHING,
			"a number of frames from 1 to 1000000" },
	[IMPAIR_SEED] = { "seed", units_plain, 0, UINT64_MAX, NOTHING, "a number of 64 bits" },
};

static bool
is_given(const struct impair_parameters *p, enum impair_key key)
{
	return key == NOTHING || (p->given & 1U << key) != 0;
}

static bool
parse_distribution(struct impair_parameters *p, const char *text)
{
	uint64_t i;

	for (i = 0; i < sizeof(distributions) / sizeof(distributions[0]); i++) {
		if (strcmp(text, distributions[i]) != 0)
			continue;
		p->value[IMPAIR_DISTRIBUTION] = i;
		return true;
	}
	return false;
}

/* Parse `P[,R[,1-H[,1-K]]]`, with the defaults of tc. */
static bool
parse_gemodel(struct impair_parameters *p, const char *text)
{
	uint64_t *to[] = { &p->value[IMPAIR_LOSS], &p->ge_recover, &p->ge_loss_bad,
		&p->ge_loss_good };
	char part[UNIT_STRLEN];
	unsigned int i;
	size_t len;

	p->gemodel = true;
	p->ge_loss_bad = PART_ALL;
	for (i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
		len = strcspn(text, ",");
		if (len >= sizeof(part))
			return false;
		memcpy(part, text, len);
		part[len] = '\0';
		if (!unit_parse(part, units_percent, PART_ALL, to[i]))
			return false;
		if (i == 0)
			p->ge_recover = PART_ALL - p->value[IMPAIR_LOSS];
		text += len;
		if (*text == '\0')
			return true;
		text++;
	}
	return false;
}

static bool
parse_value(struct impair_parameters *p, enum impair_key key, const char *text)
{
	if (key == IMPAIR_DISTRIBUTION)
		return parse_distribution(p, text);
	if (key == IMPAIR_LOSS && strncmp(text, GEMODEL, strlen(GEMODEL)) == 0)
		return parse_gemodel(p, text + strlen(GEMODEL));
	return unit_parse(text, keys[key].units, keys[key].max, &p->value[key]) &&
	       p->value[key] >= keys[key].min;
}

static enum impair_key
find_key(const char *word)
{
	size_t len = strcspn(word, "=");
	enum impair_key key;

	for (key = 0; key < N_IMPAIR_KEYS; key++)
		if (word[len] == '=' && strlen(keys[key].name) == len &&
				memcmp(word, keys[key].name, len) == 0)
			break;
	return key;
}

static bool
parse_word(struct impair_parameters *p, const char *word)
{
	enum impair_key key = find_key(word);

	if (key == N_IMPAIR_KEYS) {
		log_line("\"" SHOWN
			 "\": must be delay=, jitter=, distribution=, loss=, duplicate=, "
			 "corrupt=, reorder=, gap=, rate=, burst=, limit= or seed=",
				word);
		return false;
	}
	if (is_given(p, key)) {
		log_line("%s is given twice", keys[key].name);
		return false;
	}
	if (!parse_value(p, key, strchr(word, '=') + 1)) {
		log_line(SHOWN ": must be %s", word, keys[key].expected);
		return false;
	}
	p->given |= 1U << key;
	return true;
}

static void
set_defaults(struct impair_parameters *p)
{
	uint64_t bytes = p->value[IMPAIR_RATE] / 8 / BURST_DEFAULT_PER_S;

	if (!is_given(p, IMPAIR_GAP))
		p->value[IMPAIR_GAP] = 1;
	if (!is_given(p, IMPAIR_BURST))
		p->value[IMPAIR_BURST] = bytes > BURST_DEFAULT_MIN ? bytes : BURST_DEFAULT_MIN;
	if (!is_given(p, IMPAIR_LIMIT))
		p->value[IMPAIR_LIMIT] = IMPAIR_LIMIT_DEFAULT;
}

bool
impair_parse(struct impair_parameters *p, char *const *words, unsigned int n)
{
	enum impair_key key;
	unsigned int i;

	memset(p, 0, sizeof(*p));
	if (n == 0) {
		log_line("impair: give KEY=VALUE, such as delay=20ms, or off");
		return false;
	}
	for (i = 0; i < n; i++)
		if (!parse_word(p, words[i]))
			return false;
	for (key = 0; key < N_IMPAIR_KEYS; key++) {
		if (!is_given(p, key) || is_given(p, keys[key].needs))
			continue;
		log_line("%s needs %s=", keys[key].name, keys[keys[key].needs].name);
		return false;
	}
	set_defaults(p);
	return true;
}

/* Values at the end that are defaults are left out, so that equal models have one text. */
static int
format_gemodel(const struct impair_parameters *p, char *text, size_t size)
{
	char part[4][UNIT_STRLEN];
	uint64_t p_bad = p->value[IMPAIR_LOSS];
	unsigned int i, n = 1;
	int len;

	if (p->ge_loss_good != 0)
		n = 4;
	else if (p->ge_loss_bad != PART_ALL)
		n = 3;
	else if (p->ge_recover != PART_ALL - p_bad)
		n = 2;
	unit_format(p_bad, units_percent, part[0]);
	unit_format(p->ge_recover, units_percent, part[1]);
	unit_format(p->ge_loss_bad, units_percent, part[2]);
	unit_format(p->ge_loss_good, units_percent, part[3]);
	len = snprintf(text, size, "gemodel");
	for (i = 0; i < n; i++)
		len += snprintf(text + len, size - (size_t)len, ",%s", part[i]);
	return len;
}

static int
format_value(const struct impair_parameters *p, enum impair_key key, char *text, size_t size)
{
	char number[UNIT_STRLEN];

	if (key == IMPAIR_DISTRIBUTION)
		return snprintf(text, size, "%s", distributions[p->value[key]]);
	if (key == IMPAIR_LOSS && p->gemodel)
		return format_gemodel(p, text, size);
	unit_format(p->value[key], keys[key].units, number);
	return snprintf(text, size, "%s", number);
}

void
impair_format(const struct impair_parameters *p, char text[IMPAIR_STRLEN])
{
	enum impair_key key;
	size_t len = 0;

	text[0] = '\0';
	for (key = 0; key < N_IMPAIR_KEYS; key++) {
		if (!is_given(p, key))
			continue;
		len += (size_t)snprintf(text + len, IMPAIR_STRLEN - len,
				"%s%s=", len > 0 ? " " : "", keys[key].name);
		len += (size_t)format_value(p, key, text + len, IMPAIR_STRLEN - len);
	}
}
