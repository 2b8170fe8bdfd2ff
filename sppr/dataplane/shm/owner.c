/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "shm/owner.h"

/* Return 0 if there is no such process, or it is a zombie. */
static process_id
find_process(pid_t pid)
{
	unsigned long long start = 0;
	char path[32], line[1024], state = 'X', *name_end;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fgets(line, sizeof(line), f) != NULL && (name_end = strrchr(line, ')')) != NULL)
		/* state is field 3, start time is field 22 */
		sscanf(name_end + 1,
				" %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
				"%*s %*s %*s %llu",
				&state, &start);
	fclose(f);
	if (state == 'X' || state == 'Z')
		return 0;
	return (uint64_t)pid << 32 | (uint32_t)start;
}

/* Return 0 if /proc is not mounted. */
static process_id
own_id(void)
{
	static process_id id;
	static bool logged;

	if (id == 0)
		id = find_process(getpid());
	if (id == 0 && !logged) {
		log_line("cannot read /proc/%d/stat: mount /proc", (int)getpid());
		logged = true;
	}
	return id;
}

pid_t
owner_claim(process_id *slot, bool *stale)
{
	process_id owner = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
	pid_t pid;

	*stale = false;
	if (own_id() == 0)
		return -1;
	for (;;) {
		if (owner == own_id())
			return 0;
		pid = (pid_t)(owner >> 32);
		if (owner != 0 && find_process(pid) == owner)
			return pid;
		*stale = owner != 0;
		if (__atomic_compare_exchange_n(slot, &owner, own_id(), false, __ATOMIC_ACQ_REL,
				    __ATOMIC_ACQUIRE))
			return 0;
	}
}

bool
owner_alive(process_id process)
{
	return process != 0 && find_process((pid_t)(process >> 32)) == process;
}

void
owner_release(process_id *slot)
{
	process_id me = own_id();

	__atomic_compare_exchange_n(slot, &me, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}
