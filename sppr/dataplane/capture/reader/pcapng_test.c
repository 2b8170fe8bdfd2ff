/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "capture/reader/pcapng.h"
#include "capture/ring.h"

static uint32_t
word(const struct pcapng *w, size_t at)
{
	uint32_t value;

	memcpy(&value, w->buffer + at, sizeof(value));
	return value;
}

/* Check the lengths of a block. Return its end. */
static size_t
check_block(const struct pcapng *w, size_t at, uint32_t type)
{
	uint32_t length = word(w, at + 4);

	CHECK(word(w, at) == type);
	CHECK(length % 4 == 0 && length >= 12 && at + length <= w->used);
	CHECK(word(w, at + length - 4) == length);
	return at + length;
}

static void
test_section(void)
{
	struct pcapng w;

	CHECK(pcapng_open(&w, -1));
	pcapng_put_section(&w, "program");
	CHECK(check_block(&w, 0, 0x0a0d0d0a) == w.used);
	CHECK(word(&w, 8) == 0x1a2b3c4d);
	CHECK(word(&w, 12) == 1);
	CHECK(memmem(w.buffer, w.used, "\4\0\7\0program\0\0\0\0", 15) != NULL);
	pcapng_close(&w);
}

static void
test_interface(void)
{
	static const uint8_t options[] = "\2\0\5\0name1\0\0\0"
					 "\11\0\1\0\11\0\0\0"
					 "\13\0\4\0\0tcp"
					 "\0\0\0"; /* and the NUL */
	struct pcapng w;

	CHECK(pcapng_open(&w, -1));
	pcapng_put_interface(&w, &(struct pcapng_interface){ "name1", "tcp", 64 });
	CHECK(check_block(&w, 0, 1) == w.used);
	CHECK(word(&w, 8) == 1 && word(&w, 12) == 64);
	CHECK(w.used == 16 + sizeof(options) + 4);
	CHECK(memcmp(w.buffer + 16, options, sizeof(options)) == 0);
	pcapng_close(&w);
}

static void
test_packet(void)
{
	const struct pcapng_packet packet = { 3, PCAPNG_OUTBOUND, 0x1122334455667788, 100, 5 };
	struct pcapng w;

	CHECK(pcapng_open(&w, -1));
	pcapng_put_packet(&w, &packet, (const uint8_t *)"abcde");
	CHECK(check_block(&w, 0, 6) == w.used && w.used == 28 + 8 + 12 + 4);
	CHECK(word(&w, 8) == 3 && word(&w, 12) == 0x11223344 && word(&w, 16) == 0x55667788);
	CHECK(word(&w, 20) == 5 && word(&w, 24) == 100);
	CHECK(memcmp(w.buffer + 28, "abcde\0\0\0\2\0\4\0\2\0\0\0\0\0\0\0", 20) == 0);
	pcapng_close(&w);
}

static void
test_statistics(void)
{
	const struct pcapng_statistics s = { 1, 2ULL << 32 | 3, 4, 5ULL << 32, 6, 7, 8 };
	struct pcapng w;

	CHECK(pcapng_open(&w, -1));
	pcapng_put_statistics(&w, &s);
	CHECK(check_block(&w, 0, 5) == w.used && w.used == 20 + 5 * 12 + 4 + 4);
	CHECK(word(&w, 8) == 1 && word(&w, 12) == 2 && word(&w, 16) == 3);
	CHECK(word(&w, 24) == 0 && word(&w, 28) == 4); /* the start: high word first */
	CHECK(word(&w, 36) == 5 && word(&w, 40) == 0);
	CHECK(word(&w, 48) == 6 && word(&w, 60) == 7 && word(&w, 72) == 8);
	pcapng_close(&w);
}

/* More blocks than the buffer has room for, and lengths that are too large. */
static void
test_limits(void)
{
	static uint8_t bytes[CAPTURE_SNAPLEN_MAX];
	static char text[PCAPNG_FILTER_MAX + 100];
	struct pcapng_packet packet = { .length = UINT32_MAX, .captured = UINT32_MAX };
	int fd = memfd_create("file", MFD_CLOEXEC), i;
	struct pcapng w;

	memset(text, 'x', sizeof(text) - 1);
	CHECK(pcapng_open(&w, fd));
	pcapng_put_section(&w, text);
	pcapng_put_interface(&w, &(struct pcapng_interface){ text, text, 64 });
	CHECK(check_block(&w, check_block(&w, 0, 0x0a0d0d0a), 1) == w.used);
	for (i = 0; i < 20; i++)
		pcapng_put_packet(&w, &packet, bytes);
	CHECK(pcapng_flush(&w));
	CHECK(lseek(fd, 0, SEEK_END) > 20 * CAPTURE_SNAPLEN_MAX);
	close(fd);
	pcapng_put_section(&w, "x");
	CHECK(!pcapng_flush(&w) && w.error == EBADF);
	pcapng_close(&w);
}

int
main(void)
{
	test_section();
	test_interface();
	test_packet();
	test_statistics();
	test_limits();
	return 0;
}
