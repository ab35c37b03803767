#include "daemon/statedir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PID_FILE "btchatd.pid"

enum { PATH_SIZE = 4096 };

static enum err __attribute__((format(printf, 3, 4)))
refuse(char why[STATEDIR_WHY_SIZE], enum err err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, STATEDIR_WHY_SIZE, fmt, ap);
	va_end(ap);
	return err;
}

/* Each directory on the way, as mkdir -p -m 0700 does. */
static enum err
make(const char *path, char why[STATEDIR_WHY_SIZE])
{
	char part[PATH_SIZE];
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(part))
		return refuse(why, ERR_TOO_LONG, "%.80s: not a path", path);
	memcpy(part, path, n + 1);
	for (size_t i = 1; i <= n; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, 0700) && errno != EEXIST && errno != EROFS &&
		    errno != EACCES)
			return refuse(
			    why, ERR_IO, "%.200s: %s", part, strerror(errno));
		part[i] = path[i];
	}
	return ERR_OK;
}

static enum err
check(int fd, const char *path, char why[STATEDIR_WHY_SIZE])
{
	struct stat st;

	if (fstat(fd, &st))
		return refuse(why, ERR_IO, "%.200s: %s", path, strerror(errno));
	if (st.st_uid != geteuid())
		return refuse(why, ERR_STATE,
		    "%.200s: belongs to another user (uid %u); repair: chown"
		    " it, or choose another with --state",
		    path, (unsigned)st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return refuse(why, ERR_STATE,
		    "%.200s: others may write it; repair: chmod 700 %.200s",
		    path, path);
	return ERR_OK;
}

/* Who holds the lock wrote his number here. */
static long
holder(int dir_fd)
{
	char text[16] = "";
	long pid = 0;
	int fd = openat(dir_fd, PID_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) > 0)
		for (const char *s = text; *s >= '0' && *s <= '9'; s++)
			pid = pid * 10 + (*s - '0');
	(void)close(fd);
	return pid;
}

static void
write_pid(int dir_fd)
{
	int fd = openat(dir_fd, PID_FILE,
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return; /* only a help for people */
	(void)dprintf(fd, "%ld\n", (long)getpid());
	(void)close(fd);
}

enum err
statedir_open(const char *path, int *ret_fd, char why[STATEDIR_WHY_SIZE])
{
	enum err err = make(path, why);
	int fd;

	if (err)
		return err;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return refuse(why, ERR_IO, "%.200s: %s", path, strerror(errno));
	err = check(fd, path, why);
	if (!err && flock(fd, LOCK_EX | LOCK_NB))
		err = refuse(why, ERR_EXISTS,
		    "%.200s: another btchatd runs on it (pid %ld)", path,
		    holder(fd));
	if (err) {
		(void)close(fd);
		return err;
	}
	write_pid(fd);
	*ret_fd = fd;
	return ERR_OK;
}

void
statedir_close(int fd)
{
	if (fd < 0)
		return;
	(void)unlinkat(fd, PID_FILE, 0);
	(void)close(fd);
}
