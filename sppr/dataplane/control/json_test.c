/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "control/json.h"

static void
test_text(void)
{
	char buf[1024];
	struct json w;

	json_start(&w, buf, sizeof(buf));
	json_string(&w, "a", "q\"b\\\n\xff");
	json_uint(&w, "n", UINT64_MAX);
	json_array(&w, "list");
	json_uint(&w, NULL, 1);
	json_uint(&w, NULL, 2);
	json_object(&w, NULL);
	json_string(&w, "k", "v");
	json_end(&w);
	json_end(&w);
	json_array(&w, "none");
	json_end(&w);
	json_finish(&w);
	CHECK_STR(buf, "{\"a\":\"q\\\"b\\\\\\u000a\\u00ff\",\"n\":18446744073709551615,"
		       "\"list\":[1,2,{\"k\":\"v\"}],\"none\":[]}");
}

/* Write a list shaped as in a status. For each size of the buffer the text must end inside it, be
 * closed, have complete elements only, and say if elements are missing.
 */
static void
write_list(char *buf, size_t size, unsigned int elements)
{
	struct json w;
	unsigned int i;

	json_start(&w, buf, size);
	json_array(&w, "list");
	for (i = 0; i < elements; i++) {
		json_object(&w, NULL);
		json_string(&w, "port", "ring:0000");
		json_object(&w, "q");
		json_uint(&w, "rx", i);
		json_end(&w);
		json_uint(&w, "tx", 12345678);
		json_end(&w);
	}
	json_end(&w);
	json_array(&w, "after");
	json_end(&w);
	json_finish(&w);
}

static int
ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

static void
test_full(void)
{
	char guarded[2048 + 16];
	size_t size, i;
	const char *p;
	int depth;

	for (size = 0; size <= 2048; size++) {
		memset(guarded, 'x', sizeof(guarded));
		write_list(guarded, size, 100);
		for (i = size; i < sizeof(guarded); i++)
			CHECK(guarded[i] == 'x');
		if (size < 200)
			continue; /* no room for the keys */
		CHECK(strlen(guarded) < size);
		CHECK(ends_with(guarded, "],\"after\":[],\"truncated\":true}"));
		for (p = guarded, depth = 0; *p != '\0'; p++) {
			depth += *p == '{' || *p == '[';
			depth -= *p == '}' || *p == ']';
		}
		CHECK(depth == 0);
		CHECK(strstr(guarded, "},]") == NULL && strstr(guarded, ",}") == NULL);
		/* complete elements only */
		p = strstr(guarded, "],\"after\"");
		CHECK(p[-1] == '[' || strncmp(p - 2, "8}", 2) == 0);
	}
	write_list(guarded, sizeof(guarded), 3);
	CHECK(strstr(guarded, "truncated") == NULL);
}

static void
test_plain_values(void)
{
	char buf[256];
	struct json w;

	json_start(&w, buf, sizeof(buf));
	json_int(&w, "a", -1);
	json_int(&w, "b", INT64_MIN);
	json_bool(&w, "c", true);
	json_bool(&w, "d", false);
	json_finish(&w);
	CHECK_STR(buf, "{\"a\":-1,\"b\":-9223372036854775808,\"c\":true,\"d\":false}");
}

int
main(void)
{
	test_plain_values();
	test_text();
	test_full();
	return 0;
}
