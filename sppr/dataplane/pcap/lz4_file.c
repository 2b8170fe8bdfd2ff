/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "pcap/lz4_file.h"
#include "security/sudo_user.h"
#include "security/trusted_file.h"

#define MAX_PIECE 65536 /* bytes given to LZ4 at once */
#define SNAPLEN 65535
#define LINK_ETHERNET 1

/* The formats of libpcap's file and frame header. */
struct file_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy, snaplen, link;
};

struct frame_header {
	uint32_t seconds, microseconds, captured, length;
};

static const LZ4F_preferences_t preferences = {
	.frameInfo = { .blockSizeID = LZ4F_max256KB, .blockMode = LZ4F_blockLinked },
};

static void
temporary_path(const struct lz4_file *f, char path[256 + 8])
{
	snprintf(path, 256 + 8, "%s.tmp", f->path);
}

static void
release(struct lz4_file *f)
{
	if (f->file != NULL)
		fclose(f->file);
	f->file = NULL;
	LZ4F_freeCompressionContext(f->context);
	f->context = NULL;
	free(f->compressed);
	f->compressed = NULL;
}

static bool
failed(struct lz4_file *f, const char *why)
{
	log_line("%s.tmp: %s", f->path, why);
	release(f);
	return false;
}

static bool
put(struct lz4_file *f, size_t size)
{
	if (LZ4F_isError(size))
		return failed(f, LZ4F_getErrorName(size));
	if (size == 0 || fwrite(f->compressed, size, 1, f->file) == 1)
		return true;
	return failed(f, strerror(errno));
}

static int
create(const struct lz4_file *f)
{
	char path[256 + 8];
	const char *why;
	int fd;

	temporary_path(f, path);
	sudo_user_enter();
	fd = trusted_file_open(path, O_WRONLY | O_CREAT | O_EXCL, 0640, &why);
	sudo_user_leave();
	if (fd < 0)
		log_line("%s: %s", path, why);
	return fd;
}

bool
lz4_file_open(struct lz4_file *f, const char *path)
{
	const struct file_header header = { 0xa1b2c3d4, 2, 4, 0, 0, SNAPLEN, LINK_ETHERNET };
	int fd;

	memset(f, 0, sizeof(*f));
	snprintf(f->path, sizeof(f->path), "%s", path);
	fd = create(f);
	if (fd < 0)
		return false;
	f->file = fdopen(fd, "w");
	f->capacity = LZ4F_compressBound(MAX_PIECE, &preferences);
	f->compressed = malloc(f->capacity);
	if (f->file == NULL)
		close(fd);
	if (f->file == NULL || f->compressed == NULL ||
			LZ4F_isError(LZ4F_createCompressionContext(&f->context, LZ4F_VERSION)))
		return failed(f, "no memory");
	if (!put(f, LZ4F_compressBegin(f->context, f->compressed, f->capacity, &preferences)))
		return false;
	if (fflush(f->file) != 0) /* report a full disk now */
		return failed(f, strerror(errno));
	return lz4_file_write(f, &header, sizeof(header));
}

bool
lz4_file_write(struct lz4_file *f, const void *data, size_t size)
{
	const char *at = data;
	size_t piece;

	f->size += size;
	for (; size > 0; at += piece, size -= piece) {
		piece = size < MAX_PIECE ? size : MAX_PIECE;
		if (!put(f, LZ4F_compressUpdate(f->context, f->compressed, f->capacity, at, piece,
					    NULL)))
			return false;
	}
	return true;
}

bool
lz4_file_frame(struct lz4_file *f, const struct timespec *time, uint32_t captured, uint32_t length)
{
	struct frame_header header = { (uint32_t)time->tv_sec, (uint32_t)(time->tv_nsec / 1000),
		captured, length };

	return lz4_file_write(f, &header, sizeof(header));
}

bool
lz4_file_close(struct lz4_file *f)
{
	char path[256 + 8];
	FILE *file;

	if (f->file == NULL)
		return true;
	if (!put(f, LZ4F_compressEnd(f->context, f->compressed, f->capacity, NULL)))
		return false;
	file = f->file;
	f->file = NULL;
	release(f);
	temporary_path(f, path);
	if (fclose(file) != 0 ||
			renameat2(AT_FDCWD, path, AT_FDCWD, f->path, RENAME_NOREPLACE) < 0) {
		log_line("%s: %s", path, strerror(errno));
		return false;
	}
	log_line("%s: complete", f->path);
	return true;
}
