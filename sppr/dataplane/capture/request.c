/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "capture/request.h"
#include "capture/ring.h"

#define WORDS 5
#define NUMBER_DIGITS 9

/* Split at single spaces. Return the number of words, or 0 if one is empty or there are too many.
 */
static unsigned int
split(char *text, char *words[WORDS])
{
	unsigned int n = 0;
	char *space;

	for (; n < WORDS; text = space + 1) {
		words[n++] = text;
		space = strchr(text, ' ');
		if (space == text || *text == '\0')
			return 0;
		if (space == NULL)
			return n;
		*space = '\0';
	}
	return 0;
}

/* Parse digits without a leading zero. */
static bool
parse_number(const char *text, uint32_t *number)
{
	size_t i, digits = strspn(text, "0123456789");

	if (digits == 0 || digits > NUMBER_DIGITS || text[digits] != '\0' || text[0] == '0')
		return false;
	*number = 0;
	for (i = 0; i < digits; i++)
		*number = *number * 10 + (uint32_t)(text[i] - '0');
	return true;
}

static bool
parse_side(const char *text, bool *tx)
{
	*tx = strcmp(text, "tx") == 0;
	return *tx || strcmp(text, "rx") == 0;
}

const char *
capture_request_parse(struct capture_request *request, const char *text, size_t size)
{
	char line[CAPTURE_REQUEST_MAX + 1], *words[WORDS];

	if (size > CAPTURE_REQUEST_MAX)
		return "the request is too long";
	memcpy(line, text, size);
	line[size] = '\0';
	if (strlen(line) != size || split(line, words) != WORDS || strcmp(words[0], "capture") != 0)
		return "expected: capture PORT rx|tx SNAPLEN RINGBYTES";
	if (port_id_parse(words[1], &request->port) < 0)
		return "not a port: expected TYPE:NUMBER, such as ring:0 or phy:0nq1";
	if (!parse_side(words[2], &request->tx))
		return "the side must be rx or tx";
	if (!parse_number(words[3], &request->snaplen) || request->snaplen < CAPTURE_SNAPLEN_MIN ||
			request->snaplen > CAPTURE_SNAPLEN_MAX)
		return "the snaplen must be 64 to 262144";
	if (!parse_number(words[4], &request->ring_size) || request->ring_size < CAPTURE_RING_MIN ||
			request->ring_size > CAPTURE_RING_MAX ||
			(request->ring_size & (request->ring_size - 1)) != 0)
		return "the ring must be a power of two from 65536 to 67108864 bytes";
	return NULL;
}
