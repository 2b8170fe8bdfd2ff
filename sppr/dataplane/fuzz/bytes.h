/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FUZZ_BYTES_H
#define FUZZ_BYTES_H

#include <inttypes.h>
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
	if (fuzzed_bytes == 0)
		atexit(print_bytes);
	fuzzed_bytes += size;
}

#endif
