/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include <net/if.h>

#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_ethdev.h>
#include <rte_pci.h>

#include "base/log.h"
#include "ethdev/ethdev_select.h"
#include "port/registry.h"

static bool
name_taken(const struct shared_port *ports, uint16_t n, struct port_id port_id)
{
	uint16_t i;

	for (i = 0; i < n; i++)
		if (ports[i].type == port_id.type && ports[i].number == port_id.number)
			return true;
	return false;
}

/* Return the id of a NIC: that of a link, if --link names it. */
static struct port_id
id_of_nic(const struct config *cfg, uint16_t number)
{
	if (number < MAX_PORT_IDS && cfg->link_of_phy[number] >= 0)
		return (struct port_id){ PORT_LINK, (uint16_t)cfg->link_of_phy[number], 0 };
	return (struct port_id){ PORT_PHY, number, 0 };
}

static bool
has_options(uint16_t id)
{
	const struct rte_devargs *devargs = NULL;
	struct rte_eth_dev_info info;

	if (rte_eth_dev_info_get(id, &info) == 0 && info.device != NULL)
		devargs = rte_dev_devargs(info.device);
	return devargs == NULL || (devargs->args != NULL && devargs->args[0] != '\0');
}

uint16_t
ethdev_select(const struct config *cfg, struct shared_port *ports, uint64_t *missing)
{
	const uint64_t mask = cfg->port_mask;
	uint16_t id, n = 0, phys = 0;
	uint64_t found = 0;
	struct port_id port_id;

	RTE_ETH_FOREACH_DEV(id) {
		if (id >= 64 || (mask & (1ULL << id)) == 0)
			continue;
		found |= 1ULL << id;
		memset(&ports[n], 0, sizeof(ports[n]));
		if (rte_eth_dev_get_name_by_port(id, ports[n].name) < 0)
			continue;
		if (port_registry_id_of_ethdev(ports[n].name, &port_id) < 0 ||
				name_taken(ports, n, port_id))
			port_id = id_of_nic(cfg, phys++);
		ports[n].ethdev = id;
		ports[n].type = port_id.type;
		ports[n].number = port_id.number;
		ports[n].plain_null = port_id.type == PORT_NULL && !has_options(id);
		ports[n].nrxq = ports[n].ntxq = 1;
		if (id < MAX_PORT_IDS && cfg->queues[id].rx > 0) {
			ports[n].nrxq = cfg->queues[id].rx;
			ports[n].ntxq = cfg->queues[id].tx;
		}
		n++;
	}
	*missing = mask & ~found;
	return n;
}

int
ethdev_check_links(const struct config *cfg, const struct shared_port *ports, uint16_t n)
{
	struct port_id link = { PORT_LINK, 0, 0 };
	uint16_t nic;

	for (nic = 0; nic < MAX_PORT_IDS; nic++) {
		if (cfg->link_of_phy[nic] < 0)
			continue;
		link.number = (uint16_t)cfg->link_of_phy[nic];
		if (name_taken(ports, n, link))
			continue;
		log_line("--link %u=phy:%u: -p selects no phy:%u", link.number, nic, nic);
		return -1;
	}
	return 0;
}

/* PCI addresses are compared as numbers: 00:04.0 equals 0000:00:04.0. */
static bool
same_device(const char *a, const char *b)
{
	struct rte_pci_addr pci_a, pci_b;

	if (rte_pci_addr_parse(a, &pci_a) == 0 && rte_pci_addr_parse(b, &pci_b) == 0)
		return rte_pci_addr_cmp(&pci_a, &pci_b) == 0;
	return strcmp(a, b) == 0;
}

static bool
has_ethdev(const char *device)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	struct rte_eth_dev_info info;
	uint16_t id;

	RTE_ETH_FOREACH_DEV(id) {
		if (rte_eth_dev_get_name_by_port(id, name) == 0 && same_device(name, device))
			return true;
		if (rte_eth_dev_info_get(id, &info) == 0 && info.device != NULL &&
				same_device(rte_dev_name(info.device), device))
			return true;
	}
	return false;
}

/* A vdev of another class, such as crypto_null0, has no ethdev. */
static bool
is_network(const char *vdev)
{
	return strncmp(vdev, "net_", 4) == 0 || strncmp(vdev, "eth_", 4) == 0;
}

/* Find out whether another interface has the name that net_tap needs. */
static bool
has_taken_interface(const char *vdev, char *name, size_t size)
{
	const char *iface = strstr(vdev, ",iface=");

	if (iface == NULL || strncmp(vdev + strlen("net_"), "tap", strlen("tap")) != 0)
		return false;
	iface += strlen(",iface=");
	snprintf(name, size, "%.*s", (int)strcspn(iface, ","), iface);
	return if_nametoindex(name) != 0;
}

/* Return the argument if argv[i] is one of the options: `--vdev X`, `--vdev=X`, `-a X`, `-aX`. */
static const char *
argument_of(char **argv, int i, const char *const *options)
{
	size_t len;

	for (; *options != NULL; options++) {
		len = strlen(*options);
		if (strcmp(argv[i], *options) == 0)
			return argv[i + 1];
		if (strncmp(argv[i], *options, len) != 0)
			continue;
		if ((*options)[1] != '-')
			return argv[i] + len;
		if (argv[i][len] == '=')
			return argv[i] + len + 1;
	}
	return NULL;
}

static bool
check_device(const char *given, bool vdev)
{
	char name[RTE_DEV_NAME_MAX_LEN], taken[IFNAMSIZ];

	if (!vdev && strncmp(given, "pci:", 4) == 0)
		given += 4;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(given, ","), given);
	if ((vdev && !is_network(name)) || has_ethdev(name))
		return true;
	if (has_taken_interface(given, taken, sizeof(taken)))
		log_line("%s: an interface %s exists already", name, taken);
	else
		log_line("%s: EAL did not create this port; see its messages above", name);
	return false;
}

int
ethdev_check_requested(int argc, char **argv)
{
	static const char *const vdev_options[] = { "--vdev", NULL };
	static const char *const pci_options[] = { "-a", "--allow", "-w", "--pci-whitelist", NULL };
	const char *given;
	int i, missing = 0;

	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		given = argument_of(argv, i, vdev_options);
		if (given != NULL && !check_device(given, true))
			missing++;
		given = argument_of(argv, i, pci_options);
		if (given != NULL && !check_device(given, false))
			missing++;
	}
	return missing == 0 ? 0 : -1;
}
