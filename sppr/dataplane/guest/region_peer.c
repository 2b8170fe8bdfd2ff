/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/region.h"

/* For tests and the bench: the guest's end of a region without a guest. */

#define BURST 32
#define BENCH_NS 400000000ULL

static volatile sig_atomic_t stopped;

static void
on_signal(int signo)
{
	(void)signo;
	stopped = 1;
}

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static void *
map(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *base = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd < 0 || base == MAP_FAILED) {
		perror(path);
		exit(1);
	}
	return base;
}

/* Send all frames back in order. Frames wait while there is no room. */
static void
echo(void *base)
{
	static const struct timespec pause = { 0, 100000 };
	struct region region;
	uint32_t i, n, len;

	region_attach(&region, base, REGION_GUEST);
	while (!stopped) {
		n = region_in_count(&region.in, region_out_room(&region.out, BURST));
		for (i = 0; i < n; i++) {
			uint8_t frame[REGION_FRAME_MAX];

			len = region_in_copy(&region.in, i, frame, sizeof(frame));
			memcpy(region_out_frame(&region.out, i, len), frame, len);
		}
		if (n == 0) {
			nanosleep(&pause, NULL);
			continue;
		}
		region_in_release(&region.in, n);
		region_out_publish(&region.out, n);
	}
}

/* Write random bytes everywhere, most often to the indexes, as a hostile guest could. */
static void
scribble(uint8_t *base, double seconds)
{
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9), x = now_ns() | 1;
	uint32_t *word = (uint32_t *)(void *)base;
	unsigned int i;

	while (!stopped && now_ns() < end) {
		for (i = 0; i < 4096; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			word[x % (REGION_SIZE / 4)] = (uint32_t)(x >> 32);
			if (i % 16 == 0) /* one of the first three pages */
				word[(x >> 8) % (3 * REGION_INDEXES / 4)] = (uint32_t)(x >> 32);
			if (i % 32 == 0)
				word[REGION_INDEXES / 4 * (1 + (x >> 40) % 2)] += x % 600;
		}
	}
}

static void
pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void
produce(void *base, uint32_t len)
{
	static uint8_t frame[REGION_FRAME_MAX];
	struct region region;
	uint32_t i, n;

	pin(0);
	region_attach(&region, base, REGION_HOST);
	for (;;) {
		n = region_out_room(&region.out, BURST);
		for (i = 0; i < n; i++)
			memcpy(region_out_frame(&region.out, i, len), frame, len);
		if (n > 0)
			region_out_publish(&region.out, n);
		else
			sched_yield(); /* the other side may need this core */
	}
}

static double
consume(void *base)
{
	static uint8_t frame[BURST][REGION_FRAME_MAX];
	uint64_t start = now_ns(), frames = 0;
	struct region region;
	uint32_t i, n;

	region_attach(&region, base, REGION_GUEST);
	while (now_ns() - start < BENCH_NS) {
		n = region_in_count(&region.in, BURST);
		for (i = 0; i < n; i++)
			region_in_copy(&region.in, i, frame[i], REGION_FRAME_MAX);
		if (n > 0)
			region_in_release(&region.in, n);
		else
			sched_yield();
		frames += n;
	}
	return (double)frames / ((double)(now_ns() - start) / 1e9);
}

/* Copy the same bytes in and out of the same slots in one thread: the cost of the copies alone. */
static double
copy_only(uint8_t *base, uint32_t len)
{
	static uint8_t frame[BURST][REGION_FRAME_MAX];
	uint64_t start = now_ns(), frames = 0;
	uint32_t i;

	while (now_ns() - start < BENCH_NS) {
		for (i = 0; i < BURST; i++, frames++) {
			uint8_t *slot = base + REGION_SLOTS_AT +
					(frames % REGION_SLOTS) * REGION_SLOT_SIZE + 4;

			memcpy(slot, frame[i], len);
			__asm__ volatile("" ::: "memory");
			memcpy(frame[i], slot, len);
		}
	}
	return (double)frames / ((double)(now_ns() - start) / 1e9);
}

static void
bench(uint32_t len)
{
	uint8_t *base = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	double pps;
	pid_t pid;

	if (base == MAP_FAILED || len < REGION_FRAME_MIN || len > REGION_FRAME_MAX)
		exit(1);
	pid = fork();
	if (pid == 0)
		produce(base, len);
	pin(1);
	pps = consume(base);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	printf("%.0f %.0f\n", pps, copy_only(base, len));
}

int
main(int argc, char **argv)
{
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	if (argc == 3 && strcmp(argv[1], "echo") == 0)
		echo(map(argv[2]));
	else if (argc == 4 && strcmp(argv[1], "scribble") == 0)
		scribble(map(argv[2]), atof(argv[3]));
	else if (argc == 3 && strcmp(argv[1], "bench") == 0)
		bench((uint32_t)atoi(argv[2]));
	else
		return fprintf(stderr,
				"region_peer echo FILE | scribble FILE SECONDS | bench LEN\n");
	return 0;
}
