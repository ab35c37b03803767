#include "daemon/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err
write_error(void)
{
	return errno == ENOSPC || errno == EDQUOT ? ERR_LIMIT : ERR_IO;
}

enum err
file_read(int fd, off_t at, void *buf, size_t cap, size_t *ret_n)
{
	uint8_t *p = buf;
	size_t n = 0;

	while (n < cap) {
		ssize_t r = at == FILE_HERE
		                ? read(fd, p + n, cap - n)
		                : pread(fd, p + n, cap - n, at + (off_t)n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return ERR_IO;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	*ret_n = n;
	return ERR_OK;
}

enum err
file_write(int fd, off_t at, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	size_t done = 0;

	while (done < n) {
		ssize_t r = at == FILE_HERE ? write(fd, p + done, n - done)
		                            : pwrite(fd, p + done, n - done,
		                                  at + (off_t)done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return write_error();
		done += (size_t)r;
	}
	return ERR_OK;
}

static enum err
write_aside(int dir_fd, const char *aside, struct span bytes)
{
	enum err err;
	int fd;

	(void)unlinkat(dir_fd, aside, 0);
	fd = openat(dir_fd, aside,
	    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return write_error();
	err = file_write(fd, 0, bytes.p, bytes.n);
	if (!err && fsync(fd))
		err = ERR_IO;
	if (close(fd) && !err)
		err = ERR_IO;
	return err;
}

static enum err
name_with(const char *name, const char *suffix, char ret[NAME_MAX + 1])
{
	int n = snprintf(ret, NAME_MAX + 1, "%s%s", name, suffix);

	return n < 0 || n > NAME_MAX ? ERR_IO : ERR_OK;
}

enum err
file_create(int dir_fd, const char *name, struct span bytes)
{
	char aside[NAME_MAX + 1];
	enum err err = name_with(name, FILE_ASIDE, aside);

	if (err)
		return err;
	err = write_aside(dir_fd, aside, bytes);
	/* link(2) does not replace. */
	if (!err && linkat(dir_fd, aside, dir_fd, name, 0))
		err = errno == EEXIST ? ERR_EXISTS : write_error();
	(void)unlinkat(dir_fd, aside, 0);
	if (!err && fsync(dir_fd)) {
		(void)unlinkat(dir_fd, name, 0); /* or another try finds it */
		err = ERR_IO;
	}
	return err;
}

/* ---- in the place of another ---- */

static void
write_zeros(int fd, size_t n)
{
	static const uint8_t zeros[4096];
	size_t done = 0;

	while (done < n) {
		size_t some =
		    n - done < sizeof(zeros) ? n - done : sizeof(zeros);

		if (file_write(fd, (off_t)done, zeros, some))
			return;
		done += some;
	}
	(void)fsync(fd);
}

void
file_overwrite(int dir_fd, const char *name)
{
	struct stat st;
	int fd = openat(
	    dir_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_nlink == 1 && st.st_size > 0)
		write_zeros(fd, (size_t)st.st_size);
	if (fd >= 0)
		(void)close(fd);
}

/* What cannot be overwritten is removed all the same. */
void
file_erase(int dir_fd, const char *name)
{
	file_overwrite(dir_fd, name);
	(void)unlinkat(dir_fd, name, 0);
}

void
file_tidy(int dir_fd, const char *name)
{
	char aside[NAME_MAX + 1], old[NAME_MAX + 1];

	/* Which name has which bytes must be durable before some of them are
	 * no more. */
	if (name_with(name, FILE_ASIDE, aside) ||
	    name_with(name, FILE_OLD, old) || fsync(dir_fd))
		return;
	file_erase(dir_fd, aside);
	/* Were it the only one, it would not be ours to judge. */
	if (faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		file_erase(dir_fd, old);
}

/* The old bytes keep a name until the new ones have theirs for good. */
static enum err
exchange(int dir_fd, const char *name, const char *aside, const char *old)
{
	if (linkat(dir_fd, name, dir_fd, old, 0))
		return errno == ENOENT ? ERR_NOT_FOUND : write_error();
	if (fsync(dir_fd))
		return ERR_IO;
	if (renameat(dir_fd, aside, dir_fd, name))
		return write_error();
	if (fsync(dir_fd) == 0)
		return ERR_OK;
	(void)renameat(dir_fd, old, dir_fd, name);
	return ERR_IO;
}

enum err
file_replace(int dir_fd, const char *name, struct span bytes)
{
	char aside[NAME_MAX + 1], old[NAME_MAX + 1];
	enum err err = name_with(name, FILE_ASIDE, aside);

	if (!err)
		err = name_with(name, FILE_OLD, old);
	if (err)
		return err;
	file_tidy(dir_fd, name);
	err = write_aside(dir_fd, aside, bytes);
	if (!err)
		err = exchange(dir_fd, name, aside, old);
	file_tidy(dir_fd, name);
	return err;
}
