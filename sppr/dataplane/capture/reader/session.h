/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CAPTURE_READER_SESSION_H
#define CAPTURE_READER_SESSION_H

#include <pcap/pcap.h>

#include "capture/reader/merge.h"
#include "capture/reader/options.h"
#include "capture/reader/pcapng.h"
#include "capture/reader/tsc_clock.h"

/* One run of spp_capture: its interfaces, and the file. */

struct session_interface {
	const struct capture_source *source;
	int sock; /* of the connection; several interfaces may share one */
	uint64_t start_ns;
	uint64_t frames; /* the counters of the ring when it was last looked at */
	uint64_t dropped;
	uint64_t written;
	uint64_t filtered;
	uint64_t reported; /* frames and dropped at the last statistics block */
	bool mapped;
};

struct session {
	const struct capture_options *options;
	struct bpf_program *filter; /* NULL: none */
	struct pcapng file;
	struct tsc_clock clock;
	struct merge merge;
	struct session_interface *interface;
	uint64_t written;
	uint64_t last_ns; /* time of the last frame */
};

/* Connect to all sources. Return false if there is none that can be captured. Logs each failure. */
bool session_open(struct session *s, const struct capture_options *options,
		struct bpf_program *filter);

/* Write the first blocks. */
bool session_start(struct session *s, int fd);

enum session_state {
	SESSION_IDLE, /* no frame now */
	SESSION_BUSY,
	SESSION_DONE,	/* the count is reached, or no interface is left */
	SESSION_FAILED, /* file.error has the reason */
};

/* Write the frames that are ready, up to a limit. */
enum session_state session_pass(struct session *s);

/* Find processes that ended. */
void session_check_connections(struct session *s);

/* Write a statistics block for each interface that changed, or for all. */
void session_put_statistics(struct session *s, bool all);

/* Disconnect, so that the captures end and their counters are final. */
void session_disconnect(struct session *s);

/* Print the counters of each interface. */
void session_print_summary(const struct session *s);

#endif
