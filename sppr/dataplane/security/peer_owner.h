/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SECURITY_PEER_OWNER_H
#define SECURITY_PEER_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

/* Find the process owner who accepted a TCP connection of ours on this host.
 *
 * The port of the controller is not privileged, so any local user can listen there while the
 * controller is down. The owner of the listening socket proves little: another listener may be more
 * specific (127.0.0.1 beside 0.0.0.0), and a listener may close. So this looks up the connection
 * itself, by both addresses and both ports, which identify one socket. Before a process accepts the
 * connection, that socket has no inode. Kernels before 6.17 report uid 0 for it, later ones the
 * owner of the listener; neither is used. accept() creates the inode with the uid of the process
 * that calls it, and only root can change that uid (fchown). So the result is final once there is
 * an inode, and unknown before.
 */
enum peer_owner {
	PEER_REMOTE,  /* the other end is on another host */
	PEER_PENDING, /* not accepted yet, or closed: try again */
	PEER_FOUND,   /* the process of user *uid accepted it */
	PEER_UNKNOWN, /* from peer_owner_by_netlink() only: the kernel found no such socket */
};

/* fd must be a connected TCP socket of IPv4. */
enum peer_owner peer_owner_find(int fd, uid_t *uid);

/* The two methods, for tests. Socket diagnosis is faster, and the tables in /proc need no kernel
 * module.
 */
struct sockaddr_in;
enum peer_owner peer_owner_by_netlink(
		const struct sockaddr_in *peer, const struct sockaddr_in *own, uid_t *uid);
bool peer_owner_by_table(const char *table, const struct sockaddr_in *peer,
		const struct sockaddr_in *own, uid_t *uid);

#endif
