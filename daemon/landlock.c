#include "daemon/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Younger than the headers that we build with. [linux/landlock.h] */
enum {
	FS_TRUNCATE = 1 << 14,  /* since 3 */
	FS_IOCTL_DEV = 1 << 15, /* since 5 */
	NET_BIND = 1 << 0,      /* since 4 */
	NET_CONNECT = 1 << 1,
	RULE_NET_PORT = 2,
	/* The first to let a file move between directories, as a restored
	 * database does. */
	ABI_MIN = 2,
	PORT_DNS = 53, /* by TCP what is too long for UDP */
};

struct ruleset {
	uint64_t fs, net;
};

struct net_port {
	uint64_t may, port;
};

static const uint64_t may_read =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t may_use = LANDLOCK_ACCESS_FS_READ_FILE |
                                LANDLOCK_ACCESS_FS_READ_DIR |
                                LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;
static const uint64_t may_keep =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
    LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE |
    LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REFER;
/* What does not apply to a file that is no directory. */
static const uint64_t of_files =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;

static uint64_t
bits(enum landlock_may may)
{
	switch (may) {
	case LANDLOCK_READ:
		return may_read;
	case LANDLOCK_USE:
		return may_use;
	case LANDLOCK_KEEP:
		return may_keep;
	case LANDLOCK_REMOVE:
		return LANDLOCK_ACCESS_FS_REMOVE_FILE;
	}
	return 0;
}

/* All that this kernel can forbid. */
static struct ruleset
all_of(long abi)
{
	struct ruleset r = { .fs = (FS_TRUNCATE - 1) };

	if (abi >= 3)
		r.fs |= FS_TRUNCATE;
	if (abi >= 4)
		r.net = NET_BIND | NET_CONNECT;
	if (abi >= 5)
		r.fs |= FS_IOCTL_DEV;
	return r;
}

static enum err
add_path(int set, uint64_t handled, const struct landlock_path *p)
{
	struct landlock_path_beneath_attr rule = { .parent_fd = -1 };
	enum err err = ERR_OK;
	struct stat st;

	if (!p->path)
		return ERR_OK;
	rule.parent_fd = open(p->path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return ERR_OK; /* not there, or behind what we may not pass */
	rule.allowed_access = bits(p->may) & handled;
	if (fstat(rule.parent_fd, &st))
		err = ERR_IO;
	else if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= of_files;
	if (!err && rule.allowed_access &&
	    syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH,
	        &rule, 0))
		err = ERR_IO;
	(void)close(rule.parent_fd);
	return err;
}

static enum err
add_dns(int set, const struct ruleset *r)
{
	struct net_port rule = { NET_CONNECT, PORT_DNS };

	if (!r->net)
		return ERR_OK;
	return syscall(SYS_landlock_add_rule, set, RULE_NET_PORT, &rule, 0)
	           ? ERR_IO
	           : ERR_OK;
}

enum err
landlock_confine(const struct landlock_path *list, size_t n)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset r = all_of(abi);
	enum err err;
	int set;

	if (abi < ABI_MIN)
		return ERR_UNSUPPORTED;
	/* An older kernel knows a shorter struct. */
	set = (int)syscall(SYS_landlock_create_ruleset, &r,
	    abi >= 4 ? sizeof(r) : sizeof(r.fs), 0);
	if (set < 0)
		return ERR_IO;
	err = add_dns(set, &r);
	for (size_t i = 0; i < n && !err; i++)
		err = add_path(set, r.fs, &list[i]);
	if (!err && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	                syscall(SYS_landlock_restrict_self, set, 0)))
		err = ERR_IO;
	(void)close(set);
	return err;
}
