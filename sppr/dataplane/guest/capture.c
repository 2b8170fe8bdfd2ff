/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/json.h"
#include "guest/capture.h"

#define SIDES_MAX 8
#define BUFFER_SIZE (1U << 20) /* a power of two */
#define IDLE_NS 5000000000ULL
#define SNAPLEN_MIN 64
#define SNAPLEN_MAX 262144UL
#define BASE64_SIZE ((FRAME_ROOM + FRAME_HEADROOM + 2) / 3 * 4 + 1)
#define ENTRY_OVERHEAD 64  /* of one frame in a reply, without its bytes */
#define REPLY_OVERHEAD 512 /* of a reply, without its frames */

bool guest_capture_active;

struct side {
	const struct port *port; /* NULL: free */
	bool tx;
	uint32_t snaplen;
	uint32_t generation; /* frames of an earlier capture of this entry are not read */
	uint64_t dropped;    /* since the last read */
};

struct record {
	uint64_t ns; /* CLOCK_MONOTONIC */
	uint32_t side;
	uint32_t generation;
	uint32_t length;   /* of the frame */
	uint32_t captured; /* bytes that follow */
};

/* The indices count bytes and never wrap. */
static struct {
	struct side side[SIDES_MAX];
	uint64_t head, tail;
	uint64_t last_read_ns;
	uint32_t generation;
	uint8_t buffer[BUFFER_SIZE];
} captures;

static void
copy_in(uint64_t at, const void *from, size_t n)
{
	size_t start = at & (BUFFER_SIZE - 1), first = BUFFER_SIZE - start;

	if (first > n)
		first = n;
	memcpy(captures.buffer + start, from, first);
	memcpy(captures.buffer, (const uint8_t *)from + first, n - first);
}

static void
copy_out(void *to, uint64_t at, size_t n)
{
	size_t start = at & (BUFFER_SIZE - 1), first = BUFFER_SIZE - start;

	if (first > n)
		first = n;
	memcpy(to, captures.buffer + start, first);
	memcpy((uint8_t *)to + first, captures.buffer, n - first);
}

static void
stop_all(void)
{
	memset(captures.side, 0, sizeof(captures.side));
	captures.tail = captures.head;
	guest_capture_active = false;
}

static void
append(unsigned int side, uint64_t ns, const struct frame *frame)
{
	struct side *s = &captures.side[side];
	struct record record = { ns, side, s->generation, frame->len, frame->len };

	if (record.captured > s->snaplen)
		record.captured = s->snaplen;
	if (BUFFER_SIZE - (captures.head - captures.tail) < sizeof(record) + record.captured) {
		s->dropped++;
		return;
	}
	copy_in(captures.head, &record, sizeof(record));
	copy_in(captures.head + sizeof(record), frame->data, record.captured);
	captures.head += sizeof(record) + record.captured;
}

void
guest_capture_frames(const struct port *port, bool tx, const struct frame *frames, unsigned int n)
{
	uint64_t ns = monotonic_ns();
	unsigned int i, k;

	if (ns - captures.last_read_ns > IDLE_NS) {
		log_line("capture: nobody read it for 5 s");
		stop_all();
		return;
	}
	for (i = 0; i < SIDES_MAX; i++)
		if (captures.side[i].port == port && captures.side[i].tx == tx)
			for (k = 0; k < n; k++)
				append(i, ns, &frames[k]);
}

void
guest_capture_forget(const struct port *port)
{
	unsigned int i;

	for (i = 0; i < SIDES_MAX; i++)
		if (captures.side[i].port == port)
			captures.side[i] = (struct side){ .port = NULL };
}

/* Return the entry of a side, a free one for a new side, or NULL. */
static struct side *
find_side(const struct port *port, bool tx)
{
	struct side *found = NULL;
	unsigned int i;

	for (i = 0; i < SIDES_MAX; i++) {
		if (captures.side[i].port == port && captures.side[i].tx == tx)
			return &captures.side[i];
		if (captures.side[i].port == NULL && found == NULL)
			found = &captures.side[i];
	}
	if (found == NULL)
		log_line("a guest has %d captures at most", SIDES_MAX);
	return found;
}

static bool
parse_snaplen(const char *text, uint32_t *snaplen)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	*snaplen = (uint32_t)value;
	if (*text >= '1' && *text <= '9' && *end == '\0' && value >= SNAPLEN_MIN &&
			value <= SNAPLEN_MAX)
		return true;
	log_line("the snaplen must be %d to %lu", SNAPLEN_MIN, SNAPLEN_MAX);
	return false;
}

static bool
start(struct request *r)
{
	bool tx = strcmp(request_word(r, 3), "tx") == 0;
	const struct port *port;
	struct port_id id;
	struct side *side;
	uint32_t snaplen;

	if (!request_has_words(r, 5) || !request_port(r, 2, &id))
		return false;
	port = port_table_find(&r->app->ports, id);
	if (port == NULL || (!tx && strcmp(request_word(r, 3), "rx") != 0)) {
		log_line(port == NULL ? "no such port" : "the side must be rx or tx");
		return false;
	}
	if (!parse_snaplen(request_word(r, 4), &snaplen))
		return false;
	side = find_side(port, tx);
	if (side == NULL)
		return false;
	*side = (struct side){ port, tx, snaplen, ++captures.generation, 0 };
	captures.last_read_ns = monotonic_ns();
	guest_capture_active = true;
	return true;
}

static void
encode_base64(char *text, const uint8_t *bytes, uint32_t n)
{
	static const char digits[] =
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t i, group;

	for (i = 0; i < n; i += 3, text += 4) {
		group = (uint32_t)bytes[i] << 16;
		group |= i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0;
		group |= i + 2 < n ? bytes[i + 2] : 0;
		text[0] = digits[group >> 18];
		text[1] = digits[group >> 12 & 63];
		text[2] = i + 1 < n ? digits[group >> 6 & 63] : '=';
		text[3] = i + 2 < n ? digits[group & 63] : '=';
	}
	*text = '\0';
}

/* `[SIDE, TIME_NS, LENGTH, "BASE64"]` */
static void
put_frame(struct json *w, const struct record *record)
{
	uint8_t bytes[FRAME_ROOM + FRAME_HEADROOM];
	char text[BASE64_SIZE];

	copy_out(bytes, captures.tail + sizeof(*record), record->captured);
	encode_base64(text, bytes, record->captured);
	json_array(w, NULL);
	json_uint(w, NULL, record->side);
	json_uint(w, NULL, record->ns);
	json_uint(w, NULL, record->length);
	json_string(w, NULL, text);
	json_end(w);
}

/* `["phy:0", "rx", DROPPED]`, or `["", "rx", 0]` for a free entry */
static void
put_side(struct json *w, struct side *side)
{
	char text[PORT_ID_STRLEN] = "";

	if (side->port != NULL)
		port_id_format(side->port->id, text);
	json_array(w, NULL);
	json_string(w, NULL, text);
	json_string(w, NULL, side->tx ? "tx" : "rx");
	json_uint(w, NULL, side->dropped);
	json_end(w);
	side->dropped = 0;
}

/* Move the oldest frames that fit into the reply. */
static void
read_frames(struct request *r)
{
	struct record record;
	struct json w;
	unsigned int i;
	size_t need;

	if (monotonic_ns() - captures.last_read_ns > IDLE_NS)
		stop_all();
	captures.last_read_ns = monotonic_ns();
	json_start(&w, r->reply, REPLY_SIZE);
	json_string(&w, "result", "succeeded");
	json_uint(&w, "clock_ns", captures.last_read_ns);
	json_bool(&w, "active", guest_capture_active);
	json_array(&w, "sides");
	for (i = 0; i < SIDES_MAX; i++)
		put_side(&w, &captures.side[i]);
	json_end(&w);
	json_array(&w, "frames");
	while (captures.tail != captures.head) {
		copy_out(&record, captures.tail, sizeof(record));
		need = ENTRY_OVERHEAD + (record.captured + 2) / 3 * 4;
		if (w.len + need + REPLY_OVERHEAD > REPLY_SIZE)
			break;
		if (record.generation == captures.side[record.side].generation)
			put_frame(&w, &record);
		captures.tail += sizeof(record) + record.captured;
	}
	json_end(&w);
	json_finish(&w);
}

void
guest_capture_command(struct request *r)
{
	const char *action = request_word(r, 1);

	if (strcmp(action, "read") == 0 && request_has_words(r, 2)) {
		read_frames(r);
	} else if (strcmp(action, "stop") == 0 && request_has_words(r, 2)) {
		stop_all();
		request_reply(r, true, NULL, NULL);
	} else if (strcmp(action, "start") == 0) {
		request_reply(r, start(r), "port", request_word(r, 2));
	} else {
		log_line("capture: expected start PORT rx|tx SNAPLEN, read, or stop");
		request_reply(r, false, NULL, NULL);
	}
}
