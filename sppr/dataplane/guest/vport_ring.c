/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "guest/devices.h"
#include "guest/vport.h"
#include "shm/region.h"

/* The guest's end of a region: the memory of an ivshmem device, mapped without a driver. */
struct vport_ring {
	struct port port;
	struct region region;
	void *base;
};

static unsigned int
ring_rx(struct port *port, struct frame *frames, unsigned int n)
{
	struct region_ring *in = &((struct vport_ring *)port)->region.in;
	unsigned int i, count = region_in_count(in, n), good = 0;

	for (i = 0; i < count; i++) {
		struct frame *f = &frames[good];

		f->data = f->room + FRAME_HEADROOM;
		f->len = region_in_copy(in, i, f->data, FRAME_ROOM);
		good += f->len > 0;
	}
	if (count > 0)
		region_in_release(in, count);
	port->rx_drop += count - good;
	return good;
}

static unsigned int
ring_tx(struct port *port, const struct frame *frames, unsigned int n)
{
	struct region_ring *out = &((struct vport_ring *)port)->region.out;
	unsigned int i, room = region_out_room(out, n);

	for (i = 0; i < room; i++)
		memcpy(region_out_frame(out, i, frames[i].len), frames[i].data, frames[i].len);
	if (room > 0)
		region_out_publish(out, room);
	return room;
}

static int
ring_listen(struct port *port, bool on)
{
	struct region_ring *in = &((struct vport_ring *)port)->region.in;
	uint32_t stale;

	if (on && (stale = region_in_count(in, REGION_SLOTS)) > 0)
		region_in_release(in, stale);
	return 0;
}

static void
ring_close(struct port *port)
{
	munmap(((struct vport_ring *)port)->base, REGION_SIZE);
}

static const struct port_ops ring_ops = {
	.rx = ring_rx,
	.tx = ring_tx,
	.listen = ring_listen,
	.close = ring_close,
};

/* Firmware leaves the memory of a device enabled, a kernel may disable it. */
static void
enable(const char *address)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", address);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) < 0)
		log_line("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void *
map_device(const char *address)
{
	void *base = MAP_FAILED;
	struct stat st;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource2", address);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0) {
		errno = EINVAL;
		if (st.st_size >= (off_t)REGION_SIZE)
			base = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	}
	if (base == MAP_FAILED)
		log_line("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return base;
}

struct port *
vport_ring_open(uint16_t number)
{
	char names[DEVICES_MAX][DEVICE_NAME_SIZE];
	unsigned int n = devices_ivshmem("", names, DEVICES_MAX);
	struct vport_ring *p;

	if (number >= n) {
		log_line("ring:%u: this machine has %u ivshmem devices", number, n);
		return NULL;
	}
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	enable(names[number]);
	p->base = map_device(names[number]);
	if (p->base != MAP_FAILED && region_attach(&p->region, p->base, REGION_GUEST) < 0) {
		log_line("ring:%u: %s has the layout of another version", number, names[number]);
		munmap(p->base, REGION_SIZE);
		p->base = MAP_FAILED;
	}
	if (p->base == MAP_FAILED) {
		free(p);
		return NULL;
	}
	p->port.ops = &ring_ops;
	p->port.id = (struct port_id){ .type = PORT_RING, .number = number };
	p->port.wait_fd = -1;
	log_line("ring:%u is %s", number, names[number]);
	return &p->port;
}
