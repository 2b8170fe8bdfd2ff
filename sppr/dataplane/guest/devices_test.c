/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "guest/devices.h"

static char root[] = "/tmp/devicesXXXXXX";

static void
put(const char *folder, const char *name, const char *text)
{
	char path[256], *p;
	FILE *f;

	snprintf(path, sizeof(path), "%s%s/%s", root, folder, name);
	for (p = path + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	f = fopen(path, "w");
	CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void
pci(const char *address, const char *vendor, const char *device)
{
	char folder[128];

	snprintf(folder, sizeof(folder), "/sys/bus/pci/devices/%s", address);
	put(folder, "vendor", vendor);
	put(folder, "device", device);
}

static void
nic(const char *name, const char *index, const char *mac, int has_device)
{
	char folder[128];

	snprintf(folder, sizeof(folder), "/sys/class/net/%s", name);
	put(folder, "ifindex", index);
	put(folder, "address", mac);
	if (has_device)
		put(folder, "device/vendor", "0x1af4\n");
}

int
main(void)
{
	char names[DEVICES_MAX][DEVICE_NAME_SIZE], command[64];

	CHECK(mkdtemp(root) != NULL);
	CHECK(devices_ivshmem(root, names, DEVICES_MAX) == 0); /* the directory does not exist */
	pci("0000:00:05.0", "0x1af4\n", "0x1110\n");
	pci("0000:00:03.0", "0x1af4\n", "0x1000\n");
	pci("0000:00:04.0", "0x1af4\n", "0x1110\n");
	pci("0000:00:02.0", "0x8086\n", "0x1110\n");
	CHECK(devices_ivshmem(root, names, DEVICES_MAX) == 2);
	CHECK_STR(names[0], "0000:00:04.0");
	CHECK_STR(names[1], "0000:00:05.0");
	CHECK(devices_ivshmem(root, names, 1) == 1);

	nic("lo", "1\n", "00:00:00:00:00:00\n", 0);
	nic("eth0", "10\n", "02:00:00:00:00:01\n", 1);
	nic("eth1", "9\n", "02:00:00:00:00:aa\n", 1);
	nic("eth2", "3\n", "02:00:00:00:00:03\n", 1);
	nic("br0", "4\n", "02:00:00:00:00:03\n", 0);
	CHECK(devices_nics(root, NULL, names, DEVICES_MAX) == 3);
	CHECK_STR(names[0], "eth2"); /* sorted by index, as a number */
	CHECK_STR(names[1], "eth1");
	CHECK_STR(names[2], "eth0");
	CHECK(devices_nics(root, "02:00:00:00:00:AA", names, DEVICES_MAX) == 2);
	CHECK_STR(names[1], "eth0");
	CHECK(devices_nics(root, "02:00:00:00:00:03,02:00:00:00:00:aa", names, DEVICES_MAX) == 1);
	CHECK_STR(names[0], "eth0");
	CHECK(devices_nics(root, "02:00:00:00:00:0", names, DEVICES_MAX) == 3);
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command) == 0 ? 0 : 1;
}
