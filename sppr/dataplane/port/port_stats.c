/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>

#include "port/port_stats.h"

struct port_stats
port_stats_since(const struct port_stats *now, const struct port_stats *baseline)
{
	return (struct port_stats){
		.rx = now->rx - baseline->rx,
		.rx_drop = now->rx_drop - baseline->rx_drop,
		.rx_bytes = now->rx_bytes - baseline->rx_bytes,
		.tx = now->tx - baseline->tx,
		.tx_drop = now->tx_drop - baseline->tx_drop,
		.tx_bytes = now->tx_bytes - baseline->tx_bytes,
	};
}

void
port_stats_print(struct port_id id, const struct port_stats *stats)
{
	char text[PORT_ID_STRLEN];

	port_id_format(id, text);
	printf("%-10s rx %12" PRIu64 "  tx %12" PRIu64 "  tx_drop %12" PRIu64 "\n", text, stats->rx,
			stats->tx, stats->tx_drop);
}
