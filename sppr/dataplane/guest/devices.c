/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "guest/devices.h"

#define VENDOR "0x1af4"
#define DEVICE "0x1110"
#define PATH_SIZE 512

struct found {
	char name[DEVICE_NAME_SIZE];
	long key;
};

/* Read the first line of a sysfs file. The line is empty if the file does not exist. */
static void
read_line(const char *root, const char *folder, const char *name, const char *file, char line[64])
{
	char path[PATH_SIZE];
	FILE *f;

	line[0] = '\0';
	snprintf(path, sizeof(path), "%s%s/%s/%s", root, folder, name, file);
	f = fopen(path, "re");
	if (f == NULL)
		return;
	if (fgets(line, 64, f) == NULL)
		line[0] = '\0';
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
}

static int
by_key(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return strcmp(x->name, y->name);
}

static unsigned int
in_order(struct found *found, unsigned int n, char names[][DEVICE_NAME_SIZE])
{
	unsigned int i;

	qsort(found, n, sizeof(found[0]), by_key);
	for (i = 0; i < n; i++)
		memcpy(names[i], found[i].name, DEVICE_NAME_SIZE);
	return n;
}

/* Fill found with the entries of a directory for which wanted() returns true. */
static unsigned int
scan(const char *root, const char *folder, const void *arg, struct found *found, unsigned int max,
		int (*wanted)(const char *root, const char *name, const void *arg, long *key))
{
	char path[PATH_SIZE];
	struct dirent *entry;
	unsigned int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s%s", root, folder);
	dir = opendir(path);
	if (dir == NULL)
		return 0;
	while (n < max && (entry = readdir(dir)) != NULL) {
		found[n].key = 0;
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= DEVICE_NAME_SIZE ||
				!wanted(root, entry->d_name, arg, &found[n].key))
			continue;
		snprintf(found[n++].name, DEVICE_NAME_SIZE, "%s", entry->d_name);
	}
	closedir(dir);
	return n;
}

static int
is_ivshmem(const char *root, const char *name, const void *arg, long *key)
{
	char vendor[64], device[64];

	(void)arg;
	(void)key; /* PCI addresses have one length, so they sort as text */
	read_line(root, "/sys/bus/pci/devices", name, "vendor", vendor);
	read_line(root, "/sys/bus/pci/devices", name, "device", device);
	return strcmp(vendor, VENDOR) == 0 && strcmp(device, DEVICE) == 0;
}

/* Return whether a comma-separated list has this MAC address. */
static bool
has_mac(const char *list, const char *mac)
{
	size_t len = strlen(mac);

	for (; list != NULL && len > 0; list = strchr(list, ',')) {
		list += *list == ',';
		if (strncasecmp(list, mac, len) == 0 && (list[len] == ',' || list[len] == '\0'))
			return true;
	}
	return false;
}

static int
is_nic(const char *root, const char *name, const void *without_mac, long *key)
{
	char path[PATH_SIZE], line[64];

	/* bridges, bonds, VLANs and the loopback have no device */
	snprintf(path, sizeof(path), "%s/sys/class/net/%s/device", root, name);
	if (access(path, F_OK) < 0)
		return 0;
	read_line(root, "/sys/class/net", name, "ifindex", line);
	*key = strtol(line, NULL, 10);
	read_line(root, "/sys/class/net", name, "address", line);
	return !has_mac(without_mac, line);
}

unsigned int
devices_ivshmem(const char *root, char names[][DEVICE_NAME_SIZE], unsigned int max)
{
	struct found found[DEVICES_MAX];

	if (max > DEVICES_MAX)
		max = DEVICES_MAX;
	return in_order(found, scan(root, "/sys/bus/pci/devices", NULL, found, max, is_ivshmem),
			names);
}

unsigned int
devices_nics(const char *root, const char *without_mac, char names[][DEVICE_NAME_SIZE],
		unsigned int max)
{
	struct found found[DEVICES_MAX];

	if (max > DEVICES_MAX)
		max = DEVICES_MAX;
	return in_order(found, scan(root, "/sys/class/net", without_mac, found, max, is_nic),
			names);
}
