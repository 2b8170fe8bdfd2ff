/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_REGION_FILE_H
#define SHM_REGION_FILE_H

/* The host's end of a region is a file that QEMU maps as well. */

/* Open the file, create it if it is missing, lock it against other processes of sppr, and map it.
 * Return its fd, which holds the lock, or -1 after logging the reason.
 */
int region_file_open(const char *path, void **base);
void region_file_close(int fd, void *base);

#endif
