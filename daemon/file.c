#include "daemon/file.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

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
			return errno == ENOSPC || errno == EDQUOT ? ERR_LIMIT
			                                          : ERR_IO;
		done += (size_t)r;
	}
	return ERR_OK;
}
