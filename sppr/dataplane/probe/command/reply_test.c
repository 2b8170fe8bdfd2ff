/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "control/command.h"
#include "probe/command/reply.h"

static struct probe_slot slot;
static char reply[REPLY_SIZE];

/* Sum the counts of all buckets of the reply. Checks that the values rise. */
static uint64_t
sum_of_reply(unsigned int *buckets)
{
	const char *p = strstr(reply, "\"histogram\":[");
	unsigned long long lowest, count, before = 0;
	uint64_t sum = 0;

	CHECK(p != NULL);
	for (*buckets = 0; (p = strchr(p + 1, '[')) != NULL; (*buckets)++) {
		if (*buckets == 0 && p[1] == '[')
			p++;
		if (sscanf(p, "[%llu,%llu]", &lowest, &count) != 2)
			break;
		CHECK(*buckets == 0 || lowest > before);
		before = lowest;
		sum += count;
	}
	return sum;
}

static void
test_histogram(void)
{
	const uint64_t large = UINT64_MAX / PROBE_BUCKETS;
	unsigned int i, n;

	probe_histogram_reset(&slot.sink.latency);
	probe_reply_histogram(&slot, "probe:0", reply, REPLY_SIZE);
	CHECK_STR(reply, "{\"results\":[{\"result\":\"success\"}],\"probe\":{\"port\":\"probe:0\","
			 "\"merged\":1,\"histogram\":[]}}");
	probe_histogram_add(&slot.sink.latency, 0);
	probe_histogram_add(&slot.sink.latency, 1000);
	probe_histogram_add(&slot.sink.latency, 1001);
	probe_reply_histogram(&slot, "probe:0", reply, REPLY_SIZE);
	CHECK(strstr(reply, "\"histogram\":[[0,1],[1000,2]]") != NULL);
	for (i = 0; i < PROBE_BUCKETS; i++)
		slot.sink.latency.bucket[i] = large;
	probe_reply_histogram(&slot, "probe:0", reply, REPLY_SIZE);
	CHECK(strstr(reply, "truncated") == NULL && strstr(reply, "\"merged\":2,") != NULL);
	CHECK(sum_of_reply(&n) == large * PROBE_BUCKETS && n == PROBE_BUCKETS / 2);
}

static void
test_result(void)
{
	memset(&slot, 0, sizeof(slot));
	probe_histogram_reset(&slot.sink.latency);
	slot.sink.highest = -1;
	slot.source.running = true;
	slot.source.sent = 5;
	probe_reply_result(&slot, "probe:3", reply, REPLY_SIZE);
	CHECK_STR(reply, "{\"results\":[{\"result\":\"success\"}],\"probe\":{\"port\":\"probe:3\","
			 "\"source\":{\"running\":true,\"sent\":5,\"first_ns\":0,\"last_ns\":0,"
			 "\"behind\":0,\"no_mbuf\":0},\"sink\":{\"received\":0,\"reordered\":0,"
			 "\"late\":0,\"duplicate\":0,\"corrupt\":0,\"foreign\":0,"
			 "\"misdelivered\":0,\"highest\":-1,\"latency_ns\":{\"min\":0,\"p50\":0,"
			 "\"p90\":0,\"p99\":0,\"p99.9\":0,\"max\":0,\"mean\":0,\"samples\":0}}}}");
	memset(&slot.source, 0xff, sizeof(slot.source));
	memset(&slot.sink, 0x7f, sizeof(slot.sink));
	slot.source.running = false;
	probe_reply_result(&slot, "probe:31", reply, REPLY_SIZE);
	CHECK(strstr(reply, "truncated") == NULL && strstr(reply, "\"samples\":") != NULL);
}

int
main(void)
{
	test_histogram();
	test_result();
	return 0;
}
