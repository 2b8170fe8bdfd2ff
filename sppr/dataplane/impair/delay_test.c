/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>

#include "base/check.h"
#include "impair/delay.h"

#define HZ 1000000000ULL
#define FRAMES 400000

struct moments {
	double mean, sigma, min, max;
};

static struct moments
measure(const char *jitter, const char *distribution)
{
	char delay_word[] = "delay=10ms", jitter_word[64], distribution_word[64];
	char *words[] = { delay_word, jitter_word, distribution_word };
	struct moments m = { 0, 0, 1e18, 0 };
	struct impair_parameters p;
	struct delay d;
	double x;
	int i;

	snprintf(jitter_word, sizeof(jitter_word), "jitter=%s", jitter);
	snprintf(distribution_word, sizeof(distribution_word), "distribution=%s", distribution);
	CHECK(impair_parse(&p, words, 3));
	delay_start(&d, &p, HZ);
	for (i = 0; i < FRAMES; i++) {
		x = (double)delay_next(&d);
		m.mean += x / FRAMES;
		m.sigma += (x - 10e6) * (x - 10e6) / FRAMES;
		m.min = fmin(m.min, x);
		m.max = fmax(m.max, x);
	}
	m.sigma = sqrt(m.sigma - (m.mean - 10e6) * (m.mean - 10e6));
	return m;
}

int
main(void)
{
	struct moments m = measure("0ms", "uniform");

	CHECK(m.min == 10e6 && m.max == 10e6);
	m = measure("3ms", "uniform");
	CHECK(fabs(m.mean - 10e6) < 1e4 && fabs(m.sigma - 6e6 / sqrt(12)) < 2e4);
	CHECK(m.min >= 7e6 && m.min < 7.001e6 && m.max < 13e6 && m.max > 12.999e6);
	m = measure("2ms", "normal");
	CHECK(fabs(m.mean - 10e6) < 1e4 && fabs(m.sigma - 2e6) < 2e4);
	CHECK(m.min >= 2e6 && m.min < 3.5e6 && m.max <= 18e6 && m.max > 16.5e6);
	m = measure("30ms", "uniform"); /* never below 0 */
	CHECK(m.min == 0 && m.max > 39e6);
	m = measure("30ms", "normal");
	CHECK(m.min == 0 && m.max > 100e6);
	return 0;
}
