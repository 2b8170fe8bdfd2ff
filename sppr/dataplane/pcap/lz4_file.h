/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PCAP_LZ4_FILE_H
#define PCAP_LZ4_FILE_H

#include <lz4frame.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

/* A capture file of spp_pcap: the pcap format, compressed as an LZ4 frame. While it is open its
 * name ends with `.tmp`.
 */
struct lz4_file {
	FILE *file; /* NULL: not open */
	LZ4F_compressionContext_t context;
	char path[256]; /* without .tmp */
	uint64_t size;	/* bytes before compression */
	size_t capacity;
	char *compressed;
};

/* Both return false after logging the reason. Then the file is closed, and what was written stays
 * under its temporary name.
 */
bool lz4_file_open(struct lz4_file *f, const char *path);
bool lz4_file_write(struct lz4_file *f, const void *data, size_t size);

/* Write the header of a frame of which `captured` bytes follow. */
bool lz4_file_frame(struct lz4_file *f, const struct timespec *time, uint32_t captured,
		uint32_t length);

/* Complete the file, and give it its name. An existing file is never replaced. */
bool lz4_file_close(struct lz4_file *f);

#endif
