/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SECURITY_PEER_OWNER_H
#define SECURITY_PEER_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

/* Who accepted a TCP connection of ours to a socket of this host.
 *
 * The port of the controller is not privileged, so any local user can listen there while the
 * controller is down. The owner of the listening socket proves little: another listener may be more
 * specific (127.0.0.1 beside 0.0.0.0), and a listener may close. So the connection itself is looked
 * up, by both addresses and both ports, which names one socket. Until a process accepts it, that
 * socket has no inode, and kernels before 6.17 report uid 0 for it; kernels since then report the
 * owner of the listener. Neither is used. accept() makes the inode with the uid of the process that
 * calls it, and only root can change that uid (fchown). The answer is therefore final as soon as
 * there is an inode, and unknown before.
 */
enum peer_owner {
	PEER_REMOTE,  /* the other end is on another host */
	PEER_PENDING, /* not accepted, or gone: try again */
	PEER_FOUND,   /* *uid has accepted it */
	PEER_UNKNOWN, /* only of peer_owner_by_netlink(): the kernel knows no such socket */
};

/* fd is a connected TCP socket of IPv4. */
enum peer_owner peer_owner_find(int fd, uid_t *uid);

/* The two sources, for tests: the socket diagnosis of the kernel is faster, the tables in /proc
 * need no kernel module.
 */
struct sockaddr_in;
enum peer_owner peer_owner_by_netlink(
		const struct sockaddr_in *peer, const struct sockaddr_in *own, uid_t *uid);
bool peer_owner_by_table(const char *table, const struct sockaddr_in *peer,
		const struct sockaddr_in *own, uid_t *uid);

#endif
