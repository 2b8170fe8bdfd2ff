/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/options.h"

#define MAX_WORDS 32

/* Return the value of an option in one word or two, or NULL if the word at *i is another option. */
static const char *
value_of(const char *name, int argc, char **argv, int *i)
{
	size_t len = strlen(name);
	const char *word = argv[*i];

	if (strcmp(word, name) == 0)
		return *i + 1 < argc ? argv[++*i] : "";
	if (strncmp(word, name, len) != 0)
		return NULL;
	if (name[1] != '-')
		return word + len;
	return word[len] == '=' ? word + len + 1 : NULL;
}

static int
parse_mask(const char *text, uint64_t *mask)
{
	char *end;

	errno = 0;
	*mask = strtoull(text, &end, 16);
	return *text == '\0' || *text == '-' || *end != '\0' || errno != 0 || *mask == 0 ? -1 : 0;
}

/* Take out the options of spp_vm. The rest are those of an nfv. */
enum config_result
options_parse(struct options *options, struct config *cfg, int argc, char **argv, char *error,
		unsigned int size)
{
	char *rest[MAX_WORDS + 1] = { argv[0] };
	const char *value;
	int i, n = 1, first = 1;
	enum config_result result;
	bool hello = false;

	options->port_mask = UINT64_MAX;
	options->mgmt_mac = NULL;
	for (i = 1; i < argc; i++)
		if (strcmp(argv[i], "--") == 0) {
			first = i + 1;
			break;
		}
	for (i = first; i < argc; i++) {
		if ((value = value_of("-p", argc, argv, &i)) != NULL) {
			if (parse_mask(value, &options->port_mask) < 0) {
				snprintf(error, size,
						"-p takes a mask of NICs in hex that is not 0");
				return CONFIG_BAD;
			}
		} else if ((value = value_of("--mgmt-mac", argc, argv, &i)) != NULL) {
			options->mgmt_mac = value;
		} else if (strcmp(argv[i], "--hello") == 0) {
			hello = true;
		} else if (n < MAX_WORDS) {
			rest[n++] = argv[i];
		}
	}
	result = config_parse(cfg, PROCESS_NFV, n, rest, error, size);
	cfg->hello = hello;
	return result;
}
