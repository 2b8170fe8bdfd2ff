/* SPDX-License-Identifier: BSD-3-Clause */
/* Wait in a guest whose state the host saves. When a guest resumes from that state, this is the
 * first program that runs in it: it sets the clock, and seeds the random generator, which all
 * guests of the state share until then.
 *
 *   spp_resume /dev/ttyS1
 *
 * The host writes one line to that serial port: the time in seconds since the epoch, with a
 * fraction, and 64 random bytes in hexadecimal. The answer is a line: resumed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define SEED_BYTES 64
/* Memory that is left to the kernel while the free pages are cleared. */
#define SPARE_BYTES (12UL << 20)
#define LINE_SIZE 256

union pool {
	struct rand_pool_info info;
	char bytes[sizeof(struct rand_pool_info) + SEED_BYTES];
};

/* Clear the free memory: the host leaves pages of zeros out of the saved state. The boot loader and
 * the kernel have left their copies of the kernel and the initrd there. Linux clears a page when a
 * program gets it.
 */
static void
clear_free_memory(void)
{
	struct sysinfo info;
	size_t size;
	void *pages;

	if (sysinfo(&info) < 0 || info.freeram * info.mem_unit <= SPARE_BYTES)
		return;
	size = info.freeram * info.mem_unit - SPARE_BYTES;
	pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
			-1, 0);
	if (pages != MAP_FAILED)
		munmap(pages, size);
}

static int
open_serial(const char *path)
{
	struct termios raw;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &raw) < 0)
		return -1;
	cfmakeraw(&raw);
	raw.c_cflag |= CLOCAL | CREAD;
	return tcsetattr(fd, TCSANOW, &raw) < 0 ? -1 : fd;
}

static bool
read_line(int fd, char *line, size_t size)
{
	size_t n = 0;

	while (n < size - 1) {
		ssize_t got = read(fd, line + n, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got != 1)
			return false;
		if (line[n] == '\n')
			break;
		n++;
	}
	line[n] = '\0';
	return true;
}

static int
set_clock(double seconds)
{
	struct timespec now;

	if (!(seconds > 0 && seconds < 1e11)) {
		errno = EINVAL;
		return -1;
	}
	now.tv_sec = (time_t)seconds;
	now.tv_nsec = (long)((seconds - (double)now.tv_sec) * 1e9);
	return clock_settime(CLOCK_REALTIME, &now);
}

/* Mix in the seed, and derive the key of the generator from it at once. Without the second request
 * the kernel would use the key of the saved state for up to a minute.
 */
static int
set_seed(const char *hex)
{
	union pool pool = { .info = { .entropy_count = SEED_BYTES * 8, .buf_size = SEED_BYTES } };
	char *bytes = pool.bytes + sizeof(struct rand_pool_info);
	unsigned int i, value;
	int fd;

	for (i = 0; i < SEED_BYTES; i++) {
		if (sscanf(hex + (size_t)2 * i, "%2x", &value) != 1) {
			errno = EINVAL;
			return -1;
		}
		bytes[i] = (char)value;
	}
	fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) < 0)
		return -1;
	return ioctl(fd, RNDRESEEDCRNG);
}

int
main(int argc, char **argv)
{
	char line[LINE_SIZE], *seed;
	double seconds;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: spp_resume SERIAL-PORT\n");
		return 2;
	}
	fd = open_serial(argv[1]);
	if (fd < 0) {
		fprintf(stderr, "spp_resume: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	clear_free_memory();
	/* Only now is a line from the host not lost. */
	puts("sppr: ready to be saved");
	fflush(stdout);
	if (!read_line(fd, line, sizeof(line))) {
		fprintf(stderr, "spp_resume: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	seconds = strtod(line, &seed);
	if (strlen(seed) != 1 + 2 * SEED_BYTES || set_seed(seed + 1) < 0) {
		fprintf(stderr, "spp_resume: the seed could not be set: %s\n", strerror(errno));
		return 1;
	}
	if (set_clock(seconds) < 0) {
		fprintf(stderr, "spp_resume: the clock could not be set: %s\n", strerror(errno));
		return 1;
	}
	if (dprintf(fd, "resumed\n") < 0 || tcdrain(fd) < 0) {
		fprintf(stderr, "spp_resume: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	return 0;
}
