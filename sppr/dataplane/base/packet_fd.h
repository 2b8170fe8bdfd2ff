/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_PACKET_FD_H
#define BASE_PACKET_FD_H

/* Return the lowest fd of this process that is a packet socket of TPACKET_V2, bound to this
 * interface, or -1. fd_dir: /proc/self/fd. It is readable while the newest frame is unread.
 */
int packet_fd_find(const char *fd_dir, unsigned int ifindex);

#endif
