/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TUNFD_H
#define TUNFD_H

/* The first fd of this process that is a queue of the tun or tap interface of this name; -1 when
 * it has none. net_tap keeps its fds to itself, and sends them to secondaries as it likes.
 */
int tunfd_find(const char *fdinfo_dir, const char *ifname);

#endif
