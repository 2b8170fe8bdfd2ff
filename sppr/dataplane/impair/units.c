/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "impair/units.h"

#define MAX_DIGITS 20 /* of the largest 64-bit number; times 10^9 it fits in 128 bits */

const struct unit units_time[] = { { "s", 1000000000 }, { "ms", 1000000 }, { "us", 1000 },
	{ "ns", 1 }, { NULL, 0 } };
const struct unit units_rate[] = { { "gbit", 1000000000 }, { "mbit", 1000000 }, { "kbit", 1000 },
	{ "bit", 1 }, { NULL, 0 } };
const struct unit units_percent[] = { { "%", PART_ALL / 100 }, { NULL, 0 } };
const struct unit units_plain[] = { { "", 1 }, { NULL, 0 } };

/* Take digits with at most one point among them. The number is *digits / *scale. Return the text
 * behind them, or NULL.
 */
static const char *
take_decimal(const char *text, unsigned __int128 *digits, uint64_t *scale)
{
	bool point = false;
	unsigned int n = 0;

	*digits = 0;
	*scale = 1;
	for (; isdigit((unsigned char)*text) || (*text == '.' && !point && n > 0); text++) {
		if (*text == '.') {
			point = true;
			if (!isdigit((unsigned char)text[1]))
				return NULL;
			continue;
		}
		if (++n > MAX_DIGITS || (point && *scale > UINT64_MAX / 10))
			return NULL;
		*digits = *digits * 10 + (unsigned int)(*text - '0');
		*scale *= point ? 10 : 1;
	}
	return n > 0 ? text : NULL;
}

bool
unit_parse(const char *text, const struct unit *units, uint64_t max, uint64_t *value)
{
	unsigned __int128 digits;
	uint64_t scale;

	text = take_decimal(text, &digits, &scale);
	for (; text != NULL && units->name != NULL; units++) {
		if (strcmp(units->name, text) != 0)
			continue;
		digits *= units->size;
		if (digits % scale != 0 || digits / scale > max)
			return false;
		*value = (uint64_t)(digits / scale);
		return true;
	}
	return false;
}

void
unit_format(uint64_t value, const struct unit *units, char text[UNIT_STRLEN])
{
	uint64_t whole, rest, step;
	int len;

	while (value % units->size != 0 && units[1].name != NULL)
		units++;
	whole = value / units->size;
	rest = value % units->size;
	len = snprintf(text, UNIT_STRLEN, "%" PRIu64 "%s", whole, rest != 0 ? "." : "");
	for (step = units->size; rest != 0; rest %= step) {
		step /= 10;
		len += snprintf(text + len, (size_t)(UNIT_STRLEN - len), "%c",
				(char)('0' + rest / step));
	}
	snprintf(text + len, (size_t)(UNIT_STRLEN - len), "%s", units->name);
}
