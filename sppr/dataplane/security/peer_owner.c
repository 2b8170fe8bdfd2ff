/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "security/peer_owner.h"

struct diag_request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
};

/* The kernel may return a listening socket instead. The local address of the socket is our peer's.
 */
static bool
is_accepted(const struct inet_diag_msg *msg, const struct sockaddr_in *peer,
		const struct sockaddr_in *own)
{
	return msg->idiag_state == TCP_ESTABLISHED && msg->idiag_inode != 0 &&
	       msg->id.idiag_sport == peer->sin_port && msg->id.idiag_dport == own->sin_port;
}

static enum peer_owner
receive_reply(int fd, const struct sockaddr_in *peer, const struct sockaddr_in *own, uid_t *uid)
{
	char buf[4096] __attribute__((aligned(NLMSG_ALIGNTO)));
	const struct nlmsghdr *header = (const struct nlmsghdr *)buf;
	const struct inet_diag_msg *msg = NLMSG_DATA(header);
	struct sockaddr_nl from = { 0 };
	socklen_t len = sizeof(from);
	ssize_t n;

	/* the kernel replies during send() */
	n = recvfrom(fd, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from, &len);
	if (n < 0 || from.nl_pid != 0 || !NLMSG_OK(header, (size_t)n) ||
			header->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
			header->nlmsg_len < NLMSG_LENGTH(sizeof(*msg)))
		return PEER_UNKNOWN;
	if (!is_accepted(msg, peer, own))
		return PEER_PENDING;
	*uid = msg->idiag_uid;
	return PEER_FOUND;
}

enum peer_owner
peer_owner_by_netlink(const struct sockaddr_in *peer, const struct sockaddr_in *own, uid_t *uid)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct diag_request request = {
		.header = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST,
		},
		.body = {
			.sdiag_family = AF_INET, /* also finds connections of an IPv6 listener */
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = ~0U,
			.id = {
				.idiag_sport = peer->sin_port,
				.idiag_dport = own->sin_port,
				.idiag_src = { peer->sin_addr.s_addr },
				.idiag_dst = { own->sin_addr.s_addr },
				.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
			},
		},
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	enum peer_owner found = PEER_UNKNOWN;

	if (fd < 0)
		return PEER_UNKNOWN;
	if (sendto(fd, &request, sizeof(request), 0, (struct sockaddr *)&kernel, sizeof(kernel)) ==
			(ssize_t)sizeof(request))
		found = receive_reply(fd, peer, own, uid);
	close(fd);
	return found;
}

bool
peer_owner_by_table(const char *table, const struct sockaddr_in *peer,
		const struct sockaddr_in *own, uid_t *uid)
{
	char line[512], local[64], remote[64], peer_text[16], own_text[16];
	FILE *f = fopen(table, "re");
	unsigned int state, owner;
	unsigned long inode;
	bool found = false;
	size_t len;

	if (f == NULL)
		return false;
	/* in /proc/net/tcp6 an IPv4 address is the last of four words, after FFFF0000 */
	snprintf(peer_text, sizeof(peer_text), "%08X:%04X", peer->sin_addr.s_addr,
			ntohs(peer->sin_port));
	snprintf(own_text, sizeof(own_text), "%08X:%04X", own->sin_addr.s_addr,
			ntohs(own->sin_port));
	while (!found && fgets(line, sizeof(line), f) != NULL) {
		/* sl local remote st queues timer retransmits uid timeout inode */
		if (sscanf(line, "%*s %63s %63s %x %*s %*s %*s %u %*s %lu", local, remote, &state,
				    &owner, &inode) != 5)
			continue;
		len = strlen(local) == strlen(remote) ? strlen(local) : 0;
		found = (len == 13 || (len == 37 && strncmp(local + 16, "FFFF0000", 8) == 0)) &&
			strcmp(local + len - 13, peer_text) == 0 &&
			strcmp(remote + len - 13, own_text) == 0 && state == TCP_ESTABLISHED &&
			inode != 0;
	}
	fclose(f);
	if (found)
		*uid = owner;
	return found;
}

/* A connection to an address of this host comes from the same address. */
static bool
is_local(const struct sockaddr_in *peer, const struct sockaddr_in *own)
{
	return ntohl(peer->sin_addr.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET ||
	       peer->sin_addr.s_addr == own->sin_addr.s_addr;
}

enum peer_owner
peer_owner_find(int fd, uid_t *uid)
{
	struct sockaddr_in peer, own;
	enum peer_owner found;
	socklen_t peer_len = sizeof(peer), own_len = sizeof(own);

	if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0 ||
			getsockname(fd, (struct sockaddr *)&own, &own_len) < 0)
		return PEER_PENDING;
	if (!is_local(&peer, &own))
		return PEER_REMOTE;
	found = peer_owner_by_netlink(&peer, &own, uid);
	if (found != PEER_UNKNOWN)
		return found;
	/* a kernel without the module tcp_diag finds no socket */
	return peer_owner_by_table("/proc/net/tcp", &peer, &own,
			       uid) || peer_owner_by_table("/proc/net/tcp6", &peer, &own, uid)
			       ? PEER_FOUND
			       : PEER_PENDING;
}
