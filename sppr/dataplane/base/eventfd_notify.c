/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/eventfd_notify.h"
#include "base/log.h"

int
kick_open(struct kick *kick)
{
	kick->context = 0;
	kick->nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (kick->nothing < 0 || syscall(SYS_io_setup, 1, &kick->context) < 0) {
		say("no asynchronous I/O to send events by: %s", strerror(errno));
		kick_close(kick);
		return -1;
	}
	return 0;
}

void
kick_close(struct kick *kick)
{
	if (kick->context != 0)
		syscall(SYS_io_destroy, kick->context);
	if (kick->nothing >= 0)
		close(kick->nothing);
	kick->context = 0;
	kick->nothing = -1;
}

void
kick_send(const struct kick *kick, int eventfd)
{
	struct io_event done;
	struct iocb read = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)kick->nothing,
		.aio_buf = (uint64_t)(uintptr_t)&done,
		.aio_nbytes = 1,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)eventfd,
	};
	struct iocb *list = &read;

	if (syscall(SYS_io_submit, kick->context, 1, &list) == 1)
		syscall(SYS_io_getevents, kick->context, 0, 1, &done, NULL);
}
