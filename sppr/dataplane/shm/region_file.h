/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_REGION_FILE_H
#define SHM_REGION_FILE_H

/* The host's end of a region is a file, which QEMU maps too. */

/* Opens the file, makes it when it is missing, locks it against every other process that comes
 * this way, and maps it. The file's descriptor, which holds the lock; -1 after saying why not.
 */
int region_file_open(const char *path, void **base);
void region_file_close(int fd, void *base);

#endif
