#include "daemon/file.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

enum err
file_read(int fd, void *buf, size_t cap, size_t *ret_n)
{
	uint8_t *p = buf;
	size_t n = 0;

	while (n < cap) {
		ssize_t r = read(fd, p + n, cap - n);

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
file_write(int fd, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	while (n > 0) {
		ssize_t r = write(fd, p, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return errno == ENOSPC || errno == EDQUOT ? ERR_LIMIT
			                                          : ERR_IO;
		p += r;
		n -= (size_t)r;
	}
	return ERR_OK;
}
