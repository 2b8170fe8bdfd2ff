/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CAPTURE_READER_OPTIONS_H
#define CAPTURE_READER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* The arguments of spp_capture. */

#define CAPTURE_INTERFACES_MAX 512

struct capture_source {
	const char *socket;
	const char *port;
	bool tx;
	const char *name; /* of the interface in the file */
};

struct capture_options {
	const char *file;   /* "-": stdout */
	bool force;	    /* replace an existing file */
	const char *filter; /* NULL: none */
	uint64_t count;	    /* frames; 0: no limit */
	uint32_t snaplen;
	uint32_t ring_size;
	uint32_t seconds; /* 0: no limit */
	struct capture_source source[CAPTURE_INTERFACES_MAX];
	unsigned int n;
};

extern const char capture_usage[];

enum capture_options_result {
	CAPTURE_OPTIONS_OK,
	CAPTURE_OPTIONS_HELP,
	CAPTURE_OPTIONS_BAD, /* the reason was logged */
};

/* The options refer to the texts of argv. */
enum capture_options_result capture_options_parse(
		struct capture_options *options, int argc, char **argv);

#endif
