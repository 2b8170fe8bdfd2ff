/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "control/command.h"
#include "forward/patch.h"

/* Test commands without DPDK: there are no workers, and the ports are of type nullpmd. */

static struct app app;
static struct shared shared;
static char buf[REPLY_SIZE + 1], reply[REPLY_SIZE];

static const char *
run(const char *text)
{
	size_t len = strlen(text);

	memcpy(buf, text, len);
	CHECK(!command_run(&app, buf, len, reply));
	return reply;
}

static void
reset(bool primary)
{
	patch_close_all(&app);
	memset(&app, 0, sizeof(app));
	app.cfg.kind = primary ? PROCESS_PRIMARY : PROCESS_NFV;
	app.cfg.primary = primary;
	app.cfg.client_id = 7;
	app.view.info = &shared;
	app.env = (struct port_env){ &app.view, &app.cfg };
	app.has_forwarder = true;
}

static void
test_replies(void)
{
	reset(false);
	CHECK_STR(run("_get_client_id"), "{\"results\":[{\"result\":\"success\"}],\"client_id\":7,"
					 "\"process_type\":\"nfv\",\"data_plane\":\"sppr\"}");
	CHECK_STR(run("add nullpmd:0"),
			"{\"result\":\"succeeded\",\"command\":\"add\",\"port\":\"nullpmd:0\"}");
	CHECK_STR(run("add nullpmd:0"),
			"{\"result\":\"failed\",\"command\":\"add\",\"port\":\"nullpmd:0\","
			"\"message\":\"nullpmd:0 already exists\"}");
	run("add nullpmd:1");
	CHECK_STR(run("patch nullpmd:0 nullpmd:1"), "{\"result\":\"succeeded\",\"command\":"
						    "\"patch\",\"ports\":{\"src\":\"nullpmd:0\","
						    "\"dst\":\"nullpmd:1\"}}");
	CHECK_STR(run("forward"), "{\"result\":\"succeeded\",\"command\":\"forward\"}");
	run("status");
	CHECK(strstr(reply, "\"client-id\":7,\"status\":\"running\",\"master-lcore\":") != NULL);
	CHECK(strstr(reply, "\"ports\":[\"nullpmd:0\",\"nullpmd:1\"],\"patches\":"
			    "[{\"src\":\"nullpmd:0\",\"dst\":\"nullpmd:1\"}]}") != NULL);
	CHECK(strstr(reply, "\"counters\":[{\"port\":\"nullpmd:0\",\"rx\":0,") != NULL);
	run("patch nullpmd:1 nullpmd:0");
	CHECK_STR(run("patch reset nullpmd:1"),
			"{\"result\":\"succeeded\",\"command\":\"patch\",\"port\":\"nullpmd:1\"}");
	run("status");
	CHECK(strstr(reply, "\"patches\":[{\"src\":\"nullpmd:0\",\"dst\":\"nullpmd:1\"}]}") !=
			NULL);
	CHECK(strstr(run("patch reset nullpmd:8"), "no such port in this process") != NULL);
	run("del nullpmd:1"); /* removes the patch to this port as well */
	run("status");
	CHECK(strstr(reply, "\"ports\":[\"nullpmd:0\"],\"patches\":[]}") != NULL);
	CHECK_STR(run("_set_client_id 9"),
			"{\"result\":\"succeeded\",\"command\":\"_set_client_id\"}");
	CHECK(app.cfg.client_id == 9);
}

static void
test_match(void)
{
	static const char *const bad[] = { "patch nullpmd:0 nullpmd:1 vlan=0",
		"patch nullpmd:0 nullpmd:1 default", "patch reset nullpmd:0 now",
		"patch nullpmd:0 nullpmd:9 vlan=1" };
	size_t i;

	reset(false);
	run("add nullpmd:0");
	run("add nullpmd:1");
	run("patch nullpmd:0 nullpmd:1 vlan=5");
	CHECK_STR(run("patch nullpmd:0 nullpmd:0 dst_mac=2:0:0:0:0:1 vlan=6"),
			"{\"result\":\"succeeded\",\"command\":\"patch\",\"ports\":{\"src\":"
			"\"nullpmd:0\",\"dst\":\"nullpmd:0\"}}");
	run("patch nullpmd:0 nullpmd:1");
	run("patch nullpmd:0 nullpmd:0 vlan=5"); /* replaces the first one */
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(strncmp(run(bad[i]), "{\"result\":\"failed\"", 18) == 0);
	CHECK(strstr(run("status"),
			      "\"patches\":[{\"src\":\"nullpmd:0\",\"dst\":\"nullpmd:1\"},"
			      "{\"src\":\"nullpmd:0\",\"dst\":\"nullpmd:0\",\"match\":\"vlan=5\"},"
			      "{\"src\":\"nullpmd:0\",\"dst\":\"nullpmd:0\",\"match\":\"vlan=6 "
			      "dst_mac=02:00:00:00:00:01\"}]}") != NULL);
	run("patch reset nullpmd:0 vlan=5");
	run("patch reset nullpmd:0 vlan=5");
	run("patch reset nullpmd:0 default");
	CHECK(strstr(run("status"), "\"patches\":[{\"src\":\"nullpmd:0\",\"dst\":\"nullpmd:0\","
				    "\"match\":\"vlan=6 dst_mac=02:00:00:00:00:01\"}]}") != NULL);
	run("patch nullpmd:0 nullpmd:1");
	run("patch reset nullpmd:0");
	CHECK(strstr(run("status"), "\"patches\":[]}") != NULL);
	run("patch nullpmd:0 nullpmd:1 vlan=5");
	run("del nullpmd:1"); /* removes the patch to this port as well */
	CHECK(strstr(run("status"), "\"patches\":[]}") != NULL);
}

/* SPP sends its receive buffer back, cut at the spaces, for some commands. */
static void
test_echo(void)
{
	static const char reset_echo[16] = "patch\0reset";

	reset(false);
	CHECK(memcmp(run("patch reset"), reset_echo, sizeof(reset_echo)) == 0);
	CHECK(memcmp(run("hello big world"), "hello\0big\0world\0\0", 17) == 0);
	CHECK_STR(run("clear"), "clear");
	CHECK_STR(run(" "), " ");
	reset(true);
	CHECK_STR(run("_get_client_id"), "_get_client_id");
}

static void
test_malformed(void)
{
	static const char *const bad[] = { "add", "add ring", "add ring:", "add ring:x", "add :1",
		"add pipe:0", "add phy:0", "add memif:x", "add ring 3", "add ring:1 ring:2",
		"add ring:5", "add \"\\:1", "del", "del ring:0", "del x", "patch",
		"patch nullpmd:0", "patch nullpmd:0 ring:9", "patch ring:9 nullpmd:0", "patch a b",
		"patch reset now", "patch nullpmd:0 nullpmd:0 nullpmd:0", "_set_client_id",
		"_set_client_id 0", "_set_client_id 128", "_set_client_id x",
		"_set_client_id 99999999999999999999" };
	char many[512] = "status";
	size_t i;

	reset(false);
	run("add nullpmd:0");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(strncmp(run(bad[i]), "{\"result\":\"failed\",\"command\":\"", 30) == 0);
	for (i = 0; i < MAX_TOKENS; i++)
		strcat(many, " x");
	CHECK(strncmp(run(many), "{\"result\":\"failed\"", 18) == 0);
	CHECK(strncmp(run("status"), "{\"client-id\":7", 14) == 0);
}

static void
test_longest(void)
{
	reset(false);
	memset(buf, 'a', REPLY_SIZE);
	CHECK(!command_run(&app, buf, REPLY_SIZE, reply) && reply[REPLY_SIZE - 1] == 'a');
	memset(buf, 0xff, REPLY_SIZE);
	memcpy(buf, "add ", 4);
	CHECK(!command_run(&app, buf, REPLY_SIZE, reply));
	CHECK(strstr(reply, "\"result\":\"failed\"") != NULL);
	CHECK(strstr(reply, "\"truncated\":true}") != NULL);
}

static void
test_primary(void)
{
	reset(true);
	CHECK_STR(run("clear"), "{\"result\":\"succeeded\",\"command\":\"clear\"}");
	CHECK_STR(run("flow create"), "{\"result\":\"failed\",\"command\":\"flow\","
				      "\"message\":\"flow: not supported\"}");
	CHECK(strstr(run("status"), "\"phy_ports\":[],\"ring_ports\":[],\"pipes\":[]}") != NULL);
	CHECK(strstr(reply, "\"forwarder\":{\"status\":\"idling\"") != NULL);
	app.has_forwarder = false;
	CHECK(strstr(run("forward"), "\"message\":\"this primary cannot forward: ") != NULL);
	CHECK(strstr(run("status"), "forwarder") == NULL);
	memcpy(buf, "exit", 4);
	CHECK(command_run(&app, buf, 4, reply));
	CHECK_STR(reply, "{\"result\":\"succeeded\",\"command\":\"exit\"}");
}

int
main(void)
{
	test_replies();
	test_match();
	test_echo();
	test_malformed();
	test_longest();
	test_primary();
	patch_close_all(&app);
	return 0;
}
