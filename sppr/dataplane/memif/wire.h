/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MEMIF_WIRE_H
#define MEMIF_WIRE_H

#include <assert.h>
#include <stdint.h>

/* The messages of memif 2.0: 128 bytes each, with fds as ancillary data. The client creates the
 * memory and the rings in it. This process is the server.
 */
#define MEMIF_VERSION 0x0200
#define MEMIF_COOKIE 0x3E31F20U
#define MEMIF_NAME 32
#define MEMIF_LOG2_MAX 14 /* limit of the descriptors of a ring */

enum memif_type {
	MEMIF_ACK = 1,
	MEMIF_HELLO,
	MEMIF_INIT,
	MEMIF_ADD_REGION, /* with the memory's fd */
	MEMIF_ADD_RING,	  /* with an eventfd */
	MEMIF_CONNECT,
	MEMIF_CONNECTED,
	MEMIF_DISCONNECT,
};

#define PACKED __attribute__((packed))

struct memif_hello {
	char name[MEMIF_NAME];
	uint16_t min_version;
	uint16_t max_version;
	uint16_t max_region; /* highest index, also in the next two */
	uint16_t max_to_client;
	uint16_t max_to_server;
	uint8_t max_log2;
} PACKED;

struct memif_init {
	uint16_t version;
	uint32_t id;
	uint8_t mode; /* 0: Ethernet */
	uint8_t secret[24];
	char name[MEMIF_NAME];
} PACKED;

struct memif_add_region {
	uint16_t index;
	uint64_t size;
} PACKED;

#define MEMIF_TO_SERVER 1

struct memif_add_ring {
	uint16_t flags;
	uint16_t index;
	uint16_t region;
	uint32_t offset;
	uint8_t log2;
	uint16_t private_header;
} PACKED;

struct memif_connect {
	char name[MEMIF_NAME];
} PACKED;

struct memif_disconnect {
	uint32_t code;
	char reason[96];
} PACKED;

struct memif_message {
	uint16_t type;
	union {
		struct memif_hello hello;
		struct memif_init init;
		struct memif_add_region region;
		struct memif_add_ring ring;
		struct memif_connect connect;
		struct memif_connect connected;
		struct memif_disconnect disconnect;
		uint8_t size[126];
	} PACKED;
} PACKED;

static_assert(sizeof(struct memif_message) == 128, "a message is 128 bytes");

#undef PACKED

/* The layout of a ring in shared memory. */
#define MEMIF_RING_COOKIE 0
#define MEMIF_RING_FLAGS 4
#define MEMIF_RING_HEAD 6
#define MEMIF_RING_TAIL 64
#define MEMIF_RING_DESC 128
#define MEMIF_NO_INTERRUPT 1 /* flag, set by the reader of the ring */

#define MEMIF_DESC_SIZE 16
#define MEMIF_DESC_FLAGS 0
#define MEMIF_DESC_REGION 2
#define MEMIF_DESC_LENGTH 4
#define MEMIF_DESC_OFFSET 8
#define MEMIF_MORE 1 /* the frame continues in the next descriptor */

#endif
