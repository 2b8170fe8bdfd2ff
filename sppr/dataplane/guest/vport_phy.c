/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "guest/vport.h"

#define BUFFER_BYTES (4 << 20)
#define MACS 12 /* both addresses; the VLAN tag follows */

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

/* A NIC that stays with the kernel. The socket that receives exists only while a patch reads from
 * the port, so no old frames wait in it.
 */
struct vport_phy {
	struct port port;
	int index;
	int tx_fd;
};

static int
open_socket(int index, uint16_t protocol)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = index };
	struct packet_mreq promiscuous = { .mr_ifindex = index, .mr_type = PACKET_MR_PROMISC };
	int one = 1, bytes = BUFFER_BYTES;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	address.sll_protocol = htons(protocol);
	/* set options before bind, so that they apply to every frame */
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) == 0 &&
			setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)) == 0 &&
			setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous,
					sizeof(promiscuous)) == 0 &&
			bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The kernel removes a VLAN tag from the frame and delivers it as ancillary data. Insert it again.
 */
static void
put_tag_back(struct frame *f, struct msghdr *msg)
{
	struct cmsghdr *c;
	struct tpacket_auxdata aux;
	uint16_t tag[2];

	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if ((aux.tp_status & TP_STATUS_VLAN_VALID) == 0 || f->len < MACS)
			return;
		tag[0] = htons((aux.tp_status & TP_STATUS_VLAN_TPID_VALID) ? aux.tp_vlan_tpid
									   : ETH_P_8021Q);
		tag[1] = htons(aux.tp_vlan_tci);
		memmove(f->data - sizeof(tag), f->data, MACS);
		f->data -= sizeof(tag);
		f->len += sizeof(tag);
		memcpy(f->data + MACS, tag, sizeof(tag));
		return;
	}
}

static unsigned int
phy_rx(struct port *port, struct frame *frames, unsigned int n)
{
	static union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control[VPORT_BURST];
	struct mmsghdr msgs[VPORT_BURST];
	struct iovec iov[VPORT_BURST];
	int i, got, good = 0;

	memset(msgs, 0, sizeof(msgs));
	for (i = 0; i < (int)n; i++) {
		/* leave room for the tag */
		iov[i] = (struct iovec){ frames[i].room + FRAME_HEADROOM,
			FRAME_ROOM - FRAME_HEADROOM };
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
		msgs[i].msg_hdr.msg_control = &control[i];
		msgs[i].msg_hdr.msg_controllen = sizeof(control[i]);
	}
	got = recvmmsg(port->wait_fd, msgs, n, MSG_DONTWAIT, NULL);
	port->ready = got == (int)n;
	for (i = 0; i < got; i++) {
		struct frame *f = &frames[good];

		if ((msgs[i].msg_hdr.msg_flags & MSG_TRUNC) != 0 || msgs[i].msg_len < ETH_HLEN) {
			port->rx_drop++;
			continue;
		}
		f->data = f->room + FRAME_HEADROOM;
		f->len = msgs[i].msg_len;
		if (good != i)
			memcpy(f->data, frames[i].room + FRAME_HEADROOM, f->len);
		put_tag_back(f, &msgs[i].msg_hdr);
		good++;
	}
	return (unsigned int)good;
}

static unsigned int
phy_tx(struct port *port, const struct frame *frames, unsigned int n)
{
	struct mmsghdr msgs[VPORT_BURST];
	struct iovec iov[VPORT_BURST];
	unsigned int i, sent = 0;
	int done;

	memset(msgs, 0, sizeof(msgs));
	for (i = 0; i < n; i++) {
		iov[i] = (struct iovec){ frames[i].data, frames[i].len };
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	/* sendmmsg stops at a frame that fails: skip that frame */
	for (i = 0; i < n; i += (unsigned int)done) {
		done = sendmmsg(((struct vport_phy *)port)->tx_fd, &msgs[i], n - i, MSG_DONTWAIT);
		if (done > 0)
			sent += (unsigned int)done;
		else
			done = 1;
	}
	return sent;
}

static int
phy_listen(struct port *port, bool on)
{
	struct vport_phy *p = (struct vport_phy *)port;

	if (port->wait_fd >= 0)
		close(port->wait_fd);
	port->wait_fd = on ? open_socket(p->index, ETH_P_ALL) : -1;
	if (on && port->wait_fd < 0)
		log_line("phy:%u: %s", port->id.number, strerror(errno));
	return on && port->wait_fd < 0 ? -1 : 0;
}

static void
phy_close(struct port *port)
{
	if (port->wait_fd >= 0)
		close(port->wait_fd);
	close(((struct vport_phy *)port)->tx_fd);
}

static const struct port_ops phy_ops = {
	.rx = phy_rx,
	.tx = phy_tx,
	.listen = phy_listen,
	.close = phy_close,
};

/* Set the interface up, without offloads that merge frames or leave checksums open. A NIC that does
 * not know an offload has it off.
 */
static void
bring_up(int fd, const char *interface)
{
	static const uint32_t commands[] = { ETHTOOL_SGRO, ETHTOOL_SRXCSUM, ETHTOOL_SGSO,
		ETHTOOL_STSO };
	struct ethtool_value off = { .data = 0 };
	struct ifreq req;
	size_t i;

	memset(&req, 0, sizeof(req));
	snprintf(req.ifr_name, IFNAMSIZ, "%s", interface);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		off.cmd = commands[i];
		req.ifr_data = (char *)&off;
		ioctl(fd, SIOCETHTOOL, &req);
	}
	if (ioctl(fd, SIOCGIFFLAGS, &req) == 0) {
		req.ifr_flags |= IFF_UP;
		ioctl(fd, SIOCSIFFLAGS, &req);
	}
}

struct port *
vport_phy_open(uint16_t number, const char *interface)
{
	struct vport_phy *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->index = (int)if_nametoindex(interface);
	p->tx_fd = p->index == 0 ? -1 : open_socket(p->index, 0);
	if (p->tx_fd < 0) {
		log_line("phy:%u, %s: %s", number, interface, strerror(errno));
		free(p);
		return NULL;
	}
	bring_up(p->tx_fd, interface);
	p->port.ops = &phy_ops;
	p->port.id = (struct port_id){ .type = PORT_PHY, .number = number };
	p->port.wait_fd = -1;
	p->port.fixed = true;
	log_line("phy:%u is %s", number, interface);
	return &p->port;
}
