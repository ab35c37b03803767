#include "daemon/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
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

enum err
file_create(int dir_fd, const char *name, struct span bytes)
{
	char aside[NAME_MAX + 1];
	int n = snprintf(aside, sizeof(aside), "%s" FILE_ASIDE, name);
	enum err err;

	if (n < 0 || (size_t)n >= sizeof(aside))
		return ERR_IO;
	err = write_aside(dir_fd, aside, bytes);
	/* link(2) does not replace. */
	if (!err && linkat(dir_fd, aside, dir_fd, name, 0))
		err = errno == EEXIST ? ERR_EXISTS : ERR_IO;
	(void)unlinkat(dir_fd, aside, 0);
	if (!err && fsync(dir_fd))
		err = ERR_IO;
	return err;
}
