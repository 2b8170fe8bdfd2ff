/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CAPTURE_READER_PCAPNG_H
#define CAPTURE_READER_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes a pcapng file of one section, in native byte order, with time stamps in nanoseconds.
 * Blocks are collected in a buffer. An error of the file is kept: later blocks are discarded.
 */

#define PCAPNG_NAME_MAX 255
#define PCAPNG_FILTER_MAX 16384
#define PCAPNG_INBOUND 1
#define PCAPNG_OUTBOUND 2

struct pcapng {
	int fd;
	int error; /* errno of a failed write, or 0 */
	size_t used;
	size_t size;
	uint8_t *buffer;
};

struct pcapng_interface {
	const char *name;
	const char *filter; /* NULL: none */
	uint32_t snaplen;
};

struct pcapng_packet {
	uint32_t interface;
	uint32_t flags; /* PCAPNG_INBOUND or PCAPNG_OUTBOUND */
	uint64_t ns;	/* since the epoch */
	uint32_t length;
	uint32_t captured;
};

struct pcapng_statistics {
	uint32_t interface;
	uint64_t ns;
	uint64_t start_ns;
	uint64_t end_ns;
	uint64_t received;
	uint64_t dropped;
	uint64_t accepted; /* by the filter */
};

/* Return false without memory. The file remains the caller's. */
bool pcapng_open(struct pcapng *w, int fd);
void pcapng_close(struct pcapng *w);

void pcapng_put_section(struct pcapng *w, const char *program);
void pcapng_put_interface(struct pcapng *w, const struct pcapng_interface *interface);
/* bytes may change during the call. */
void pcapng_put_packet(struct pcapng *w, const struct pcapng_packet *packet, const uint8_t *bytes);
void pcapng_put_statistics(struct pcapng *w, const struct pcapng_statistics *statistics);

/* Write the buffer to the file. Return false if the file has an error. */
bool pcapng_flush(struct pcapng *w);

#endif
