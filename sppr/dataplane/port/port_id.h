/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_PORT_ID_H
#define PORT_PORT_ID_H

#include <stdint.h>

/* The name of a port on the wire is `type:number`; SPP calls it a resource uid. A queue of a port
 * that has several is `phy:0nq3`. A status spells it `phy:0 nq 3`. A channel of a link is written
 * as a queue.
 */

/* The form of the text after the colon. */
enum port_id_form {
	PORT_ID_NUMBER,	    /* `N` */
	PORT_ID_QUEUES,	    /* `N`, or `NnqQ` for one queue of an ethdev */
	PORT_ID_NOT_A_PORT, /* no port id; the type has commands of its own */
};

/* The port types: the constant, the object port_type_NAME in port/types/, the name in commands, and
 * the form of the number. A new type is one line here, one file there, and its name in
 * sppr/spp/names.py. The constants are used in shared memory, so all processes of a lab must be of
 * one build. The primary's status has the members of the types in this order.
 */
#define PORT_TYPES(TYPE)                                       \
	TYPE(PORT_PHY, phy, "phy", PORT_ID_QUEUES)             \
	TYPE(PORT_RING, ring, "ring", PORT_ID_NUMBER)          \
	TYPE(PORT_VHOST, vhost, "vhost", PORT_ID_NUMBER)       \
	TYPE(PORT_TAP, tap, "tap", PORT_ID_QUEUES)             \
	TYPE(PORT_NULL, null, "nullpmd", PORT_ID_QUEUES)       \
	TYPE(PORT_PCAP, pcap, "pcap", PORT_ID_NUMBER)          \
	TYPE(PORT_MEMIF, memif, "memif", PORT_ID_NUMBER)       \
	TYPE(PORT_IVSHMEM, ivshmem, "ivshmem", PORT_ID_NUMBER) \
	TYPE(PORT_PROBE, probe, "probe", PORT_ID_NUMBER)       \
	TYPE(PORT_LINK, link, "link", PORT_ID_QUEUES)          \
	TYPE(PORT_PIPE, pipe, "pipe", PORT_ID_NOT_A_PORT)

#define PORT_TYPE_CONSTANT(constant, object, name, form) constant,
enum port_type_id {
	PORT_TYPES(PORT_TYPE_CONSTANT) N_PORT_TYPES
};
#undef PORT_TYPE_CONSTANT

#define PORT_ID_MAX_NUMBER 9999
#define PORT_ID_MAX_QUEUE 1023
#define PORT_ID_STRLEN 24

struct port_id {
	enum port_type_id type;
	uint16_t number;
	uint16_t nq; /* number of the queue + 1; 0: the port has one queue */
};

int port_id_parse(const char *text, struct port_id *id);
void port_id_format(struct port_id id, char text[PORT_ID_STRLEN]);
void port_id_format_status(struct port_id id, char text[PORT_ID_STRLEN]);
int port_id_equal(struct port_id a, struct port_id b);

/* Parse the number of a port: digits without a leading zero. Returns 0 or -1. */
int port_id_parse_number(const char *text, uint16_t *number);

#endif
