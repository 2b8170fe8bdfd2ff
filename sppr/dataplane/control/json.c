/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/json.h"

/* Reserved for the end of the text: brackets, ,"truncated":true and the NUL. */
#define TAIL 40
/* Not available to elements of arrays, so that the keys of the outermost object always fit. */
#define RESERVE 512

static size_t
limit(const struct json *w)
{
	size_t keep = w->depth <= 1 ? TAIL : RESERVE;

	return w->cap > keep ? w->cap - keep : 0;
}

static bool
put(struct json *w, const char *text, size_t n)
{
	if (w->len + n > limit(w))
		return false;
	memcpy(w->buf + w->len, text, n);
	w->len += n;
	return true;
}

static bool
put_quoted(struct json *w, const char *text)
{
	char esc[8];
	bool ok = put(w, "\"", 1);

	for (; ok && *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\') {
			esc[0] = '\\';
			esc[1] = (char)c;
			ok = put(w, esc, 2);
		} else if (c < 0x20 || c >= 0x7f) {
			/* the reply is ASCII, whatever the peer sent */
			snprintf(esc, sizeof(esc), "\\u%04x", c);
			ok = put(w, esc, 6);
		} else {
			ok = put(w, text, 1);
		}
	}
	return ok && put(w, "\"", 1);
}

/* Write the comma and the key of the next member. */
static bool
put_lead(struct json *w, const char *key)
{
	if (w->depth > 0 && w->open[w->depth - 1].filled && !put(w, ",", 1))
		return false;
	if (key == NULL)
		return true;
	return put_quoted(w, key) && put(w, ":", 1);
}

static void
left_out(struct json *w, size_t back_to)
{
	w->len = back_to;
	w->truncated = true;
	w->cut = w->depth > 1;
}

static void
member_done(struct json *w)
{
	if (w->depth > 0)
		w->open[w->depth - 1].filled = true;
}

static void
open_container(struct json *w, const char *key, bool array)
{
	size_t start = w->len;

	if (w->cut || w->skipped > 0 || w->depth == JSON_MAX_DEPTH) {
		w->skipped++;
		return;
	}
	if (!put_lead(w, key) || !put(w, array ? "[" : "{", 1)) {
		left_out(w, start);
		w->skipped++;
		return;
	}
	w->open[w->depth].start = start;
	w->open[w->depth].array = array;
	w->open[w->depth].filled = false;
	w->depth++;
}

void
json_start(struct json *w, char *buf, size_t cap)
{
	memset(w, 0, sizeof(*w));
	w->buf = buf;
	w->cap = cap;
	json_object(w, NULL);
}

void
json_object(struct json *w, const char *key)
{
	open_container(w, key, false);
}

void
json_array(struct json *w, const char *key)
{
	open_container(w, key, true);
}

static bool
in_array(const struct json *w)
{
	return w->depth > 0 && w->open[w->depth - 1].array;
}

void
json_end(struct json *w)
{
	size_t start;
	bool array;

	if (w->skipped > 0) {
		w->skipped--;
		return;
	}
	if (w->depth == 0)
		return;
	w->depth--;
	start = w->open[w->depth].start;
	array = w->open[w->depth].array;
	if (w->cut && !array && in_array(w)) {
		/* drop the element that is not complete */
		w->len = start;
		return;
	}
	/* TAIL and RESERVE leave room for brackets */
	w->buf[w->len++] = array ? ']' : '}';
	if (array || w->depth == 1)
		w->cut = false;
	member_done(w);
}

void
json_string(struct json *w, const char *key, const char *value)
{
	size_t start = w->len;

	if (w->cut || w->skipped > 0)
		return;
	if (put_lead(w, key) && put_quoted(w, value))
		member_done(w);
	else
		left_out(w, start);
}

/* Write a value without quotes. */
static void
put_plain(struct json *w, const char *key, const char *text)
{
	size_t start = w->len;

	if (w->cut || w->skipped > 0)
		return;
	if (put_lead(w, key) && put(w, text, strlen(text)))
		member_done(w);
	else
		left_out(w, start);
}

void
json_uint(struct json *w, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	put_plain(w, key, digits);
}

void
json_int(struct json *w, const char *key, int64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRId64, value);
	put_plain(w, key, digits);
}

void
json_bool(struct json *w, const char *key, bool value)
{
	put_plain(w, key, value ? "true" : "false");
}

void
json_finish(struct json *w)
{
	static const char mark[] = "\"truncated\":true";

	while (w->depth > 1 || w->skipped > 0)
		json_end(w);
	if (w->depth == 0) { /* there was no room for "{" */
		if (w->cap > 0)
			w->buf[0] = '\0';
		return;
	}
	if (w->truncated) {
		if (w->open[0].filled)
			w->buf[w->len++] = ',';
		memcpy(w->buf + w->len, mark, sizeof(mark) - 1);
		w->len += sizeof(mark) - 1;
	}
	w->buf[w->len++] = '}';
	w->buf[w->len] = '\0';
	w->depth = 0;
}
