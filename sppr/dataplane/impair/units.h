/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMPAIR_UNITS_H
#define IMPAIR_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal numbers with a unit, as tc writes them: `1.5ms`, `0.5%`, `10mbit`. A value is an integer
 * number of the smallest step (ns, parts per billion, bits a second), so no value is rounded.
 */

#define PART_ALL 1000000000ULL /* 100 %, in parts per billion */
#define UNIT_STRLEN 32

struct unit {
	const char *name;
	uint64_t size; /* in the smallest step */
};

/* From the largest unit to the smallest one, up to an entry without a name. */
extern const struct unit units_time[], units_rate[], units_percent[], units_plain[];

/* Parse a number with one of these units. Return false if it is not one, or if the value is not an
 * integer from 0 to max.
 */
bool unit_parse(const char *text, const struct unit *units, uint64_t max, uint64_t *value);

/* Write a value in the only form that it has: without a fraction, in the largest unit that allows
 * this. A percentage has one unit, and a fraction without zeros at its end.
 */
void unit_format(uint64_t value, const struct unit *units, char text[UNIT_STRLEN]);

#endif
