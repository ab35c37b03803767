/* Descriptors that come with a line. [unix(7): SCM_RIGHTS] */
#include "daemon/rpc_conn.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void
rpc_fds_close(struct rpc_conn *c)
{
	for (size_t i = 0; i < c->n_fds; i++)
		if (c->fds[i] >= 0)
			(void)close(c->fds[i]);
	c->n_fds = 0;
}

void
rpc_fds_take(struct rpc_conn *c, struct msghdr *msg)
{
	int fds[API_FDS_MAX];

	for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h;
	     h = CMSG_NXTHDR(msg, h)) {
		size_t n = h->cmsg_len - CMSG_LEN(0);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		n = n < sizeof(fds) ? n : sizeof(fds);
		memcpy(fds, CMSG_DATA(h), n);
		rpc_fds_close(c);
		c->n_fds = n / sizeof(*fds);
		memcpy(c->fds, fds, c->n_fds * sizeof(*fds));
		c->fds_at = c->in_n;
	}
}

/* Number i, of the line that is being served; -1: none. */
static int
take_one(struct rpc_conn *c, size_t i)
{
	int fd = -1;

	if (c->fds_served && i < c->n_fds) {
		fd = c->fds[i];
		c->fds[i] = -1;
	}
	return fd;
}

int
rpc_take_file(struct rpc_call *c, const char *param, size_t i, bool to_write)
{
	int fd = c->batch ? -1 : take_one(c->conn, i);
	struct stat st = { .st_size = 0 };
	const char *why = NULL;
	int flags = fd < 0 ? 0 : fcntl(fd, F_GETFL);
	int mode = flags & O_ACCMODE;

	if (fd < 0)
		why = "pass an open file with the call";
	else if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		why = "is not a regular file";
	else if (mode == (to_write ? O_RDONLY : O_WRONLY) || flags & O_PATH)
		why = to_write ? "is not open for writing"
		               : "is not open for reading";
	else if (to_write && st.st_size > 0)
		why = "is not empty";
	if (!why)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	rpc_fail_param(c, param, why);
	return -1;
}
