#include "daemon/sockpath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 64 }; /* [control: limits] */

/* Names what is wrong and passes err on. */
static enum err __attribute__((format(printf, 3, 4)))
refuse(char why[SOCKPATH_WHY_SIZE], enum err err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, SOCKPATH_WHY_SIZE, fmt, ap);
	va_end(ap);
	return err;
}

static bool
is_ours(const struct stat *st)
{
	return st->st_uid == geteuid();
}

/* Makes the last directory, and refuses one where others could replace what
 * stands in it. */
static enum err
check_directory(const char *path, char why[SOCKPATH_WHY_SIZE])
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *slash = strrchr(path, '/');
	struct stat st;
	size_t n = slash ? (size_t)(slash - path) : 0;

	if (!slash)
		return refuse(why, ERR_STATE, "%s: not a path", path);
	if (n == 0)
		return ERR_OK; /* the root directory */
	memcpy(dir, path, n);
	dir[n] = '\0';
	if (mkdir(dir, 0700) && errno != EEXIST)
		return refuse(why, ERR_IO, "%s: cannot be made: %s", dir,
		    strerror(errno));
	if (stat(dir, &st))
		return refuse(why, ERR_IO, "%s: %s", dir, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return refuse(why, ERR_STATE, "%s: not a directory", dir);
	if (!is_ours(&st) && st.st_uid != 0)
		return refuse(why, ERR_STATE,
		    "%s: belongs to another user (uid %u)", dir,
		    (unsigned)st.st_uid);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(st.st_mode & S_ISVTX))
		return refuse(why, ERR_STATE,
		    "%s: others may write it; chmod go-w %s", dir, dir);
	return ERR_OK;
}

/* Is anybody listening there? */
static bool
is_alive(const struct sockaddr_un *un)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive;

	if (fd < 0)
		return true; /* cannot tell: leave it alone */
	alive = connect(fd, (const struct sockaddr *)un, sizeof(*un)) == 0 ||
	        errno == EAGAIN;
	(void)close(fd);
	return alive;
}

/* What stands at the path already may only be our own dead socket. */
static enum err
check_path(const struct sockaddr_un *un, char why[SOCKPATH_WHY_SIZE])
{
	struct stat st;

	if (lstat(un->sun_path, &st)) {
		if (errno == ENOENT)
			return ERR_OK;
		return refuse(
		    why, ERR_IO, "%s: %s", un->sun_path, strerror(errno));
	}
	if (S_ISLNK(st.st_mode))
		return refuse(why, ERR_STATE,
		    "%s: is a symbolic link; remove it", un->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return refuse(why, ERR_STATE,
		    "%s: is there and is no socket; remove it", un->sun_path);
	if (!is_ours(&st))
		return refuse(why, ERR_STATE,
		    "%s: belongs to another user (uid %u)", un->sun_path,
		    (unsigned)st.st_uid);
	if (is_alive(un))
		return refuse(why, ERR_EXISTS,
		    "%s: another process is listening there", un->sun_path);
	if (unlink(un->sun_path) && errno != ENOENT)
		return refuse(
		    why, ERR_IO, "%s: %s", un->sun_path, strerror(errno));
	return ERR_OK;
}

static enum err
bind_listen(int fd, const struct sockaddr_un *un, char why[SOCKPATH_WHY_SIZE])
{
	mode_t mask = umask(0177); /* never wider, not for a moment */
	int r = bind(fd, (const struct sockaddr *)un, sizeof(*un));
	int errnum = errno;

	(void)umask(mask);
	if (r && errnum == EADDRINUSE)
		return refuse(why, ERR_EXISTS, "%s: taken", un->sun_path);
	if (r)
		return refuse(
		    why, ERR_IO, "%s: %s", un->sun_path, strerror(errnum));
	if (listen(fd, BACKLOG))
		return refuse(
		    why, ERR_IO, "%s: %s", un->sun_path, strerror(errno));
	return ERR_OK;
}

enum err
sockpath_listen(const char *path, int *ret_fd, char why[SOCKPATH_WHY_SIZE])
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	enum err err;
	int fd;

	if (strlen(path) >= sizeof(un.sun_path))
		return refuse(why, ERR_TOO_LONG,
		    "%.80s...: a socket path has at most %zu bytes", path,
		    sizeof(un.sun_path) - 1);
	memcpy(un.sun_path, path, strlen(path) + 1);
	err = check_directory(path, why);
	if (err)
		return err;
	err = check_path(&un, why);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return refuse(why, ERR_IO, "%s: %s", path, strerror(errno));
	err = bind_listen(fd, &un, why);
	if (err) {
		(void)close(fd);
		return err;
	}
	*ret_fd = fd;
	return ERR_OK;
}

void
sockpath_unlink(const char *path, int fd)
{
	struct sockaddr_un un = { 0 };
	socklen_t n = sizeof(un);
	struct stat st;

	if (getsockname(fd, (struct sockaddr *)&un, &n) ||
	    un.sun_family != AF_UNIX ||
	    strncmp(un.sun_path, path, sizeof(un.sun_path)) != 0)
		return;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && is_ours(&st))
		(void)unlink(path);
}
