/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "shm/owner.h"

/* A user without CAP_SYS_ADMIN cannot unmount /proc. The test passes then. */
enum {
	REFUSED,
	CLAIMED,
	CANNOT_UNMOUNT
};

static int
claim_without_proc(void)
{
	process_id slot = 0;
	bool stale;

	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
			umount2("/proc", MNT_DETACH) != 0)
		return CANNOT_UNMOUNT;
	return owner_claim(&slot, &stale) == -1 && slot == 0 ? REFUSED : CLAIMED;
}

/* Without /proc each process seems dead, and two processes could own the same side of a ring. */
static void
test_claim_without_proc(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(claim_without_proc());
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	CHECK(WEXITSTATUS(status) != CLAIMED);
}

static void
test_claim_and_release(void)
{
	process_id slot = (process_id)getpid() << 32 | 1; /* this pid with another start time */
	bool stale;

	CHECK(owner_claim(&slot, &stale) == 0 && stale && owner_alive(slot));
	CHECK(owner_claim(&slot, &stale) == 0 && !stale);
	owner_release(&slot);
	CHECK(slot == 0 && !owner_alive(slot));
}

int
main(void)
{
	test_claim_without_proc(); /* first: the process remembers its own id */
	test_claim_and_release();
	return 0;
}
