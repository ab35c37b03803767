/* The connection to btchatd. [btchat-rpc(7)] */
#include "ctl/client.h"

#include "ctl/value.h"
#include "proto/api.h"

#include <assert.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	READ_SIZE = 64 * 1024,
	/* Between "the socket file is there" and "somebody listens on it",
	 * and where a directory cannot be watched. */
	RETRY_FIRST_MS = 20,
	RETRY_MAX_MS = 2000,
};

uint64_t
client_now_ms(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void
client_init(struct client *c)
{
	*c = (struct client){ .fd = -1, .next_id = 1, .pass_fd = -1 };
	c->events = cJSON_CreateArray();
}

void
client_close(struct client *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	c->start = 0;
	c->n = 0;
	c->seen = 0;
}

void
client_clear(struct client *c)
{
	client_close(c);
	free(c->path);
	free(c->buf);
	cJSON_Delete(c->events);
	*c = (struct client){ .fd = -1 };
}

static void
set_path(struct client *c, const char *path)
{
	if (c->path == path)
		return;
	free(c->path);
	c->path = value_strdup(path);
}

enum err
client_connect(struct client *c, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	assert(c->fd < 0);
	if (strlen(path) >= sizeof(sun.sun_path))
		return ERR_TOO_LONG;
	memcpy(sun.sun_path, path, strlen(path) + 1);
	set_path(c, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ERR_IO;
	if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) != 0) {
		int why = errno;

		(void)close(fd);
		errno = why;
		return ERR_IO;
	}
	c->fd = fd;
	return ERR_OK;
}

/* Waits for fd to be readable (any fd < 0 is ignored), or until at_ms. */
static enum err
wait_readable(int fd, uint64_t at_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (;;) {
		uint64_t now_ms = client_now_ms();
		uint64_t left = at_ms > now_ms ? at_ms - now_ms : 0;
		int n = poll(&p, 1,
		    at_ms == NEVER   ? -1
		    : left > INT_MAX ? INT_MAX
		                     : (int)left);

		if (n > 0)
			return ERR_OK;
		if (n < 0 && errno != EINTR)
			return ERR_IO;
		if (n == 0 && client_now_ms() >= at_ms)
			return ERR_EXPIRED;
	}
}

/* An inotify that becomes readable when an entry appears beside path. */
static int
watch_directory(const char *path)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char *copy = value_strdup(path);

	if (fd >= 0 && inotify_add_watch(fd, dirname(copy),
	                   IN_CREATE | IN_MOVED_TO | IN_ATTRIB) < 0) {
		(void)close(fd);
		fd = -1;
	}
	free(copy);
	return fd;
}

/* Forgets what woke us; true if there was anything. */
static bool
drain_watch(int fd)
{
	char buf[4096];
	bool any = false;

	while (fd >= 0 && read(fd, buf, sizeof(buf)) > 0)
		any = true;
	return any;
}

enum err
client_await(struct client *c, uint64_t deadline_ms)
{
	uint64_t pause_ms = RETRY_FIRST_MS;
	enum err err = ERR_OK;

	assert(c->path != NULL && c->fd < 0);
	int watch = watch_directory(c->path);
	for (;;) {
		uint64_t at_ms = client_now_ms() + pause_ms;

		if (client_connect(c, c->path) == ERR_OK)
			break;
		err = wait_readable(
		    watch, at_ms < deadline_ms ? at_ms : deadline_ms);
		if (err == ERR_IO)
			break;
		err = ERR_OK;
		if (client_now_ms() >= deadline_ms) {
			err = ERR_EXPIRED;
			break;
		}
		pause_ms = drain_watch(watch)            ? RETRY_FIRST_MS
		           : pause_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS
		                                         : pause_ms * 2;
		if (watch < 0)
			watch = watch_directory(c->path);
	}
	if (watch >= 0)
		(void)close(watch);
	return err;
}

/* As send(2), and with it the descriptor that is to be passed. */
static ssize_t
send_some(struct client *c, char *p, size_t n)
{
	union {
		struct cmsghdr align;
		char b[CMSG_SPACE(sizeof(int))];
	} control = { .b = { 0 } };
	struct iovec iov = { .iov_base = p, .iov_len = n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *h;
	ssize_t done;

	if (c->pass_fd < 0)
		return send(c->fd, p, n, MSG_NOSIGNAL);
	msg.msg_control = control.b;
	msg.msg_controllen = sizeof(control.b);
	h = CMSG_FIRSTHDR(&msg);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(c->pass_fd));
	memcpy(CMSG_DATA(h), &c->pass_fd, sizeof(c->pass_fd));
	done = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
	if (done > 0)
		c->pass_fd = -1;
	return done;
}

static enum err
send_all(struct client *c, char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = send_some(c, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			client_close(c);
			return ERR_IO;
		}
		p += done;
		n -= (size_t)done;
	}
	return ERR_OK;
}

enum err
client_send(
    struct client *c, const char *method, cJSON *params, uint64_t *ret_id)
{
	cJSON *request = cJSON_CreateObject();
	char *line = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&line, &n);
	enum err err = ERR_NOMEM;

	value_add_str(request, "jsonrpc", "2.0");
	value_add_u64(request, "id", c->next_id);
	value_add_str(request, "method", method);
	if (params != NULL)
		(void)cJSON_AddItemToObject(request, "params", params);
	if (f == NULL)
		goto out;
	value_write(f, request);
	(void)fputc('\n', f);
	if (fclose(f) != 0)
		goto out;
	err = c->fd < 0 ? ERR_IO : send_all(c, line, n);
	if (err == ERR_OK)
		*ret_id = c->next_id++;
out:
	if (line != NULL) /* it may hold a passphrase */
		explicit_bzero(line, n);
	free(line);
	cJSON_Delete(request);
	return err;
}

/* The first line of the buffer, whose LF is at offset lf, as a document.
 * ERR_NOT_FOUND: it was blank. */
static enum err
take_line(struct client *c, size_t lf, cJSON **ret)
{
	char *line = c->buf + c->start;
	size_t n = lf - c->start;
	cJSON *doc = NULL;

	assert(lf < c->n && c->buf[lf] == '\n');
	c->start = lf + 1;
	c->seen = c->start;
	while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == ' '))
		n--;
	line[n] = '\0';
	if (n == 0)
		return ERR_NOT_FOUND;
	doc = cJSON_ParseWithLengthOpts(line, n + 1, NULL, 1);
	if (!cJSON_IsObject(doc)) {
		cJSON_Delete(doc);
		client_close(c);
		return ERR_MALFORMED;
	}
	*ret = doc;
	return ERR_OK;
}

/* Moves what is unused to the front and makes room for another read. */
static void
make_room(struct client *c)
{
	if (c->start > 0)
		memmove(c->buf, c->buf + c->start, c->n - c->start);
	c->n -= c->start;
	c->seen -= c->start;
	c->start = 0;
	if (c->cap - c->n < READ_SIZE) {
		c->cap = c->cap * 2 + READ_SIZE;
		c->buf = value_realloc(c->buf, c->cap);
	}
}

static enum err
read_more(struct client *c)
{
	make_room(c);
	if (c->n > API_OUTPUT_MAX) {
		client_close(c);
		return ERR_TOO_LONG;
	}
	ssize_t n = recv(c->fd, c->buf + c->n, c->cap - c->n, 0);

	if (n < 0 && errno == EINTR)
		return ERR_OK;
	if (n <= 0) {
		client_close(c);
		return ERR_IO;
	}
	c->n += (size_t)n;
	return ERR_OK;
}

enum err
client_next(struct client *c, uint64_t deadline_ms, cJSON **ret)
{
	for (;;) {
		const char *lf = c->seen < c->n ? memchr(c->buf + c->seen, '\n',
		                                      c->n - c->seen)
		                                : NULL;
		enum err err = ERR_OK;

		if (lf != NULL) {
			err = take_line(c, (size_t)(lf - c->buf), ret);
			if (err != ERR_NOT_FOUND)
				return err;
			continue;
		}
		c->seen = c->n;
		if (c->fd < 0)
			return ERR_IO;
		err = wait_readable(c->fd, deadline_ms);
		if (err == ERR_OK)
			err = read_more(c);
		if (err != ERR_OK)
			return err;
	}
}

static bool
is_event(const cJSON *doc)
{
	return value_has_str(doc, "method");
}

enum err
client_reply(struct client *c, uint64_t id, uint64_t deadline_ms, cJSON **ret)
{
	for (;;) {
		cJSON *doc = NULL;
		enum err err = client_next(c, deadline_ms, &doc);

		if (err != ERR_OK)
			return err;
		if (is_event(doc)) {
			(void)cJSON_AddItemToArray(c->events, doc);
			continue;
		}
		/* An error without an id is about what we sent last. */
		if (value_u64(doc, "id") == id ||
		    cJSON_IsNull(value_get(doc, "id"))) {
			*ret = doc;
			return ERR_OK;
		}
		cJSON_Delete(doc);
	}
}

enum err
client_event(struct client *c, uint64_t deadline_ms, cJSON **ret)
{
	if (c->events->child != NULL) {
		*ret = cJSON_DetachItemFromArray(c->events, 0);
		return ERR_OK;
	}
	for (;;) {
		cJSON *doc = NULL;
		enum err err = client_next(c, deadline_ms, &doc);

		if (err != ERR_OK)
			return err;
		if (is_event(doc) || value_get(doc, "error") != NULL) {
			*ret = doc;
			return ERR_OK;
		}
		cJSON_Delete(doc);
	}
}

bool
client_has_more(const struct client *c)
{
	return c->events->child != NULL ||
	       (c->seen < c->n &&
	           memchr(c->buf + c->seen, '\n', c->n - c->seen) != NULL);
}
