/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "port/port_type.h"
#include "port/registry.h"

static void
test_ethdev_names(void)
{
	struct port_id id;

	CHECK(port_registry_id_of_ethdev("net_tap3", &id) == 0 && id.type == PORT_TAP);
	CHECK(id.number == 3);
	CHECK(port_registry_id_of_ethdev("eth_null0", &id) == 0 && id.type == PORT_NULL);
	CHECK(port_registry_id_of_ethdev("net_af_packet2", &id) == 0 && id.type == PORT_LINK);
	CHECK(id.number == 2 && port_registry_ethdev_is_private(PORT_LINK));
	CHECK(port_registry_id_of_ethdev("net_vhost1", &id) == 0 && id.type == PORT_VHOST);
	CHECK(port_registry_id_of_ethdev("0000:00:04.0", &id) < 0);
	CHECK(port_registry_id_of_ethdev("net_ring0", &id) < 0);
	CHECK(port_registry_id_of_ethdev("net_tap_a", &id) < 0);
}

/* The primary's status depends on the order of the types. */
static void
test_types(void)
{
	unsigned int i;

	for (i = 0; i < N_PORT_TYPES; i++)
		CHECK(port_types[i] != NULL);
	CHECK(PORT_PHY < PORT_RING && PORT_RING < PORT_PIPE);
}

int
main(void)
{
	test_ethdev_names();
	test_types();
	return 0;
}
