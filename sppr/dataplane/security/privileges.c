/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "security/privileges.h"
#include "security/sudo_user.h"

#define BIT(cap) (1ULL << (cap))

/* Reasons to keep a capability. */
enum need {
	NEED_ALWAYS = 1,
	NEED_FILES = 2,	 /* started by sudo, or another user owns a directory of the command line */
	NEED_RAW = 4,	 /* a vdev opens a network interface */
	NEED_PCI = 8,	 /* without --no-pci */
	NEED_PA = 16,	 /* --iova-mode pa */
	NEED_OWNER = 32, /* --sock-uid */
};

static const struct {
	int cap;
	unsigned int needs;
	const char *name;
} candidates[] = {
	/* taps (TUNSETIFF, up, promiscuous); `add tap:N` is possible at any time */
	{ CAP_NET_ADMIN, NEED_ALWAYS, "net_admin" },
	/* AF_PACKET sockets of net_af_packet and net_pcap; mlx5 verbs */
	{ CAP_NET_RAW, NEED_RAW | NEED_PCI, "net_raw" },
	/* sockets, regions and logs in directories of the sudo user */
	{ CAP_DAC_OVERRIDE, NEED_FILES, "dac_override" },
	/* sudo_user_chown_socket() */
	{ CAP_CHOWN, NEED_FILES | NEED_OWNER, "chown" },
	/* setfsuid() and setfsgid() of sudo_user_enter() */
	{ CAP_SETUID, NEED_FILES, "setuid" },
	{ CAP_SETGID, NEED_FILES, "setgid" },
	/* VFIO pins memory above RLIMIT_MEMLOCK */
	{ CAP_IPC_LOCK, NEED_PCI, "ipc_lock" },
	/* physical addresses from /proc/self/pagemap, for a NIC without an IOMMU */
	{ CAP_SYS_ADMIN, NEED_PCI | NEED_PA, "sys_admin" },
	/* I/O ports of virtio NICs, resource files of igb_uio */
	{ CAP_SYS_RAWIO, NEED_PCI, "sys_rawio" },
};
#define N_CANDIDATES (sizeof(candidates) / sizeof(candidates[0]))

/* Return whether another user owns this directory or a parent, so that access may be denied. */
static bool
is_of_another_user(const char *path)
{
	char *real = realpath(path, NULL), *slash;
	bool found = false;
	struct stat st;

	while (real != NULL && !found && *real != '\0') {
		found = stat(real, &st) == 0 && st.st_uid != geteuid();
		slash = strrchr(real, '/');
		*slash = '\0';
	}
	free(real);
	return found;
}

static bool
opens_interface(const char *vdev)
{
	return strstr(vdev, "net_af_") != NULL || strstr(vdev, "_pcap") != NULL;
}

static unsigned int
needs_of_option(const char *name, const char *value)
{
	if (strcmp(name, "--vdev") == 0 && opens_interface(value))
		return NEED_RAW;
	if (strcmp(name, "--huge-dir") == 0 && is_of_another_user(value))
		return NEED_FILES;
	if (strcmp(name, "--iova-mode") == 0 && strcmp(value, "pa") == 0)
		return NEED_PA;
	return 0;
}

static unsigned int
needs_of(const struct config *cfg, int argc, char **argv)
{
	unsigned int needs = NEED_ALWAYS | NEED_PCI;
	const char *equals;
	char name[32];
	int i;

	if (sudo_user_exists() || is_of_another_user(cfg->sock_dir) ||
			(cfg->kind == PROCESS_PCAP && is_of_another_user(cfg->out_dir)) ||
			(*cfg->log_dir != '\0' && is_of_another_user(cfg->log_dir)))
		needs |= NEED_FILES;
	if (*cfg->sock_uid != '\0')
		needs |= NEED_OWNER;
	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--no-pci") == 0)
			needs &= ~(unsigned int)NEED_PCI;
		needs |= needs_of_option(argv[i - 1], argv[i]);
		equals = strchr(argv[i], '=');
		if (equals == NULL || (size_t)(equals - argv[i]) >= sizeof(name))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(equals - argv[i]), argv[i]);
		needs |= needs_of_option(name, equals + 1);
	}
	return needs;
}

/* The bounding set limits the capabilities that exec gives to root, so a secondary that `launch`
 * starts has no more than this process.
 */
static int
drop_bounding_set(uint64_t keep)
{
	int cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++) {
		if ((cap < 64 && (keep & BIT(cap)) != 0) || prctl(PR_CAPBSET_READ, cap) == 0)
			continue;
		/* EPERM: not root, so exec gives none */
		if (prctl(PR_CAPBSET_DROP, cap) < 0 && errno != EPERM)
			return -1;
	}
	return 0;
}

static int
limit_permitted(uint64_t *keep)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	uint64_t permitted;
	int i;

	if (syscall(SYS_capget, &header, data) < 0)
		return -1;
	permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
	*keep &= permitted;
	for (i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].permitted = (uint32_t)(*keep >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return (int)syscall(SYS_capset, &header, data);
}

static void
print_kept(uint64_t kept)
{
	char text[256] = "";
	size_t i, len = 0;

	for (i = 0; i < N_CANDIDATES; i++)
		if ((kept & BIT(candidates[i].cap)) != 0)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
					len > 0 ? ", " : "", candidates[i].name);
	log_line("capabilities kept: %s", len > 0 ? text : "none");
}

int
privileges_drop(const struct config *cfg, int argc, char **argv)
{
	unsigned int needs = needs_of(cfg, argc, argv);
	uint64_t keep = 0;
	size_t i;

	for (i = 0; i < N_CANDIDATES; i++)
		if ((candidates[i].needs & needs) != 0)
			keep |= BIT(candidates[i].cap);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || drop_bounding_set(keep) < 0 ||
			limit_permitted(&keep) < 0) {
		log_line("cannot drop privileges: %s", strerror(errno));
		return -1;
	}
	print_kept(keep);
	return 0;
}
