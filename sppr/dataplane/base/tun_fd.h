/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_TUN_FD_H
#define BASE_TUN_FD_H

/* The first fd of this process that is a queue of the tun or tap interface of this name; -1 when
 * it has none. net_tap keeps its fds to itself, and sends them to secondaries as it likes.
 */
int tun_fd_find(const char *fdinfo_dir, const char *ifname);

#endif
