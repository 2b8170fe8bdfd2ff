/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "capture/reader/pcapng.h"
#include "capture/ring.h"

#define BUFFER_SIZE (1U << 20)
/* The largest block: a packet, or an interface with its name and filter. */
#define BLOCK_MAX (CAPTURE_SNAPLEN_MAX + 1024U)

#define BLOCK_SECTION 0x0a0d0d0aU
#define BLOCK_INTERFACE 1U
#define BLOCK_STATISTICS 5U
#define BLOCK_PACKET 6U
#define BYTE_ORDER_MAGIC 0x1a2b3c4dU
#define LINKTYPE_ETHERNET 1
#define NANOSECONDS 9

enum {
	OPTION_END = 0,
	SHB_HARDWARE = 2,
	SHB_OS = 3,
	SHB_USERAPPL = 4,
	IF_NAME = 2,
	IF_TSRESOL = 9,
	IF_FILTER = 11,
	EPB_FLAGS = 2,
	ISB_STARTTIME = 2,
	ISB_ENDTIME = 3,
	ISB_IFRECV = 4,
	ISB_IFDROP = 5,
	ISB_FILTERACCEPT = 6,
};

bool
pcapng_open(struct pcapng *w, int fd)
{
	*w = (struct pcapng){ .fd = fd, .size = BUFFER_SIZE, .buffer = malloc(BUFFER_SIZE) };
	return w->buffer != NULL;
}

void
pcapng_close(struct pcapng *w)
{
	free(w->buffer);
	w->buffer = NULL;
}

static bool
write_some(struct pcapng *w, size_t *done)
{
	ssize_t n = write(w->fd, w->buffer + *done, w->used - *done);
	struct pollfd writable = { .fd = w->fd, .events = POLLOUT };

	if (n >= 0) {
		*done += (size_t)n;
		return true;
	}
	if (errno == EAGAIN) {
		poll(&writable, 1, 1000);
		return true;
	}
	if (errno == EINTR)
		return true;
	w->error = errno;
	return false;
}

/* A pipe without a reader is an error at once, not only when there is something to write. */
static void
check_reader(struct pcapng *w)
{
	struct pollfd pipe = { .fd = w->fd };

	if (w->error == 0 && poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLERR) != 0)
		w->error = EPIPE;
}

bool
pcapng_flush(struct pcapng *w)
{
	size_t done = 0;

	check_reader(w);
	while (w->error == 0 && done < w->used && write_some(w, &done))
		;
	w->used = 0;
	return w->error == 0;
}

static void
put(struct pcapng *w, const void *bytes, size_t size)
{
	memcpy(w->buffer + w->used, bytes, size);
	w->used += size;
}

static void
put_u16(struct pcapng *w, uint16_t value)
{
	put(w, &value, sizeof(value));
}

static void
put_u32(struct pcapng *w, uint32_t value)
{
	put(w, &value, sizeof(value));
}

/* A time stamp is two words, the high one first, in any byte order. */
static void
put_time(struct pcapng *w, uint64_t ns)
{
	put_u32(w, (uint32_t)(ns >> 32));
	put_u32(w, (uint32_t)ns);
}

static void
pad(struct pcapng *w, size_t size)
{
	static const uint8_t zeros[4];

	put(w, zeros, (4 - size % 4) % 4);
}

static void
put_option(struct pcapng *w, uint16_t code, const void *value, size_t size)
{
	put_u16(w, code);
	put_u16(w, (uint16_t)size);
	put(w, value, size);
	pad(w, size);
}

static void
put_text_option(struct pcapng *w, uint16_t code, const char *text, size_t max)
{
	put_option(w, code, text, strnlen(text, max));
}

static void
put_time_option(struct pcapng *w, uint16_t code, uint64_t ns)
{
	uint32_t words[2] = { (uint32_t)(ns >> 32), (uint32_t)ns };

	put_option(w, code, words, sizeof(words));
}

/* Start a block. Return its place in the buffer. */
static size_t
begin_block(struct pcapng *w, uint32_t type)
{
	size_t start;

	if (w->size - w->used < BLOCK_MAX)
		pcapng_flush(w);
	start = w->used;
	put_u32(w, type);
	put_u32(w, 0); /* the length is known at the end */
	return start;
}

static void
end_block(struct pcapng *w, size_t start)
{
	uint32_t length;

	put_option(w, OPTION_END, "", 0);
	length = (uint32_t)(w->used - start + sizeof(length));
	put_u32(w, length);
	memcpy(w->buffer + start + sizeof(length), &length, sizeof(length));
}

/* Return the model of the CPU, or "". */
static void
read_hardware(char *model, size_t size)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[256];

	model[0] = '\0';
	while (f != NULL && model[0] == '\0' && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "model name", 10) == 0 && strchr(line, ':') != NULL)
			snprintf(model, size, "%.*s", (int)strcspn(strchr(line, ':') + 2, "\n"),
					strchr(line, ':') + 2);
	if (f != NULL)
		fclose(f);
}

void
pcapng_put_section(struct pcapng *w, const char *program)
{
	size_t start = begin_block(w, BLOCK_SECTION);
	struct utsname system;
	char text[256];

	put_u32(w, BYTE_ORDER_MAGIC);
	put_u16(w, 1); /* version 1.0 */
	put_u16(w, 0);
	put_u32(w, UINT32_MAX); /* the length of the section is unknown */
	put_u32(w, UINT32_MAX);
	read_hardware(text, sizeof(text));
	if (text[0] != '\0')
		put_text_option(w, SHB_HARDWARE, text, sizeof(text));
	if (uname(&system) == 0) {
		snprintf(text, sizeof(text), "%.60s %.120s", system.sysname, system.release);
		put_text_option(w, SHB_OS, text, sizeof(text));
	}
	put_text_option(w, SHB_USERAPPL, program, PCAPNG_NAME_MAX);
	end_block(w, start);
}

void
pcapng_put_interface(struct pcapng *w, const struct pcapng_interface *interface)
{
	uint8_t filter[PCAPNG_FILTER_MAX + 1] = { 0 }; /* the first byte: a text */
	size_t start = begin_block(w, BLOCK_INTERFACE), size;
	uint8_t resolution = NANOSECONDS;

	put_u16(w, LINKTYPE_ETHERNET);
	put_u16(w, 0);
	put_u32(w, interface->snaplen);
	put_text_option(w, IF_NAME, interface->name, PCAPNG_NAME_MAX);
	put_option(w, IF_TSRESOL, &resolution, sizeof(resolution));
	if (interface->filter != NULL) {
		size = strnlen(interface->filter, PCAPNG_FILTER_MAX);
		memcpy(filter + 1, interface->filter, size);
		put_option(w, IF_FILTER, filter, size + 1);
	}
	end_block(w, start);
}

void
pcapng_put_packet(struct pcapng *w, const struct pcapng_packet *packet, const uint8_t *bytes)
{
	size_t start = begin_block(w, BLOCK_PACKET);
	uint32_t captured = packet->captured < CAPTURE_SNAPLEN_MAX ? packet->captured
								   : CAPTURE_SNAPLEN_MAX;

	put_u32(w, packet->interface);
	put_time(w, packet->ns);
	put_u32(w, captured);
	put_u32(w, packet->length);
	put(w, bytes, captured);
	pad(w, captured);
	put_option(w, EPB_FLAGS, &packet->flags, sizeof(packet->flags));
	end_block(w, start);
}

void
pcapng_put_statistics(struct pcapng *w, const struct pcapng_statistics *s)
{
	size_t start = begin_block(w, BLOCK_STATISTICS);

	put_u32(w, s->interface);
	put_time(w, s->ns);
	put_time_option(w, ISB_STARTTIME, s->start_ns);
	put_time_option(w, ISB_ENDTIME, s->end_ns);
	put_option(w, ISB_IFRECV, &s->received, sizeof(s->received));
	put_option(w, ISB_IFDROP, &s->dropped, sizeof(s->dropped));
	put_option(w, ISB_FILTERACCEPT, &s->accepted, sizeof(s->accepted));
	end_block(w, start);
}
