/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "guest/capture.h"
#include "guest/guest.h"

static struct port port = { .id = { .type = PORT_PHY } };
static struct app app;
static char reply[REPLY_SIZE];

/* Run `capture start phy:0 rx 64`, as the controller sends it. */
static const char *
command(const char *text)
{
	static char words[128];
	struct request r = { .app = &app, .text = words, .reply = reply };
	char *word;

	memset(reply, 0, sizeof(reply));
	snprintf(words, sizeof(words), "%s", text);
	for (word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
		r.word[r.n++] = word;
	guest_capture_command(&r);
	return reply;
}

static struct frame *
make_frame(uint32_t len, uint8_t fill)
{
	static struct frame frame;

	frame.data = frame.room + FRAME_HEADROOM;
	frame.len = len;
	memset(frame.data, fill, len);
	return &frame;
}

static void
test_frames_are_read_once(void)
{
	CHECK(strstr(command("capture start phy:0 rx 64"), "succeeded") != NULL);
	CHECK(guest_capture_active);
	guest_capture_frames(&port, false, make_frame(61, 'a'), 1);
	guest_capture_frames(&port, false, make_frame(100, 'b'), 1);
	guest_capture_frames(&port, true, make_frame(60, 'c'), 1);
	command("capture read");
	CHECK(strstr(reply, "[\"phy:0\",\"rx\",0]") != NULL);
	CHECK(strstr(reply, ",61,\"YWFhYWFh") != NULL && strstr(reply, "YWFhYQ==\"]") != NULL);
	CHECK(strstr(reply, ",100,\"YmJiYmJi") != NULL);
	CHECK(strstr(reply, "Y2Nj") == NULL); /* the other side */
	CHECK(strstr(command("capture read"), "\"frames\":[]") != NULL);
}

static void
test_full_buffer_counts_drops(void)
{
	unsigned int i, read = 0;
	const char *at;

	command("capture start phy:0 tx 262144");
	for (i = 0; i < 600; i++)
		guest_capture_frames(&port, true, make_frame(2000, 'd'), 1);
	do {
		command("capture read");
		CHECK(strlen(reply) < REPLY_SIZE && strstr(reply, "truncated") == NULL);
		if (read == 0)
			CHECK(strstr(reply, "[\"phy:0\",\"tx\",82]") != NULL);
		for (at = reply; (at = strstr(at, ",2000,")) != NULL; at++)
			read++;
	} while (strstr(reply, "\"frames\":[]") == NULL);
	CHECK(read == 518); /* 1 MiB of 2024 bytes */
}

static void
test_refusals(void)
{
	CHECK(strstr(command("capture start phy:1 rx 64"), "failed") != NULL);
	CHECK(strstr(command("capture start phy:0 up 64"), "failed") != NULL);
	CHECK(strstr(command("capture start phy:0 rx 63"), "failed") != NULL);
	CHECK(strstr(command("capture start phy:0 rx 262145"), "failed") != NULL);
	CHECK(strstr(command("capture start phy:0 rx"), "failed") != NULL);
	CHECK(strstr(command("capture"), "failed") != NULL);
	CHECK(strstr(command("capture read now"), "failed") != NULL);
}

static void
test_stop_and_deleted_port(void)
{
	guest_capture_frames(&port, true, make_frame(60, 'e'), 1);
	guest_capture_forget(&port);
	guest_capture_frames(&port, true, make_frame(60, 'f'), 1);
	command("capture read");
	CHECK(strstr(reply, "ZWVl") == NULL && strstr(reply, "ZmZm") == NULL);
	CHECK(strstr(reply, "phy:0") == NULL);
	command("capture start phy:0 rx 262144");
	guest_capture_frames(&port, false, make_frame(90, 'g'), 1);
	command("capture start phy:0 rx 64"); /* restart */
	guest_capture_frames(&port, false, make_frame(90, 'h'), 1);
	command("capture read");
	CHECK(strstr(reply, "Z2dn") == NULL && strstr(reply, ",90,\"aGho") != NULL);
	CHECK(strstr(command("capture stop"), "succeeded") != NULL && !guest_capture_active);
}

int
main(void)
{
	CHECK(port_table_insert(&app.ports, &port) == 0);
	test_frames_are_read_once();
	test_full_buffer_counts_drops();
	test_refusals();
	test_stop_and_deleted_port();
	return 0;
}
