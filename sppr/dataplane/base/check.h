/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For unit tests: print the place of a failure and exit. */
#define CHECK(cond)                                                                          \
	do {                                                                                 \
		if (!(cond)) {                                                               \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #cond); \
			exit(1);                                                             \
		}                                                                            \
	} while (0)

#define CHECK_STR(got, want)                                                                      \
	do {                                                                                      \
		if (strcmp(got, want) != 0) {                                                     \
			fprintf(stderr, "%s:%d: got  %s\n\twanted %s\n", __FILE__, __LINE__, got, \
					want);                                                    \
			exit(1);                                                                  \
		}                                                                                 \
	} while (0)

#endif
