/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MEMIF_NAME_H
#define MEMIF_NAME_H

#include "security/socket_file.h"

/* The names of a memif socket, see memif/server.h. */
struct memif_name {
	struct socket_file own;
	char common[108]; /* the name that SPP uses */
};

/* Return a listening socket that has both names, or -1 after logging the reason. */
int memif_name_listen(struct memif_name *name, const char *dir, unsigned int number);
/* Close the socket and remove its names, unless another process has them now. */
void memif_name_close(const struct memif_name *name, int fd);

#endif
