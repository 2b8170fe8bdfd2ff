/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MEMIF_NAME_H
#define MEMIF_NAME_H

#include <stdbool.h>
#include <sys/stat.h>

/* The names of a memif socket; see memif_server.h. */
struct memif_name {
	char own[108];
	char common[108]; /* SPP's */
	dev_t dev;	  /* of the socket we made */
	ino_t ino;
};

/* A listening socket under both names, or -1 after saying why. */
int memif_name_listen(struct memif_name *name, const char *dir, unsigned int number);
/* Closes it and removes the names that are still ours. */
void memif_name_close(const struct memif_name *name, int fd);

#endif
