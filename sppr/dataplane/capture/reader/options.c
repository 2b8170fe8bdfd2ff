/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/log.h"
#include "capture/reader/options.h"
#include "capture/reader/pcapng.h"
#include "capture/ring.h"

#define PORT_MAX 23
#define WORDS_OF_INTERFACE 4
#define NUMBER_DIGITS 18

const char capture_usage[] =
		"usage: spp_capture -w FILE|- [--force] [-f FILTER] [-c COUNT] [-s SNAPLEN] [-b "
		"RINGBYTES]\n"
		"                   [--seconds S] -i SOCKET PORT rx|tx NAME [-i ...]\n"
		"Capture frames of ports of a lab into a pcapng file.\n"
		"  -w FILE       write to FILE; -: to the standard output\n"
		"  --force       replace an existing FILE\n"
		"  -f FILTER     keep only the frames that match this filter of libpcap\n"
		"  -c COUNT      stop after COUNT frames\n"
		"  -s SNAPLEN    keep the first bytes of a frame, 64 to 262144 (default 262144)\n"
		"  -b RINGBYTES  memory for each interface, a power of two from 65536 to 67108864\n"
		"                (default 4194304)\n"
		"  --seconds S   stop after S seconds\n"
		"  -i            capture this side of PORT of the process that listens at SOCKET,\n"
		"                as interface NAME\n";

/* The arguments that are left. */
struct arguments {
	char **word;
	int n;
};

static const char *
next(struct arguments *a)
{
	a->n--;
	return *a->word++;
}

/* Return the value of an option, or NULL after logging that it is missing. */
static const char *
value_of(struct arguments *a, const char *option)
{
	if (a->n > 0)
		return next(a);
	log_line("%s: the value is missing", option);
	return NULL;
}

static bool
number_of(struct arguments *a, const char *option, uint64_t min, uint64_t max, uint64_t *number)
{
	const char *text = value_of(a, option);
	size_t i, digits;

	if (text == NULL)
		return false;
	digits = strspn(text, "0123456789");
	*number = 0;
	for (i = 0; i < digits && i < NUMBER_DIGITS; i++)
		*number = *number * 10 + (uint64_t)(text[i] - '0');
	if (digits > 0 && digits <= NUMBER_DIGITS && text[digits] == '\0' && *number >= min &&
			*number <= max)
		return true;
	log_line("%s %.40s: must be a number from %llu to %llu", option, text,
			(unsigned long long)min, (unsigned long long)max);
	return false;
}

static bool
parse_source(struct capture_options *o, struct arguments *a)
{
	struct capture_source *s = &o->source[o->n];
	const char *side;

	if (a->n < WORDS_OF_INTERFACE) {
		log_line("-i: expected SOCKET PORT rx|tx NAME");
		return false;
	}
	if (o->n == CAPTURE_INTERFACES_MAX) {
		log_line("-i: at most %d interfaces", CAPTURE_INTERFACES_MAX);
		return false;
	}
	s->socket = next(a);
	s->port = next(a);
	side = next(a);
	s->name = next(a);
	s->tx = strcmp(side, "tx") == 0;
	if (!s->tx && strcmp(side, "rx") != 0)
		log_line("-i: \"%.40s\" must be rx or tx", side);
	else if (strlen(s->port) > PORT_MAX || strpbrk(s->port, " \n") != NULL || *s->port == '\0')
		log_line("-i: \"%.40s\" is not a port", s->port);
	else if (strlen(s->name) > PCAPNG_NAME_MAX || *s->name == '\0')
		log_line("-i: a name has 1 to %d bytes", PCAPNG_NAME_MAX);
	else
		return o->n++ < CAPTURE_INTERFACES_MAX;
	return false;
}

static bool
parse_filter(struct capture_options *o, struct arguments *a)
{
	o->filter = value_of(a, "-f");
	if (o->filter == NULL || strlen(o->filter) <= PCAPNG_FILTER_MAX)
		return o->filter != NULL;
	log_line("-f: a filter has at most %d bytes", PCAPNG_FILTER_MAX);
	return false;
}

static bool
parse_ring_size(struct capture_options *o, struct arguments *a)
{
	uint64_t number;

	if (!number_of(a, "-b", CAPTURE_RING_MIN, CAPTURE_RING_MAX, &number))
		return false;
	o->ring_size = (uint32_t)number;
	if ((number & (number - 1)) == 0)
		return true;
	log_line("-b: must be a power of two");
	return false;
}

static bool
parse_option(struct capture_options *o, const char *option, struct arguments *a)
{
	uint64_t number = 0;
	bool ok;

	if (strcmp(option, "-i") == 0)
		return parse_source(o, a);
	if (strcmp(option, "-w") == 0)
		return (o->file = value_of(a, option)) != NULL;
	if (strcmp(option, "-f") == 0)
		return parse_filter(o, a);
	if (strcmp(option, "-b") == 0)
		return parse_ring_size(o, a);
	if (strcmp(option, "-c") == 0)
		return number_of(a, option, 1, INT64_MAX, &o->count);
	if (strcmp(option, "--force") == 0)
		return (o->force = true);
	if (strcmp(option, "-s") == 0) {
		ok = number_of(a, option, CAPTURE_SNAPLEN_MIN, CAPTURE_SNAPLEN_MAX, &number);
		o->snaplen = (uint32_t)number;
		return ok;
	}
	if (strcmp(option, "--seconds") == 0) {
		ok = number_of(a, option, 1, INT32_MAX, &number);
		o->seconds = (uint32_t)number;
		return ok;
	}
	log_line("%.40s: unknown option", option);
	return false;
}

enum capture_options_result
capture_options_parse(struct capture_options *o, int argc, char **argv)
{
	struct arguments a = { argv + 1, argc - 1 };
	const char *option;

	memset(o, 0, sizeof(*o));
	o->snaplen = CAPTURE_SNAPLEN_MAX;
	o->ring_size = CAPTURE_RING_DEFAULT;
	while (a.n > 0) {
		option = next(&a);
		if (strcmp(option, "-h") == 0 || strcmp(option, "--help") == 0)
			return CAPTURE_OPTIONS_HELP;
		if (!parse_option(o, option, &a))
			return CAPTURE_OPTIONS_BAD;
	}
	if (o->file != NULL && o->n > 0)
		return CAPTURE_OPTIONS_OK;
	log_line("%s is missing", o->file == NULL ? "-w" : "-i");
	return CAPTURE_OPTIONS_BAD;
}
