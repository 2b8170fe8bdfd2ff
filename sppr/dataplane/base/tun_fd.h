/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_TUN_FD_H
#define BASE_TUN_FD_H

/* Find the first fd of this process that is an attached queue of this tun or tap interface. Return
 * -1 if there is none. net_tap does not publish its fds, and sends them to secondaries in any
 * order.
 */
int tun_fd_find(const char *fdinfo_dir, const char *ifname);

#endif
