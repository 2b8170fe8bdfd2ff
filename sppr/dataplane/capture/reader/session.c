/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "capture/reader/client.h"
#include "capture/reader/session.h"

#define HOLD_MAX_MS 2000
#define HOLD_MS 100
#define FRAMES_OF_PASS 8192
#define FRAMES_OF_RELEASE 64
#define WHY_SIZE 256

/* Return the connection of an earlier interface to the same socket, or a new one. */
static int
connection_to(const struct session *s, const char *path)
{
	unsigned int i;

	for (i = 0; i < s->merge.n; i++)
		if (strcmp(s->interface[i].source->socket, path) == 0)
			return s->interface[i].sock;
	return capture_client_connect(path);
}

static bool
is_shared(const struct session *s, int sock)
{
	unsigned int i;

	for (i = 0; i < s->merge.n; i++)
		if (s->interface[i].sock == sock)
			return true;
	return false;
}

static const char *
map_ring(struct session *s, struct capture_consumer *ring, const struct capture_source *source,
		int sock, char why[WHY_SIZE])
{
	const struct capture_options *o = s->options;
	int fd = capture_client_request(
			sock, source->port, source->tx, o->snaplen, o->ring_size, why, WHY_SIZE);
	const char *error;

	if (fd < 0)
		return why;
	error = capture_consumer_open(ring, fd, o->snaplen);
	close(fd);
	return error;
}

/* Wait longer for late records, if a ring has such. Another process says so. */
static void
hold_back(struct session *s, uint32_t ms)
{
	uint64_t ticks = tsc_clock_ticks(&s->clock, ms < HOLD_MAX_MS ? ms : HOLD_MAX_MS);

	if (ticks > s->merge.hold)
		s->merge.hold = ticks;
}

static void
open_source(struct session *s, const struct capture_source *source)
{
	struct merge_ring *r = &s->merge.ring[s->merge.n];
	int sock = connection_to(s, source->socket);
	char why[WHY_SIZE];
	const char *error;

	if (sock < 0) {
		log_line("%s: cannot capture: %s: %s", source->name, source->socket,
				strerror(errno));
		return;
	}
	error = map_ring(s, &r->ring, source, sock, why);
	if (error != NULL) {
		log_line("%s: cannot capture: %s %s: %s", source->name, source->port,
				source->tx ? "tx" : "rx", error);
		if (!is_shared(s, sock))
			close(sock);
		return;
	}
	r->open = true;
	hold_back(s, r->ring.hold_ms);
	s->interface[s->merge.n++] = (struct session_interface){
		.source = source,
		.sock = sock,
		.start_ns = tsc_clock_to_ns(&s->clock, tsc_now()),
		.mapped = true,
	};
}

bool
session_open(struct session *s, const struct capture_options *options, struct bpf_program *filter)
{
	unsigned int i;

	memset(s, 0, sizeof(*s));
	s->options = options;
	s->filter = filter;
	s->merge.ring = calloc(options->n, sizeof(s->merge.ring[0]));
	s->interface = calloc(options->n, sizeof(s->interface[0]));
	if (s->merge.ring == NULL || s->interface == NULL) {
		log_line("no memory");
		return false;
	}
	tsc_clock_start(&s->clock);
	s->merge.clock = &s->clock;
	s->merge.hold = tsc_clock_ticks(&s->clock, HOLD_MS);
	for (i = 0; i < options->n; i++)
		open_source(s, &options->source[i]);
	return s->merge.n > 0;
}

bool
session_start(struct session *s, int fd)
{
	unsigned int i;

	if (!pcapng_open(&s->file, fd)) {
		log_line("no memory");
		return false;
	}
	pcapng_put_section(&s->file, "spp_capture");
	for (i = 0; i < s->merge.n; i++)
		pcapng_put_interface(&s->file, &(struct pcapng_interface){
							       .name = s->interface[i].source->name,
							       .filter = s->options->filter,
							       .snaplen = s->options->snaplen,
					       });
	return true;
}

static bool
matches(const struct session *s, const struct merge_record *next)
{
	struct pcap_pkthdr header = { .caplen = next->record.captured, .len = next->record.length };

	return s->filter == NULL || pcap_offline_filter(s->filter, &header, next->bytes) != 0;
}

static void
write_frame(struct session *s, const struct merge_record *next)
{
	struct session_interface *i = &s->interface[next->ring];
	uint64_t ns = tsc_clock_to_ns(&s->clock, next->record.tsc);

	if (!matches(s, next)) {
		i->filtered++;
		return;
	}
	/* The clock is measured again and again, so a later frame may seem earlier by some ns. */
	if (ns < s->last_ns)
		ns = s->last_ns;
	s->last_ns = ns;
	pcapng_put_packet(&s->file,
			&(struct pcapng_packet){
					.interface = next->ring,
					.flags = i->source->tx ? PCAPNG_OUTBOUND : PCAPNG_INBOUND,
					.ns = ns,
					.length = next->record.length,
					.captured = next->record.captured,
			},
			next->bytes);
	i->written++;
	s->written++;
}

static void
read_counters(struct session *s)
{
	unsigned int i;

	for (i = 0; i < s->merge.n; i++) {
		if (!s->interface[i].mapped)
			continue;
		s->interface[i].frames = capture_consumer_frames(&s->merge.ring[i].ring);
		s->interface[i].dropped = capture_consumer_dropped(&s->merge.ring[i].ring);
	}
}

/* Unmap the rings that are finished. Return whether any is left. */
static bool
close_finished(struct session *s)
{
	struct merge_ring *r;
	unsigned int i;
	bool left = false;

	read_counters(s);
	for (i = 0; i < s->merge.n; i++) {
		r = &s->merge.ring[i];
		left |= r->open;
		if (r->open || !s->interface[i].mapped)
			continue;
		if (r->corrupt)
			log_line("%s: the ring is corrupt; not read any more",
					s->interface[i].source->name);
		else if (s->interface[i].sock >= 0)
			log_line("%s: the %s; no more frames", s->interface[i].source->name,
					r->closed_by_peer ? "process closed the connection"
							  : "port was deleted");
		capture_consumer_close(&r->ring);
		s->interface[i].mapped = false;
	}
	return left;
}

static bool
has_all(const struct session *s)
{
	return s->options->count != 0 && s->written >= s->options->count;
}

enum session_state
session_pass(struct session *s)
{
	struct merge_record next;
	unsigned int n = 0;

	tsc_clock_refresh(&s->clock);
	merge_start(&s->merge, tsc_now());
	while (n < FRAMES_OF_PASS && !has_all(s) && merge_next(&s->merge, &next)) {
		write_frame(s, &next);
		if (++n % FRAMES_OF_RELEASE == 0)
			merge_release(&s->merge);
	}
	merge_release(&s->merge);
	if (s->file.error != 0)
		return SESSION_FAILED;
	if (!close_finished(s) || has_all(s))
		return SESSION_DONE;
	return n > 0 ? SESSION_BUSY : SESSION_IDLE;
}

void
session_check_connections(struct session *s)
{
	unsigned int i;

	for (i = 0; i < s->merge.n; i++)
		if (s->merge.ring[i].open && !s->merge.ring[i].closed_by_peer &&
				capture_client_is_closed(s->interface[i].sock))
			s->merge.ring[i].closed_by_peer = true;
}

void
session_put_statistics(struct session *s, bool all)
{
	uint64_t ns = tsc_clock_to_ns(&s->clock, tsc_now());
	struct session_interface *i;
	unsigned int k;

	read_counters(s);
	for (k = 0; k < s->merge.n; k++) {
		i = &s->interface[k];
		if (!all && i->reported == i->frames + i->written)
			continue;
		i->reported = i->frames + i->written;
		pcapng_put_statistics(&s->file, &(struct pcapng_statistics){
								.interface = k,
								.ns = ns,
								.start_ns = i->start_ns,
								.end_ns = ns,
								.received = i->frames,
								.dropped = i->dropped,
								.accepted = i->written,
						});
	}
}

void
session_disconnect(struct session *s)
{
	unsigned int i;

	for (i = 0; i < s->merge.n; i++) {
		if (s->interface[i].sock >= 0)
			shutdown(s->interface[i].sock, SHUT_RDWR);
		s->interface[i].sock = -1; /* the process closes its end, which is no news */
	}
}

void
session_print_summary(const struct session *s)
{
	const struct session_interface *i;
	unsigned int k;

	for (k = 0; k < s->merge.n; k++) {
		i = &s->interface[k];
		fprintf(stderr,
				"%s: %" PRIu64 " captured, %" PRIu64 " filtered, %" PRIu64
				" dropped\n",
				i->source->name, i->written, i->filtered, i->dropped);
	}
}
