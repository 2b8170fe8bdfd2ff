/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ETHDEV_TAP_ENDS_H
#define ETHDEV_TAP_ENDS_H

#include <netinet/in.h>
#include <stdbool.h>

/* Move the taps at the ends of service chains into network namespaces, and give them an address. A
 * file names them, one a line: `vtap0 spp-client 10.20.0.1/24`, or `-` for no address. The launcher
 * creates the namespaces and the file. A primary that restarts reads the file again.
 */

#define TAP_ENDS_MAX 64
#define TAP_ENDS_NAME 81

struct tap_end {
	char interface[16];
	char netns[TAP_ENDS_NAME];
	bool has_address;
	struct in_addr address;
	unsigned int prefix;
	int netns_fd;
	int route_fd; /* a netlink socket in the namespace */
};

/* Parse one line. Returns -1 if it is malformed. */
int tap_end_parse(const char *line, struct tap_end *end);

/* Read the file and open the namespaces. Call it before privileges_drop(), while this process may
 * enter a namespace. A missing file means no taps. Logs every entry that cannot be used.
 */
void tap_ends_open(const char *path);

/* Move the taps, which exist now. Logs each move and each failure. */
void tap_ends_move(void);

#endif
