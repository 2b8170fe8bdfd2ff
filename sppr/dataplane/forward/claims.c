/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"
#include "forward/claims.h"
#include "shm/owner.h"

static bool
leads_to(const struct port *src, const struct port *port)
{
	const struct port *dst;
	unsigned int i;

	for (i = 0; (dst = port_destination(src, i)) != NULL; i++)
		if (dst == port)
			return true;
	return false;
}

static bool
is_destination(const struct port_table *ports, const struct port *port)
{
	unsigned int i;

	for (i = 0; i < ports->n; i++)
		if (leads_to(ports->port[i], port))
			return true;
	return false;
}

static const char *
reserved(const struct port *port, bool tx)
{
	return port->ops->reserved != NULL ? port->ops->reserved(port, tx) : NULL;
}

void
claims_release_unused(const struct port_table *ports)
{
	unsigned int i;

	for (i = 0; i < ports->n; i++) {
		struct port *p = ports->port[i];

		if (p->users == NULL)
			continue;
		if (!port_is_source(p) && reserved(p, false) == NULL)
			owner_release(&p->users->rx);
		if (!is_destination(ports, p) && reserved(p, true) == NULL)
			owner_release(&p->users->tx);
	}
}

static int
claim_side(struct port *port, bool tx)
{
	const char *why = reserved(port, tx);
	char text[PORT_ID_STRLEN];
	bool stale;
	pid_t other;

	if (port->users == NULL)
		return 0;
	port_id_format(port->id, text);
	if (why != NULL) {
		log_line("%s: %s", text, why);
		return -1;
	}
	other = owner_claim(tx ? &port->users->tx : &port->users->rx, &stale);
	if (other < 0)
		return -1;
	if (other > 0) {
		log_line("%s: process %d already has a patch %s it; only one is allowed", text,
				other, tx ? "to" : "from");
		return -1;
	}
	if (stale && port->ops->recover != NULL)
		port->ops->recover(port, tx);
	return 0;
}

int
claims_take_all(const struct port_table *ports)
{
	struct port *src, *dst;
	unsigned int i, k;

	for (i = 0; i < ports->n; i++) {
		src = ports->port[i];
		if (port_is_source(src) && claim_side(src, false) < 0)
			return -1;
		for (k = 0; (dst = port_destination(src, k)) != NULL; k++)
			if (claim_side(dst, true) < 0)
				return -1;
	}
	return 0;
}
