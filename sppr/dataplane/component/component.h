/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMPONENT_COMPONENT_H
#define COMPONENT_COMPONENT_H

#include "app.h"

/* Components of spp_vf and spp_mirror: what SPP calls a worker with its ports. Each becomes patches
 * of its rx ports (port/port.h), pinned to the lcore of the component, so that the one worker loop
 * runs them.
 */

#define MAX_COMPONENTS 128
#define MAX_ATTACHMENTS 512
#define COMPONENT_NAME_SIZE 32

enum component_type {
	COMPONENT_NONE,
	COMPONENT_FORWARD,    /* 1 rx, 1 tx */
	COMPONENT_MERGE,      /* many rx, 1 tx */
	COMPONENT_CLASSIFIER, /* 1 rx, many tx */
	COMPONENT_MIRROR,     /* 1 rx, 2 tx */
};

struct component {
	char name[COMPONENT_NAME_SIZE];
	enum component_type type;
	unsigned int lcore;
};

struct attachment {
	unsigned int component; /* index */
	struct port *port;
	bool tx;
	struct port_side side;
};

/* An entry of the classifier table: frames of this VLAN to this MAC address leave by the port. */
struct class_entry {
	struct port *port;
	struct match match;
	bool is_default; /* frames of this VLAN that have no entry */
};

struct component_set {
	struct component component[MAX_COMPONENTS];
	unsigned int n;
	struct attachment attachment[MAX_ATTACHMENTS];
	unsigned int nattachments;
	struct class_entry entry[MAX_PORTS];
	unsigned int nentries;
};

/* The components of this process. Changed on the control thread only. */
extern struct component_set components;

const char *component_type_name(enum component_type type);

/* Return the index of a component, or -1. */
int component_find(const char *name);

/* Return the index of the attachment of a side of a port, or -1. */
int component_find_attachment(const struct port *port, bool tx);

/* Return the entry of a port in the classifier table, or NULL. */
struct class_entry *component_find_entry(const struct port *port);

/* Each of these changes the components and the patches of the workers. They return false after
 * logging the reason; then nothing has changed.
 */
bool component_start(
		struct app *app, const char *name, unsigned int lcore, enum component_type type);
bool component_stop(struct app *app, const char *name);
/* Attach a side of a port, which is opened if it does not exist. If it is attached to this
 * component, change its VLAN operation.
 */
bool component_attach(struct app *app, unsigned int component, struct port_id id, bool tx,
		struct port_side side);
bool component_detach(struct app *app, unsigned int component, struct port_id id, bool tx);
bool component_add_entry(struct app *app, struct class_entry entry);
bool component_del_entry(struct app *app, const struct port *port);

#endif
