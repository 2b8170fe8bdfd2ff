/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>

#include "control/json.h"
#include "probe/command/reply.h"
#include "probe/port.h"

#define AROUND 1024 /* room for the rest of the reply, and the reserve of the JSON writer */

static void
start_reply(struct json *w, const char *name, char *reply, size_t size)
{
	json_start(w, reply, size);
	json_array(w, "results");
	json_object(w, NULL);
	json_string(w, "result", "success");
	json_end(w);
	json_end(w);
	json_object(w, "probe");
	json_string(w, "port", name);
}

static void
put_source(struct json *w, const struct probe_source_counters *c)
{
	json_object(w, "source");
	json_bool(w, "running", __atomic_load_n(&c->running, __ATOMIC_ACQUIRE));
	json_uint(w, "sent", c->sent);
	json_uint(w, "first_ns", probe_tsc_to_ns(c->first_tsc));
	json_uint(w, "last_ns", probe_tsc_to_ns(c->last_tsc));
	json_uint(w, "behind", c->behind);
	json_uint(w, "no_mbuf", c->no_mbuf);
	json_end(w);
}

static void
put_latency(struct json *w, const struct probe_histogram *h)
{
	json_object(w, "latency_ns");
	json_uint(w, "min", h->samples > 0 ? h->min : 0);
	json_uint(w, "p50", probe_histogram_percentile(h, 500));
	json_uint(w, "p90", probe_histogram_percentile(h, 900));
	json_uint(w, "p99", probe_histogram_percentile(h, 990));
	json_uint(w, "p99.9", probe_histogram_percentile(h, 999));
	json_uint(w, "max", h->max);
	json_uint(w, "mean", h->samples > 0 ? h->sum / h->samples : 0);
	json_uint(w, "samples", h->samples);
	json_end(w);
}

static void
put_sink(struct json *w, const struct probe_sink_counters *c)
{
	json_object(w, "sink");
	json_uint(w, "received", c->received);
	json_uint(w, "reordered", c->reordered);
	json_uint(w, "late", c->late);
	json_uint(w, "duplicate", c->duplicate);
	json_uint(w, "corrupt", c->corrupt);
	json_uint(w, "foreign", c->foreign);
	json_uint(w, "misdelivered", c->misdelivered);
	json_int(w, "highest", c->highest);
	put_latency(w, &c->latency);
	json_end(w);
}

void
probe_reply_result(const struct probe_slot *slot, const char *name, char *reply, size_t size)
{
	struct json w;

	start_reply(&w, name, reply, size);
	put_source(&w, &slot->source);
	put_sink(&w, &slot->sink);
	json_end(&w);
	json_finish(&w);
}

/* The samples in `merged` buckets from i on. */
static uint64_t
sum_of(const uint64_t *bucket, unsigned int i, unsigned int merged)
{
	uint64_t sum = 0;
	unsigned int end = RTE_MIN(i + merged, (unsigned int)PROBE_BUCKETS);

	for (; i < end; i++)
		sum += bucket[i];
	return sum;
}

static size_t
text_size(const uint64_t *bucket, unsigned int merged)
{
	unsigned int i;
	size_t size = 0;
	uint64_t sum;

	for (i = 0; i < PROBE_BUCKETS; i += merged) {
		sum = sum_of(bucket, i, merged);
		if (sum > 0)
			size += (size_t)snprintf(NULL, 0, "[%" PRIu64 ",%" PRIu64 "],",
					probe_histogram_lowest(i), sum);
	}
	return size;
}

/* Merge buckets in pairs, then in fours, until they fit. No count is lost. */
void
probe_reply_histogram(const struct probe_slot *slot, const char *name, char *reply, size_t size)
{
	uint64_t bucket[PROBE_BUCKETS], sum; /* a copy, because a worker may still count */
	unsigned int i, merged = 1;
	struct json w;

	memcpy(bucket, slot->sink.latency.bucket, sizeof(bucket));
	while (text_size(bucket, merged) + AROUND > size && merged < PROBE_BUCKETS)
		merged *= 2;
	start_reply(&w, name, reply, size);
	json_uint(&w, "merged", merged);
	json_array(&w, "histogram");
	for (i = 0; i < PROBE_BUCKETS; i += merged) {
		sum = sum_of(bucket, i, merged);
		if (sum == 0)
			continue;
		json_array(&w, NULL);
		json_uint(&w, NULL, probe_histogram_lowest(i));
		json_uint(&w, NULL, sum);
		json_end(&w);
	}
	json_end(&w);
	json_end(&w);
	json_finish(&w);
}
