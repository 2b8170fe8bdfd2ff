/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "forward/patch.h"

/* Test the claims of rings, and the repair after a user died, in plain memory without DPDK. */

static struct app app;
static const struct port_id ring0 = { PORT_RING, 0, 0 }, ring1 = { PORT_RING, 1, 0 };

static struct rte_ring *
make_ring(void)
{
	size_t size = (size_t)rte_ring_get_memsize(SHARED_RING_SLOTS);
	struct rte_ring *ring = aligned_alloc(RTE_CACHE_LINE_SIZE, size);

	CHECK(rte_ring_init(ring, "test", SHARED_RING_SLOTS, RING_F_SP_ENQ | RING_F_SC_DEQ) == 0);
	return ring;
}

static void
set_up(void)
{
	struct shared *info = mmap(NULL, sizeof(*info), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(info != MAP_FAILED);
	CHECK(access("/proc/self/stat", R_OK) == 0); /* a claim names its process by it */
	info->nrings = 2;
	app.view = (struct shared_view){ .info = info, .ring = { make_ring(), make_ring() } };
	app.env = (struct port_env){ &app.view, &app.cfg };
	CHECK(patch_add_port(&app, ring0) == 0 && patch_add_port(&app, ring1) == 0);
}

/* Start a child that is patched ring:0 -> ring:1 and exits without a release when go is closed. */
static pid_t
start_child(int *go)
{
	int wait_pipe[2], ready_pipe[2];
	char byte;
	pid_t pid;

	CHECK(pipe(wait_pipe) == 0 && pipe(ready_pipe) == 0);
	pid = fork();
	if (pid == 0) {
		close(wait_pipe[1]);
		CHECK(patch_connect(&app, ring0, ring1, NULL) == 0);
		CHECK(write(ready_pipe[1], "x", 1) == 1);
		CHECK(read(wait_pipe[0], &byte, 1) == 0);
		_exit(0);
	}
	close(ready_pipe[1]);
	CHECK(read(ready_pipe[0], &byte, 1) == 1);
	close(ready_pipe[0]);
	close(wait_pipe[0]);
	*go = wait_pipe[1];
	return pid;
}

int
main(void)
{
	struct rte_ring **ring = app.view.ring;
	void *objects[4] = { objects, objects, objects, objects };
	pid_t pid;
	int go;

	set_up();
	pid = start_child(&go);
	CHECK(patch_connect(&app, ring0, ring1, NULL) < 0);
	CHECK(patch_connect(&app, ring1, ring0, NULL) == 0); /* the other sides are free */
	CHECK(patch_reset(&app) == 0);

	/* the child is dead but not reaped, killed while it read from ring:0 and wrote to ring:1 */
	CHECK(rte_ring_sp_enqueue_burst(ring[0], objects, 4, NULL) == 4);
	ring[0]->cons.head += 3;
	ring[1]->prod.head += 5;
	close(go);
	while (patch_connect(&app, ring0, ring1, NULL) < 0)
		usleep(1000);
	CHECK(ring[0]->cons.head == ring[0]->cons.tail && rte_ring_count(ring[0]) == 4);
	CHECK(ring[1]->prod.head == ring[1]->prod.tail && rte_ring_count(ring[1]) == 0);
	CHECK(waitpid(pid, NULL, 0) == pid);

	patch_close_all(&app);
	CHECK(app.view.info->ring_users[0].rx == 0 && app.view.info->ring_users[1].tx == 0);
	free(ring[0]);
	free(ring[1]);
	return 0;
}
