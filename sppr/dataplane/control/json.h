/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_JSON_H
#define CONTROL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_MAX_DEPTH 8

/* Write JSON into a buffer of fixed size. The writer never overflows, and the text is always valid
 * JSON: an array element that does not fit is dropped, and the outermost object then has
 * "truncated":true.
 */
struct json {
	char *buf;
	size_t cap;
	size_t len;
	int depth;   /* open containers in the text */
	int skipped; /* open containers inside a dropped one */
	bool truncated;
	bool cut; /* the current array element does not fit */
	struct {
		size_t start; /* offset of the container, with its comma and key */
		bool array;
		bool filled; /* the next member needs a comma */
	} open[JSON_MAX_DEPTH];
};

void json_start(struct json *w, char *buf, size_t cap);
void json_finish(struct json *w);

/* key is NULL for members of an array. */
void json_object(struct json *w, const char *key);
void json_array(struct json *w, const char *key);
void json_end(struct json *w);
void json_string(struct json *w, const char *key, const char *value);
void json_uint(struct json *w, const char *key, uint64_t value);
void json_int(struct json *w, const char *key, int64_t value);
void json_bool(struct json *w, const char *key, bool value);

#endif
