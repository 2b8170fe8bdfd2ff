/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/tokens.h"
#include "fuzz/bytes.h"
#include "launch/options.h"

/* Fuzz the options of `launch`. An accepted command line must name no file, load no library, and
 * keep the file prefix of this primary.
 */
#define MAX_LINE 4096
#define MAX_WORDS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_word(const char *word)
{
	if (strchr(word, '/') != NULL || strncmp(word, "-d", 2) == 0 ||
			strncmp(word, "--d", 3) == 0 || strncmp(word, "--hu", 4) == 0)
		abort();
	if (strncmp(word, "--file-prefix=", 14) == 0 && strcmp(word + 14, "lab") != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct launch_context context = { .program = "spp_pcap", .file_prefix = "lab" };
	char line[MAX_LINE + 1], error[256], *words[MAX_WORDS];
	struct launch_options found;
	unsigned int n, i;

	count_bytes(size);
	if (size > MAX_LINE)
		return 0;
	memcpy(line, data, size);
	line[size] = '\0';
	inet_pton(AF_INET, "127.0.0.1", &context.controller);
	n = tokens_split(line, words, MAX_WORDS);
	if (n > MAX_WORDS ||
			!launch_options_check(&context, words, n, &found, error, sizeof(error)))
		return 0;
	if (found.separator >= n || strcmp(words[found.separator], "--") != 0)
		abort();
	for (i = 0; i < n; i++)
		check_word(words[i]);
	return 0;
}
