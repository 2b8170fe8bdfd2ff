/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "security/sudo_user.h"

static bool
number(const char *name, unsigned int *out)
{
	const char *text = getenv(name);
	unsigned long value;
	char *end;

	if (text == NULL || *text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	*out = (unsigned int)value;
	return errno == 0 && *end == '\0' && value < (uid_t)-1;
}

/* The user that runs QEMU in a lab of root; 0: root. */
static uid_t qemu_uid;

/* Get the user who started this process by sudo. Return false for root itself. */
static bool
sudo_user(uid_t *uid, gid_t *gid)
{
	return geteuid() == 0 && number("SUDO_UID", uid) && *uid != 0 && number("SUDO_GID", gid);
}

bool
sudo_user_exists(void)
{
	uid_t uid;
	gid_t gid;

	return sudo_user(&uid, &gid);
}

bool
sudo_user_is(uid_t uid)
{
	uid_t user;
	gid_t group;

	return sudo_user(&user, &group) && user == uid;
}

bool
sudo_user_is_trusted(uid_t uid)
{
	return uid == 0 || uid == geteuid() || uid == getuid() || sudo_user_is(uid);
}

void
sudo_user_set_qemu(const char *uid)
{
	qemu_uid = geteuid() == 0 ? (uid_t)strtoul(uid, NULL, 10) : 0;
}

bool
sudo_user_may_own_socket(uid_t uid)
{
	return sudo_user_is_trusted(uid) || (qemu_uid != 0 && uid == qemu_uid);
}

void
sudo_user_enter(void)
{
	uid_t uid;
	gid_t gid;

	if (!sudo_user(&uid, &gid))
		return;
	setfsgid(gid);
	setfsuid(uid);
}

void
sudo_user_leave(void)
{
	setfsuid(geteuid());
	setfsgid(getegid());
}

static void
chown_socket(const char *path, uid_t uid, gid_t gid)
{
	struct stat st;
	int fd;

	/* change the inode that was checked, even if the path changes meanwhile */
	errno = 0;
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode) ||
			fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		log_line("%s: cannot change its owner to user %u: %s", path, uid,
				fd >= 0 && errno == 0 ? "is no socket" : strerror(errno));
	if (fd >= 0)
		close(fd);
}

void
sudo_user_chown_socket(const char *path)
{
	if (qemu_uid != 0)
		chown_socket(path, qemu_uid, (gid_t)-1);
	else
		sudo_user_chown_own_socket(path);
}

void
sudo_user_chown_own_socket(const char *path)
{
	uid_t uid;
	gid_t gid;

	if (sudo_user(&uid, &gid))
		chown_socket(path, uid, gid);
}
