/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/check.h"
#include "base/thread_wake.h"

#define LIMIT_MS 10000

static int interrupted;

static void *
wait_in_poll(void *name)
{
	prctl(PR_SET_NAME, name);
	if (poll(NULL, 0, LIMIT_MS) < 0 && errno == EINTR)
		__atomic_store_n(&interrupted, 1, __ATOMIC_RELEASE);
	return NULL;
}

int
main(void)
{
	static char name[] = "waiter-1";
	pthread_t thread;
	int i;

	CHECK(thread_wake("waiter") == 0);
	CHECK(pthread_create(&thread, NULL, wait_in_poll, name) == 0);
	for (i = 0; i < LIMIT_MS && !__atomic_load_n(&interrupted, __ATOMIC_ACQUIRE); i++) {
		CHECK(thread_wake("aiter") == 0);
		thread_wake("waiter");
		usleep(1000);
	}
	CHECK(interrupted);
	CHECK(pthread_join(thread, NULL) == 0);
	return 0;
}
