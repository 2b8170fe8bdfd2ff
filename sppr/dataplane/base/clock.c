/* SPDX-License-Identifier: BSD-3-Clause */
#include <time.h>

#include "base/clock.h"

uint64_t
monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}
