/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE /* setns */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "ethdev/tap_ends.h"
#include "security/trusted_file.h"

static struct tap_end ends[TAP_ENDS_MAX];
static unsigned int n_ends;

static bool
is_name(const char *text)
{
	return *text != '\0' && *text != '.' &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.") ==
			       strlen(text);
}

int
tap_end_parse(const char *line, struct tap_end *end)
{
	char address[32], *slash, *rest, excess[2];
	unsigned long prefix;

	memset(end, 0, sizeof(*end));
	end->netns_fd = -1;
	end->route_fd = -1;
	if (sscanf(line, "%15s %80s %31s %1s", end->interface, end->netns, address, excess) != 3 ||
			!is_name(end->interface) || !is_name(end->netns))
		return -1;
	if (strcmp(address, "-") == 0)
		return 0;
	slash = strchr(address, '/');
	if (slash == NULL || slash[1] < '0' || slash[1] > '9')
		return -1;
	*slash = '\0';
	prefix = strtoul(slash + 1, &rest, 10);
	if (*rest != '\0' || prefix < 1 || prefix > 32 ||
			inet_pton(AF_INET, address, &end->address) != 1)
		return -1;
	end->prefix = (unsigned int)prefix;
	end->has_address = true;
	return 0;
}

/* Open a netlink socket in the namespace. A netlink socket stays in the namespace where it was
 * created.
 */
static int
open_namespace(struct tap_end *end)
{
	char path[sizeof("/run/netns/") + TAP_ENDS_NAME];
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	snprintf(path, sizeof(path), "/run/netns/%s", end->netns);
	end->netns_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (own < 0 || end->netns_fd < 0 || setns(end->netns_fd, CLONE_NEWNET) < 0) {
		log_line("%s stays in the host's namespace: %s: %s", end->interface, path,
				strerror(errno));
		if (own >= 0)
			close(own);
		return -1;
	}
	end->route_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (end->route_fd < 0)
		log_line("%s stays in the host's namespace: netlink: %s", end->interface,
				strerror(errno));
	if (setns(own, CLONE_NEWNET) < 0) {
		log_line("cannot return to the host's network namespace: %s", strerror(errno));
		abort(); /* the controller would be unreachable */
	}
	close(own);
	return end->route_fd < 0 ? -1 : 0;
}

void
tap_ends_open(const char *path)
{
	const char *why;
	char line[256];
	FILE *f;
	int fd;

	if (*path == '\0')
		return;
	fd = trusted_file_open(path, O_RDONLY, 0, &why);
	if (fd < 0) {
		if (errno != ENOENT)
			log_line("%s: %s; not used", path, why);
		return;
	}
	f = fdopen(fd, "r");
	if (f == NULL) {
		close(fd);
		return;
	}
	while (fgets(line, sizeof(line), f) != NULL) {
		if (n_ends == TAP_ENDS_MAX) {
			log_line("%s: more than %u ends; the others stay in the host's namespace",
					path, TAP_ENDS_MAX);
			break;
		}
		if (tap_end_parse(line, &ends[n_ends]) < 0)
			log_line("%s: malformed line", path);
		else if (open_namespace(&ends[n_ends]) == 0)
			n_ends++;
	}
	fclose(f);
}

struct netlink_request {
	struct nlmsghdr head;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
	};
	char attributes[64];
};

static void
put(struct netlink_request *r, unsigned short type, const void *data, unsigned short len)
{
	struct rtattr *attribute = (struct rtattr *)((char *)r + NLMSG_ALIGN(r->head.nlmsg_len));

	attribute->rta_type = type;
	attribute->rta_len = RTA_LENGTH(len);
	memcpy(RTA_DATA(attribute), data, len);
	r->head.nlmsg_len = NLMSG_ALIGN(r->head.nlmsg_len) + RTA_ALIGN(attribute->rta_len);
}

/* Send a request and wait for the kernel's reply. Returns 0, or -1 with errno. */
static int
send_request(int fd, struct netlink_request *r)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char excess[256];
	} reply;

	r->head.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (send(fd, r, r->head.nlmsg_len, 0) < 0)
		return -1;
	if (recv(fd, &reply, sizeof(reply), 0) < (ssize_t)NLMSG_LENGTH(sizeof(reply.error)) ||
			reply.head.nlmsg_type != NLMSG_ERROR) {
		errno = EPROTO;
		return -1;
	}
	errno = -reply.error.error;
	return reply.error.error == 0 ? 0 : -1;
}

static struct netlink_request
new_request(unsigned short type, size_t body)
{
	struct netlink_request r;

	memset(&r, 0, sizeof(r));
	r.head.nlmsg_type = type;
	r.head.nlmsg_len = NLMSG_LENGTH(body);
	return r;
}

static int
move(const struct tap_end *end, int host)
{
	struct netlink_request r = new_request(RTM_NEWLINK, sizeof(r.link));

	r.link.ifi_index = (int)if_nametoindex(end->interface);
	if (r.link.ifi_index == 0)
		return -1;
	put(&r, IFLA_NET_NS_FD, &end->netns_fd, sizeof(end->netns_fd));
	return send_request(host, &r);
}

static int
index_in_namespace(const struct tap_end *end)
{
	struct netlink_request r = new_request(RTM_GETLINK, sizeof(r.link));
	char reply[8192];
	const struct nlmsghdr *head = (const struct nlmsghdr *)reply;

	put(&r, IFLA_IFNAME, end->interface, (unsigned short)(strlen(end->interface) + 1));
	r.head.nlmsg_flags = NLM_F_REQUEST;
	if (send(end->route_fd, &r, r.head.nlmsg_len, 0) < 0 ||
			recv(end->route_fd, reply, sizeof(reply), 0) <
					(ssize_t)NLMSG_LENGTH(sizeof(r.link)) ||
			head->nlmsg_type != RTM_NEWLINK)
		return 0;
	return ((const struct ifinfomsg *)NLMSG_DATA(head))->ifi_index;
}

static int
configure(const struct tap_end *end)
{
	struct netlink_request r = new_request(RTM_NEWADDR, sizeof(r.address));
	int index = index_in_namespace(end);

	if (index == 0)
		return -1;
	if (end->has_address) {
		r.address.ifa_family = AF_INET;
		r.address.ifa_prefixlen = (unsigned char)end->prefix;
		r.address.ifa_index = (unsigned int)index;
		put(&r, IFA_LOCAL, &end->address, sizeof(end->address));
		put(&r, IFA_ADDRESS, &end->address, sizeof(end->address));
		r.head.nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
		if (send_request(end->route_fd, &r) < 0)
			return -1;
	}
	r = new_request(RTM_NEWLINK, sizeof(r.link));
	r.link.ifi_index = index;
	r.link.ifi_flags = IFF_UP;
	r.link.ifi_change = IFF_UP;
	return send_request(end->route_fd, &r);
}

void
tap_ends_move(void)
{
	int host = n_ends == 0 ? -1 : socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	unsigned int i;

	for (i = 0; i < n_ends; i++) {
		if (host < 0 || move(&ends[i], host) < 0)
			log_line("%s stays in the host's namespace: %s", ends[i].interface,
					strerror(errno));
		else if (configure(&ends[i]) < 0)
			log_line("%s is in namespace %s, without its address: %s",
					ends[i].interface, ends[i].netns, strerror(errno));
		else
			log_line("%s is in namespace %s", ends[i].interface, ends[i].netns);
		close(ends[i].netns_fd);
		close(ends[i].route_fd);
	}
	if (host >= 0)
		close(host);
	n_ends = 0;
}
