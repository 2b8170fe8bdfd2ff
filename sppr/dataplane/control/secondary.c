/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_lcore.h>

#include "app.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/process.h"
#include "control/secondary.h"
#include "ethdev/ethdev_ports.h"
#include "forward/patch.h"
#include "forward/patch_registry.h"
#include "forward/worker.h"
#include "pcap/recorder.h"
#include "security/privileges.h"
#include "security/sudo_user.h"

static struct app app;

/* The part of a kind of process that is not common to all. */
static int
set_up_kind(void)
{
	if (app.cfg.kind == PROCESS_PCAP)
		return pcap_recorder_set_up(&app);
	if (app.cfg.kind != PROCESS_NFV)
		app.running = true; /* components forward as soon as they have their ports */
	return 0;
}

static int
set_up(void)
{
	if (rte_lcore_count() < 2) {
		log_line("needs two lcores or more: one for control, the others forward");
		return -1;
	}
	if (shared_claim_lcores(&app.view) < 0)
		return -1;
	app.env = (struct port_env){ &app.view, &app.cfg };
	if (ethdev_ports_add(&app.ports, &app.env) < 0 ||
			workers_start(app.cfg.kind == PROCESS_PCAP ? 1 : RTE_MAX_LCORE) < 0 ||
			set_up_kind() < 0)
		return -1;
	app.has_forwarder = true;
	patch_registry_join(&app);
	return process_catch_signals();
}

/* EAL attached to the primary's ports before they were started, so it does not know their queues.
 * EAL cannot attach twice, so execute the program again, once. Now the primary is ready.
 */
static void
restart(char **argv)
{
	log_line("the primary was still starting; restarting");
	rte_eal_cleanup();
	/* close at exec: EAL's threads still use their fds */
	close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	execv("/proc/self/exe", argv);
	log_line("cannot restart: %s", strerror(errno));
	exit(1);
}

static char **
copy_argv(int argc, char **argv)
{
	char **copy = calloc((size_t)argc + 1, sizeof(argv[0]));

	if (copy == NULL)
		exit(1);
	memcpy(copy, argv, (size_t)argc * sizeof(argv[0]));
	return copy;
}

int
secondary_main(enum process_kind kind, int argc, char **argv)
{
	uint64_t start_ns = monotonic_ns();
	char **own_argv = copy_argv(argc, argv); /* EAL reorders argv */
	char program[16];
	int eal_argc, status = 1;

	snprintf(program, sizeof(program), "spp_%s", config_kind_name(kind));
	log_set_program(program);
	eal_argc = process_arguments(&app.cfg, kind, argc, argv);
	sudo_user_set_qemu(app.cfg.sock_uid);
	if (process_check_primary(eal_argc, argv) < 0 || privileges_drop(&app.cfg, argc, argv) < 0)
		return 1;
	process_quiet_libraries();
	if (rte_eal_init(eal_argc, argv) < 0) {
		log_line("EAL did not start; see its messages above");
		return 1;
	}
	/* Pool caches in shared memory are indexed by lcore id, and control threads of several
	 * processes may have the same id. So this thread uses none.
	 */
	RTE_PER_LCORE(_lcore_id) = LCORE_ID_ANY;
	config_print(&app.cfg);
	if (rte_eal_process_type() != RTE_PROC_SECONDARY) {
		log_line("must be a secondary process: --proc-type secondary");
	} else if (shared_attach(&app.view) == 0) {
		if (app.view.info->published_ns > start_ns)
			restart(own_argv);
		if (set_up() == 0)
			status = process_loop(&app);
	}
	free(own_argv);
	workers_stop();
	pcap_recorder_close();
	patch_close_all(&app);
	if (app.view.info != NULL)
		shared_release_lcores(&app.view);
	rte_eal_cleanup();
	return status;
}
