/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "capture/reader/session.h"

/* Reads the capture rings of processes of a lab, and writes a pcapng file. It has no DPDK. */

#define MS 1000000ULL
#define SLEEP_MIN_NS (1 * MS)
#define SLEEP_MAX_NS (16 * MS)
#define CHECK_NS (100 * MS)
#define STATISTICS_NS (1000 * MS)
#define DRAIN_NS (1000 * MS)

#define EXIT_FILTER 2

static volatile sig_atomic_t stopped;

static void
on_signal(int signo)
{
	(void)signo;
	stopped = 1;
}

/* The second signal ends the program, also while it waits for a reader of the standard output. */
static void
catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESETHAND };
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Return false after logging the message of libpcap. */
static bool
compile_filter(const struct capture_options *options, struct bpf_program *program)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, (int)options->snaplen);
	bool ok;

	if (pcap == NULL)
		return false;
	ok = pcap_compile(pcap, program, options->filter, 1, PCAP_NETMASK_UNKNOWN) == 0;
	if (!ok)
		log_line("-f: %s", pcap_geterr(pcap));
	pcap_close(pcap);
	return ok;
}

/* Return the fd, or -1 after logging the reason. Only the user may read the file. */
static int
open_file(const struct capture_options *options)
{
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (options->force ? O_TRUNC : O_EXCL);
	int fd;

	if (strcmp(options->file, "-") == 0)
		return STDOUT_FILENO;
	fd = open(options->file, flags, 0600);
	if (fd < 0)
		log_line("%s: %s%s", options->file, strerror(errno),
				errno == EEXIST ? "; --force replaces it" : "");
	return fd;
}

/* What is due every now and then. */
struct schedule {
	uint64_t check_ns;
	uint64_t statistics_ns;
	uint64_t end_ns; /* UINT64_MAX: no limit */
	uint64_t sleep_ns;
};

static bool
is_due(uint64_t *due_ns, uint64_t period_ns, uint64_t now)
{
	if (now < *due_ns)
		return false;
	*due_ns = now + period_ns;
	return true;
}

static void
run_schedule(struct session *s, struct schedule *due)
{
	uint64_t now = monotonic_ns();

	if (is_due(&due->statistics_ns, STATISTICS_NS, now))
		session_put_statistics(s, false);
	if (is_due(&due->check_ns, CHECK_NS, now)) {
		session_check_connections(s);
		pcapng_flush(&s->file);
	}
}

/* Sleep longer each time while there is no frame. */
static void
rest(struct schedule *due, enum session_state state)
{
	struct timespec t;

	if (state == SESSION_BUSY)
		due->sleep_ns = SLEEP_MIN_NS;
	t = (struct timespec){ 0, (long)due->sleep_ns };
	nanosleep(&t, NULL);
	if (state != SESSION_BUSY && due->sleep_ns < SLEEP_MAX_NS)
		due->sleep_ns *= 2;
}

static enum session_state
capture(struct session *s)
{
	uint64_t now = monotonic_ns(), seconds = s->options->seconds;
	struct schedule due = {
		.statistics_ns = now + STATISTICS_NS,
		.end_ns = seconds > 0 ? now + seconds * 1000 * MS : UINT64_MAX,
		.sleep_ns = SLEEP_MIN_NS,
	};
	enum session_state state;

	do {
		state = session_pass(s);
		if (state == SESSION_DONE || state == SESSION_FAILED)
			return state;
		run_schedule(s, &due);
		rest(&due, state);
	} while (!stopped && monotonic_ns() < due.end_ns);
	return state;
}

/* Read what is left in the rings. A process that is alive ends them within a moment. */
static enum session_state
drain(struct session *s)
{
	uint64_t end_ns = monotonic_ns() + DRAIN_NS;
	struct timespec t = { 0, SLEEP_MIN_NS };
	enum session_state state;

	session_disconnect(s);
	do {
		state = session_pass(s);
		if (state == SESSION_IDLE)
			nanosleep(&t, NULL);
	} while (state != SESSION_DONE && state != SESSION_FAILED && monotonic_ns() < end_ns);
	return state;
}

static int
run(struct session *s, const char *place)
{
	enum session_state state = capture(s);

	if (state != SESSION_DONE && state != SESSION_FAILED)
		state = drain(s);
	session_disconnect(s);
	session_put_statistics(s, true);
	pcapng_flush(&s->file);
	session_print_summary(s);
	if (s->file.error == 0 || s->file.error == EPIPE)
		return 0;
	log_line("%s: %s", place, strerror(s->file.error));
	return 1;
}

int
main(int argc, char **argv)
{
	static struct capture_options options;
	static struct session session;
	struct bpf_program filter;
	const char *place;
	int fd;

	log_set_program("spp_capture");
	switch (capture_options_parse(&options, argc, argv)) {
	case CAPTURE_OPTIONS_HELP:
		fputs(capture_usage, stdout);
		return 0;
	case CAPTURE_OPTIONS_BAD:
		fputs(capture_usage, stderr);
		return 1;
	case CAPTURE_OPTIONS_OK:
		break;
	}
	if (options.filter != NULL && !compile_filter(&options, &filter))
		return EXIT_FILTER;
	catch_signals();
	if (!session_open(&session, &options, options.filter != NULL ? &filter : NULL))
		return 1;
	fd = open_file(&options);
	if (fd < 0 || !session_start(&session, fd))
		return 1;
	place = fd == STDOUT_FILENO ? "the standard output" : options.file;
	return run(&session, place);
}
