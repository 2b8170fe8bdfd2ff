/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>

#include "app.h"
#include "base/log.h"
#include "control/process.h"
#include "control/telemetry.h"
#include "ethdev/ethdev_ports.h"
#include "ethdev/ethdev_select.h"
#include "ethdev/ethdev_start.h"
#include "ethdev/tap_ends.h"
#include "forward/patch.h"
#include "forward/patch_registry.h"
#include "forward/worker.h"
#include "port/registry.h"
#include "security/privileges.h"
#include "security/sudo_user.h"

static struct app app;

/* Secondaries still poll our ports. They notice within a second that the primary is gone, and exit.
 * Until then nothing may be closed or freed: closing a TAP device would remove it from secondaries
 * during a burst.
 */
static bool used_by_others;

static void
on_sigio(int signo)
{
	(void)signo;
}

/* net_tap asks for a SIGIO for each frame, unless there is a handler. Polled ports do not need it,
 * and it would interrupt every system call.
 */
static void
handle_sigio(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_sigio;
	action.sa_flags = SA_RESTART;
	sigaction(SIGIO, &action, NULL);
}

/* A lab whose memory is just enough for its ports and rings works without impairments. */
static int
create_pool(unsigned int queues)
{
	if (shared_create_pool(&app.view, queues, app.cfg.nrings, app.cfg.held_frames) == 0)
		return 0;
	if (app.cfg.held_given)
		return -1;
	log_line("no impairment can be set: there is no memory for --held-frames %u",
			app.cfg.held_frames);
	app.cfg.held_frames = 0;
	return shared_create_pool(&app.view, queues, app.cfg.nrings, 0);
}

/* Start ports before they are published: a secondary that attaches to a stopped port crashes in its
 * first rx burst.
 */
static int
set_up_shared(struct shared_port *ports, uint16_t *nports)
{
	uint64_t missing;
	uint16_t i, n = ethdev_select(&app.cfg, ports, &missing), queues = 0;

	if (n == 0) {
		log_line("-p selects no existing port: add --vdev, or bind a NIC");
		return -1;
	}
	if (missing != 0) {
		log_line("-p 0x%" PRIx64 " names ports that do not exist (0x%" PRIx64
			 "): there are %u",
				app.cfg.port_mask, missing, rte_eth_dev_count_avail());
		return -1;
	}
	if (ethdev_check_links(&app.cfg, ports, n) < 0)
		return -1;
	for (i = 0; i < n; i++)
		queues += ports[i].nrxq;
	if (create_pool(queues) < 0)
		return -1;
	for (i = 0; i < n; i++, (*nports)++)
		if (ethdev_start(&ports[i], app.view.pool) < 0)
			return -1;
	return shared_publish(&app.view, ports, n, app.cfg.nrings, app.cfg.held_frames);
}

static int
set_up_forwarder(void)
{
	app.env = (struct port_env){ &app.view, &app.cfg };
	app.has_forwarder = rte_lcore_count() >= 2 && !app.cfg.disp_stats;
	if (!app.has_forwarder)
		return 0;
	if (ethdev_ports_add(&app.ports, &app.env) < 0)
		return -1;
	return workers_start(RTE_MAX_LCORE);
}

/* Change the owner of the sockets of `--vdev net_vhostN,iface=PATH`, which DPDK's driver creates.
 */
static void
chown_vhost_sockets(int argc, char **argv)
{
	const char *vdev, *iface;
	char path[108];
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		vdev = strstr(argv[i], "net_vhost");
		iface = vdev != NULL ? strstr(vdev, ",iface=") : NULL;
		if (iface == NULL || strstr(iface, ",client=1") != NULL)
			continue;
		iface += strlen(",iface=");
		snprintf(path, sizeof(path), "%.*s", (int)strcspn(iface, ","), iface);
		sudo_user_chown_socket(path);
	}
}

static int
run(int argc, char **argv)
{
	static struct shared_port ports[RTE_MAX_ETHPORTS];
	uint16_t i, nports = 0;
	int status = 1;

	if (ethdev_check_requested(argc, argv) == 0 && set_up_shared(ports, &nports) == 0 &&
			set_up_forwarder() == 0 && telemetry_set_up(&app) == 0 &&
			process_catch_signals() == 0) {
		chown_vhost_sockets(argc, argv);
		tap_ends_move();
		patch_registry_join(&app);
		log_line("Finished Process Init.");
		status = process_loop(&app);
	}
	workers_stop();
	patch_close_all(&app);
	port_registry_close_all(&app);
	used_by_others = nports > 0 && app.view.info != NULL &&
			 patch_registry_count_others(app.view.info) > 0;
	if (used_by_others)
		log_line("secondaries are still running: they exit now, because this process owns "
			 "their memory");
	for (i = 0; i < nports; i++)
		ethdev_stop(&ports[i], !used_by_others || ports[i].type == PORT_VHOST);
	return status;
}

int
main(int argc, char **argv)
{
	int eal_argc, status;

	log_set_program("spp_primary");
	eal_argc = process_arguments(&app.cfg, PROCESS_PRIMARY, argc, argv);
	sudo_user_set_qemu(app.cfg.sock_uid);
	tap_ends_open(app.cfg.tap_ends);
	if (privileges_drop(&app.cfg, argc, argv) < 0)
		return 1;
	process_quiet_libraries();
	handle_sigio();
	if (rte_eal_init(eal_argc, argv) < 0) {
		log_line("EAL did not start; see its messages above");
		return 1;
	}
	config_print(&app.cfg);
	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		log_line("must be the primary process: --proc-type primary, no other primary "
			 "running");
		status = 1;
	} else {
		status = run(argc, argv);
	}
	if (!used_by_others)
		rte_eal_cleanup();
	return status;
}
