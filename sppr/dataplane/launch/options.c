/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launch/options.h"

#define DIGITS "0123456789"
#define HEX DIGITS "abcdefABCDEF"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define MAX_ID 127
#define MAX_INTERFACE_NAME 15

static const char *const programs[] = { "spp_nfv", "spp_vf", "spp_mirror", "spp_pcap" };
#define N_PROGRAMS (sizeof(programs) / sizeof(programs[0]))

struct rule {
	const char *name; /* the whole name; getopt_long would also accept a prefix */
	/* NULL: the option takes no value */
	bool (*allowed)(const struct launch_context *context, const char *value);
	const char *values;  /* allowed values, for the message */
	const char *program; /* the only program that has the option; NULL: all */
};

static bool
consists_of(const char *text, size_t len, const char *characters)
{
	return len > 0 && strspn(text, characters) >= len;
}

static bool
is_number_in(const char *text, size_t len, unsigned long min, unsigned long max)
{
	unsigned long value;

	if (!consists_of(text, len, DIGITS) || len > 9)
		return false;
	value = strtoul(text, NULL, 10);
	return value >= min && value <= max;
}

static bool
is_lcores(const struct launch_context *context, const char *value)
{
	(void)context;
	return (isdigit((unsigned char)*value) || *value == '(') &&
	       consists_of(value, strlen(value), DIGITS ",-@()");
}

static bool
is_hex(const struct launch_context *context, const char *value)
{
	(void)context;
	if (strncmp(value, "0x", 2) == 0)
		value += 2;
	return consists_of(value, strlen(value), HEX);
}

static bool
is_number(const struct launch_context *context, const char *value)
{
	(void)context;
	return is_number_in(value, strlen(value), 0, 999999999);
}

static bool
is_numbers(const struct launch_context *context, const char *value)
{
	(void)context;
	return consists_of(value, strlen(value), DIGITS ",");
}

static bool
is_secondary(const struct launch_context *context, const char *value)
{
	(void)context;
	return strcmp(value, "secondary") == 0;
}

static bool
is_own_prefix(const struct launch_context *context, const char *value)
{
	return strcmp(value, context->file_prefix) == 0;
}

static bool
is_log_level(const struct launch_context *context, const char *value)
{
	(void)context;
	return consists_of(value, strlen(value), LETTERS DIGITS ".,:*-");
}

static bool
is_null_argument(const char *key, size_t key_len, const char *value, size_t len)
{
	static const char *const keys[] = { "size", "copy", "no-rx" };
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strlen(keys[i]) == key_len && memcmp(key, keys[i], key_len) == 0)
			return consists_of(value, len, DIGITS);
	return false;
}

static bool
is_tap_argument(const char *key, size_t key_len, const char *value, size_t len)
{
	return key_len == 5 && memcmp(key, "iface", 5) == 0 && len <= MAX_INTERFACE_NAME &&
	       consists_of(value, len, LETTERS DIGITS "_-");
}

/* The other key of net_ring, `internal`, is not allowed: its value is an address that the driver
 * reads.
 */
static bool
is_ring_argument(const char *key, size_t key_len, const char *value, size_t len)
{
	return key_len == 10 && memcmp(key, "nodeaction", 10) == 0 &&
	       consists_of(value, len, LETTERS DIGITS "_:");
}

static const struct {
	const char *name;
	bool (*argument_allowed)(const char *key, size_t key_len, const char *value, size_t len);
} drivers[] = {
	{ "net_null", is_null_argument },
	{ "net_ring", is_ring_argument },
	{ "net_tap", is_tap_argument },
};
#define N_DRIVERS (sizeof(drivers) / sizeof(drivers[0]))

/* Check `,key=value,...`, which may be empty. */
static bool
are_driver_arguments(const char *text, size_t driver)
{
	size_t len, key_len;

	while (*text == ',') {
		text++;
		len = strcspn(text, ",");
		key_len = strcspn(text, "=");
		if (key_len >= len || !drivers[driver].argument_allowed(text, key_len,
						      text + key_len + 1, len - key_len - 1))
			return false;
		text += len;
	}
	return *text == '\0';
}

/* Check a driver, a number and arguments. Drivers that open files or connect to sockets (net_pcap,
 * net_vhost, net_memif, net_af_packet, ...) are not allowed.
 */
static bool
is_vdev(const struct launch_context *context, const char *value)
{
	size_t i, len, digits;

	(void)context;
	for (i = 0; i < N_DRIVERS; i++) {
		len = strlen(drivers[i].name);
		if (strncmp(value, drivers[i].name, len) != 0)
			continue;
		digits = strspn(value + len, DIGITS);
		return digits >= 1 && digits <= 4 && are_driver_arguments(value + len + digits, i);
	}
	return false;
}

static bool
is_id(const struct launch_context *context, const char *value)
{
	(void)context;
	return is_number_in(value, strlen(value), 1, MAX_ID);
}

static bool
is_own_controller(const struct launch_context *context, const char *value)
{
	const char *colon = strchr(value, ':');
	char host[INET_ADDRSTRLEN];
	struct in_addr address;
	size_t len;

	if (colon == NULL || (len = (size_t)(colon - value)) >= sizeof(host))
		return false;
	memcpy(host, value, len);
	host[len] = '\0';
	return inet_pton(AF_INET, host, &address) == 1 &&
	       address.s_addr == context->controller.s_addr &&
	       is_number_in(colon + 1, strlen(colon + 1), 1, 65535);
}

static bool
is_port(const struct launch_context *context, const char *value)
{
	const char *colon = strchr(value, ':');

	(void)context;
	return colon != NULL && consists_of(value, (size_t)(colon - value), LETTERS) &&
	       is_number_in(colon + 1, strlen(colon + 1), 0, 9999);
}

static const struct rule eal_rules[] = {
	{ "-l", is_lcores, "lcores", NULL },
	{ "--lcores", is_lcores, "lcores", NULL },
	{ "-c", is_hex, "a hexadecimal mask", NULL },
	{ "-n", is_number, "a number", NULL },
	{ "-m", is_numbers, "a number", NULL },
	{ "--socket-mem", is_numbers, "numbers and commas", NULL },
	{ "--proc-type", is_secondary, "secondary", NULL },
	{ "--file-prefix", is_own_prefix, "the prefix of this primary", NULL },
	{ "--main-lcore", is_number, "a number", NULL },
	{ "--base-virtaddr", is_hex, "a hexadecimal address", NULL },
	{ "--no-pci", NULL, NULL, NULL },
	{ "--log-level", is_log_level, "letters, digits and . , : * -", NULL },
	{ "--vdev", is_vdev, "net_null, net_ring or net_tap without a path", NULL },
};

static const struct rule app_rules[] = {
	{ "-n", is_id, "an id of 1 to 127", NULL },
	{ "--client-id", is_id, "an id of 1 to 127", NULL },
	{ "-s", is_own_controller, "the address of this primary's controller, any port", NULL },
	{ "--vhost-client", NULL, NULL, NULL },
	{ "-c", is_port, "TYPE:NUMBER", "spp_pcap" },
};
#define N_RULES(rules) (sizeof(rules) / sizeof((rules)[0]))

bool
launch_program_allowed(const char *name)
{
	size_t i;

	for (i = 0; i < N_PROGRAMS; i++)
		if (strcmp(name, programs[i]) == 0)
			return true;
	return false;
}

/* The length of the option's name. In `--name=value` and `-lvalue` the value is in the same word.
 */
static size_t
name_length(const char *word)
{
	if (strncmp(word, "--", 2) == 0)
		return strcspn(word, "=");
	return strlen(word) < 2 ? strlen(word) : 2;
}

static const struct rule *
find_rule(const struct rule *rules, size_t nrules, const char *program, const char *name,
		size_t len)
{
	size_t i;

	for (i = 0; i < nrules; i++)
		if (strlen(rules[i].name) == len && memcmp(name, rules[i].name, len) == 0 &&
				(rules[i].program == NULL ||
						strcmp(rules[i].program, program) == 0))
			return &rules[i];
	return NULL;
}

/* Check one option. Returns how many words it takes, or 0 after writing a reason to error. */
static unsigned int
check_option(const struct rule *rules, size_t nrules, const struct launch_context *context,
		char *const *words, unsigned int n, char *error, size_t size)
{
	const char *word = words[0], *value;
	size_t len = name_length(word);
	const struct rule *rule = find_rule(rules, nrules, context->program, word, len);
	unsigned int used = 1;

	if (rule == NULL) {
		snprintf(error, size, "option %.60s is not allowed", word);
		return 0;
	}
	if (rule->allowed == NULL) {
		if (word[len] == '\0')
			return 1;
		snprintf(error, size, "option %s takes no value", rule->name);
		return 0;
	}
	if (word[len] != '\0') {
		value = word + len + (word[len] == '=' && word[1] == '-');
	} else if (n > 1) {
		value = words[used++];
	} else {
		snprintf(error, size, "option %s has no value", rule->name);
		return 0;
	}
	/* a value must never look like an option to another parser */
	if (*value != '-' && rule->allowed(context, value))
		return used;
	snprintf(error, size, "option %s: value \"%.60s\" is not allowed, only %s", rule->name,
			value, rule->values);
	return 0;
}

/* Replace control characters, which could forge a line of the log. */
static void
make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if (!isprint((unsigned char)*text))
			*text = '?';
}

static bool
has_name(const char *word, const char *name)
{
	size_t len = name_length(word);

	return strlen(name) == len && memcmp(word, name, len) == 0;
}

bool
launch_options_check(const struct launch_context *context, char *const *words, unsigned int n,
		struct launch_options *found, char *error, size_t size)
{
	unsigned int i = 0, used;

	memset(found, 0, sizeof(*found));
	while (i < n && strcmp(words[i], "--") != 0) {
		used = check_option(eal_rules, N_RULES(eal_rules), context, words + i, n - i, error,
				size);
		if (used == 0)
			goto refused;
		found->proc_type |= has_name(words[i], "--proc-type");
		found->file_prefix |= has_name(words[i], "--file-prefix");
		i += used;
	}
	if (i == n) {
		snprintf(error, size, "-- is missing between EAL options and application options");
		return false;
	}
	found->separator = i++;
	while (i < n) {
		used = check_option(app_rules, N_RULES(app_rules), context, words + i, n - i, error,
				size);
		if (used == 0)
			goto refused;
		i += used;
	}
	return true;
refused:
	make_printable(error);
	return false;
}
