/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PCAP_WRITER_H
#define PCAP_WRITER_H

#include <rte_common.h>
#include <rte_ring.h>

#include "app.h"
#include "forward/ring_notify.h"
#include "pcap/lz4_file.h"

/* What the writers of spp_pcap share. */
struct recording {
	struct rte_ring *ring;	   /* frames to write; one producer, many consumers */
	bool ending;		   /* the writers end when the ring is empty */
	char date[16];		   /* in the names of the files, as 20200102030405 */
	char port[PORT_ID_STRLEN]; /* likewise, as phy0 */
	const struct config *cfg;
};

/* A lcore that takes frames out of the ring, and writes files of its own. */
struct writer {
	const struct recording *to;
	unsigned int lcore;
	unsigned int number; /* from 1, in the names of files */
	unsigned int sequence;
	uint64_t token;	 /* of ring_notify, 0: awake */
	uint64_t rounds; /* looks at the ring */
	struct ring_notify notify;
	struct lz4_file file;
	uint64_t written, dropped; /* frames */
	bool writing;		   /* has a file to write to */
} __rte_cache_aligned;

/* Set the name of the port in the names of files: `phy0` for phy:0. */
void writer_name_port(struct recording *to, struct port_id id);

/* Open the next file. Return false after logging the reason. */
bool writer_open_next(struct writer *w);

/* The function of the lcore. arg: the writer. */
int writer_main(void *arg);

#endif
