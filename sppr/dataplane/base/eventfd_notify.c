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
eventfd_notify_open(struct eventfd_notify *notify)
{
	notify->context = 0;
	notify->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (notify->null_fd < 0 || syscall(SYS_io_setup, 1, &notify->context) < 0) {
		log_line("asynchronous I/O is not available: %s", strerror(errno));
		eventfd_notify_close(notify);
		return -1;
	}
	return 0;
}

void
eventfd_notify_close(struct eventfd_notify *notify)
{
	if (notify->context != 0)
		syscall(SYS_io_destroy, notify->context);
	if (notify->null_fd >= 0)
		close(notify->null_fd);
	notify->context = 0;
	notify->null_fd = -1;
}

void
eventfd_notify_send(const struct eventfd_notify *notify, int eventfd)
{
	struct io_event done;
	struct iocb read = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)notify->null_fd,
		.aio_buf = (uint64_t)(uintptr_t)&done,
		.aio_nbytes = 1,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)eventfd,
	};
	struct iocb *list = &read;

	if (syscall(SYS_io_submit, notify->context, 1, &list) == 1)
		syscall(SYS_io_getevents, notify->context, 0, 1, &done, NULL);
}
