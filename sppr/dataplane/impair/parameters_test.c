/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "base/log.h"
#include "control/tokens.h"
#include "impair/parameters.h"

#define MAX_WORDS 32

static bool
parse(struct impair_parameters *p, const char *text)
{
	char copy[512], *word[MAX_WORDS];

	snprintf(copy, sizeof(copy), "%s", text);
	return impair_parse(p, word, tokens_split(copy, word, MAX_WORDS));
}

/* Check the canonical form of a text, and that it has the same parameters. */
static void
check_form(const char *text, const char *canonical)
{
	struct impair_parameters p, again;
	char form[IMPAIR_STRLEN], second[IMPAIR_STRLEN];

	CHECK(parse(&p, text));
	impair_format(&p, form);
	CHECK_STR(form, canonical);
	CHECK(parse(&again, form));
	CHECK(memcmp(&p, &again, sizeof(p)) == 0);
	impair_format(&again, second);
	CHECK_STR(second, form);
}

static void
test_forms(void)
{
	check_form("delay=50ms", "delay=50ms");
	check_form("delay=1.5ms", "delay=1500us");
	check_form("delay=0.000000001s", "delay=1ns");
	check_form("delay=20000ns jitter=0ms", "delay=20us jitter=0s");
	check_form("delay=3600s", "delay=3600s");
	check_form("loss=0.50%", "loss=0.5%");
	check_form("loss=100.0000000%", "loss=100%");
	check_form("loss=0.0000001%", "loss=0.0000001%");
	check_form("loss=12.0340000%", "loss=12.034%");
	check_form("rate=1000kbit", "rate=1mbit");
	check_form("rate=1.5gbit burst=1", "rate=1500mbit burst=1");
	check_form("rate=8bit", "rate=8bit");
	check_form("seed=18446744073709551615", "seed=18446744073709551615");
	check_form("seed=0", "seed=0");
	check_form("loss=gemodel,1%", "loss=gemodel,1%");
	check_form("loss=gemodel,1%,99%,100%,0%", "loss=gemodel,1%");
	check_form("loss=gemodel,1%,10%", "loss=gemodel,1%,10%");
	check_form("loss=gemodel,1%,99%,70%", "loss=gemodel,1%,99%,70%");
	check_form("loss=gemodel,1%,10%,100%,0.1%", "loss=gemodel,1%,10%,100%,0.1%");
	check_form("seed=3 limit=1 burst=9 rate=1mbit gap=2 reorder=5% corrupt=4% duplicate=3% "
		   "loss=2% distribution=normal jitter=1ms delay=1s",
			"delay=1s jitter=1ms distribution=normal loss=2% duplicate=3% corrupt=4% "
			"reorder=5% gap=2 rate=1mbit burst=9 limit=1 seed=3");
	check_form("delay=3599.999999999s jitter=3599.999999999s distribution=uniform "
		   "loss=gemodel,99.9999999%,99.9999998%,99.9999999%,99.9999999% "
		   "duplicate=99.9999999% corrupt=99.9999999% reorder=99.9999999% gap=4294967295 "
		   "rate=999999999999bit burst=1000000000 limit=1000000 seed=18446744073709551615",
			"delay=3599999999999ns jitter=3599999999999ns distribution=uniform "
			"loss=gemodel,99.9999999%,99.9999998%,99.9999999%,99.9999999% "
			"duplicate=99.9999999% corrupt=99.9999999% reorder=99.9999999% "
			"gap=4294967295 rate=999999999999bit burst=1000000000 limit=1000000 "
			"seed=18446744073709551615");
}

static void
test_values(void)
{
	struct impair_parameters p;

	CHECK(parse(&p, "delay=1.5s jitter=100us loss=0.5%"));
	CHECK(p.value[IMPAIR_DELAY] == 1500000000 && p.value[IMPAIR_JITTER] == 100000);
	CHECK(p.value[IMPAIR_LOSS] == 5000000 && !p.gemodel);
	CHECK(p.value[IMPAIR_DISTRIBUTION] == IMPAIR_UNIFORM);
	CHECK(p.value[IMPAIR_LIMIT] == 10000 && p.value[IMPAIR_GAP] == 1);
	CHECK(parse(&p, "rate=10mbit") && p.value[IMPAIR_RATE] == 10000000);
	CHECK(p.value[IMPAIR_BURST] == 9018);
	CHECK(parse(&p, "rate=1gbit") && p.value[IMPAIR_BURST] == 500000);
	CHECK(parse(&p, "loss=gemodel,1%") && p.gemodel && p.value[IMPAIR_LOSS] == 10000000);
	CHECK(p.ge_recover == 990000000 && p.ge_loss_bad == PART_ALL && p.ge_loss_good == 0);
	CHECK(parse(&p, "loss=gemodel,1%,2%,3%,4%") && p.ge_recover == 20000000);
	CHECK(p.ge_loss_bad == 30000000 && p.ge_loss_good == 40000000);
}

static void
test_refused(void)
{
	static const char *const bad[] = { "", "x", "=", "=5ms", "delay", "delay=", "delays=5ms",
		"Delay=5ms", "delay=50", "delay=5m", "delay=5 ms", "delay=-5ms", "delay=+5ms",
		"delay=.5ms", "delay=5.ms", "delay=5..1ms", "delay=1.5.1ms", "delay=1.5ns",
		"delay=0x5ms", "delay=1e3ms", "delay=5MS", "delay=5msx", "delay=3601s",
		"delay=99999999999999999999999999999999s", "delay=0.00000000000000000000000001s",
		"delay=nan", "jitter=1ms", "distribution=normal", "delay=1ms distribution=normal",
		"delay=1ms jitter=1ms distribution=pareto",
		"delay=1ms jitter=1ms distribution=", "loss=1", "loss=101%", "loss=100.0000001%",
		"loss=0.00000001%", "loss=-1%", "loss=1%%", "loss=gemodel", "loss=gemodel,",
		"loss=gemodel,1", "loss=gemodel,1%,", "loss=gemodel,1%,2%,3%,4%,5%",
		"loss=gemodel,101%", "loss=gemodel,1%,2%,3%,101%", "loss=gemodel,1%,,2%",
		"loss=gemodel,000000000000000000000000000000000000000000001%", "duplicate=101%",
		"duplicate=5", "corrupt=101%", "corrupt=x", "reorder=5%", "delay=1ms reorder=101%",
		"gap=5", "delay=1ms gap=5", "delay=1ms reorder=5% gap=0",
		"delay=1ms reorder=5% gap=4294967296", "rate=7bit", "rate=10", "rate=10mb",
		"rate=1001gbit", "rate=0.5bit", "burst=5", "rate=1mbit burst=0",
		"rate=1mbit burst=1000000001", "rate=1mbit burst=5k", "limit=0", "limit=1000001",
		"limit=-1", "limit=5%", "seed=18446744073709551616", "seed=-1", "seed=x",
		"seed=", "loss=1% loss=1%", "loss=1% loss=gemodel,1%", "limit=5 seed=1 limit=5",
		"off", "loss=1% off", "loss=1% vlan=5" };
	struct impair_parameters p;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		log_clear_last();
		if (parse(&p, bad[i]) || *log_last() == '\0') {
			fprintf(stderr, "not refused: %s\n", bad[i]);
			exit(1);
		}
	}
	CHECK(!parse(&p, "delay=50"));
	CHECK(strstr(log_last(), "delay=50: must be a time such as 50ms") != NULL);
	CHECK(!parse(&p, "loss=5% burst=7") && strstr(log_last(), "burst needs rate=") != NULL);
}

int
main(void)
{
	log_to_stderr(false);
	test_forms();
	test_values();
	test_refused();
	return 0;
}
