/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef REGIONFILE_H
#define REGIONFILE_H

/* The host's end of a region is a file, which QEMU maps too. */

/* Opens the file, makes it when it is missing, locks it against every other process that comes
 * this way, and maps it. The file's descriptor, which holds the lock; -1 after saying why not.
 */
int regionfile_open(const char *path, void **base);
void regionfile_close(int fd, void *base);

#endif
