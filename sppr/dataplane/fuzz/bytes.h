/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUZZ_BYTES_H
#define FUZZ_BYTES_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Count the bytes of all inputs, and print them when the fuzzer ends: its own lines have runs only.
 */

static uint64_t fuzzed_bytes;

static void
print_bytes(void)
{
	fprintf(stderr, "%" PRIu64 " bytes of input\n", fuzzed_bytes);
}

static void
count_bytes(size_t size)
{
	static bool printed_at_exit;

	if (!printed_at_exit)
		printed_at_exit = atexit(print_bytes) == 0;
	fuzzed_bytes += size;
}

#endif
