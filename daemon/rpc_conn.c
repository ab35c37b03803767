/* Connections: bytes in, lines, replies, bytes out. [btchat-rpc(7)] */
#include "daemon/rpc_conn.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* {"jsonrpc":"2.0","id": */
enum { ID_AT = 22 };

bool
rpc_conn_is_full(const struct rpc_conn *c)
{
	return c->out.n > RPC_PENDING_MAX;
}

/* ---- life ---- */

static void on_io(void *owner, bool readable);

void
rpc_conn_new(struct rpc_socket *s, int fd)
{
	struct rpc_conn *c = calloc(1, sizeof(*c));

	if (c)
		c->io = rpc_io_new(s->rpc->d->base, fd, on_io, c);
	if (!c || !c->io) {
		free(c);
		(void)close(fd);
		return;
	}
	c->rpc = s->rpc;
	c->socket = s;
	c->fd = fd;
	c->out = (struct json_out){ .max = RPC_BUFFER_MAX };
	c->next = s->rpc->conns;
	s->rpc->conns = c;
	s->n_conns++;
	rpc_io_watch(c->io, true, false);
}

void
rpc_conn_free(struct rpc_conn *c)
{
	struct rpc_conn **at = &c->rpc->conns;
	struct rpc_sub *s;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	rpc_wait_free_all(c);
	while ((s = c->subs)) {
		c->subs = s->next;
		rpc_sub_free(s);
	}
	assert(c->socket->n_conns > 0);
	c->socket->n_conns--;
	rpc_io_free(c->io);
	rpc_fds_close(c);
	(void)close(c->fd);
	json_out_clear(&c->out);
	free(c->marks);
	free(c->restricted);
	if (c->in)
		sodium_memzero(c->in, c->in_n);
	free(c->in);
	free(c);
}

/* ---- replies ---- */

/* Remembers where the reply stands that ends here. */
static void
mark_reply(struct rpc_conn *c, const struct rpc_call *call)
{
	struct rpc_mark *m;
	size_t cap = c->marks_cap ? 2 * c->marks_cap : 16;

	if (c->n_marks == c->marks_cap) {
		m = realloc(c->marks, cap * sizeof(*m));
		if (!m) {
			c->dead = true;
			return;
		}
		c->marks = m;
		c->marks_cap = cap;
	}
	m = &c->marks[c->n_marks++];
	m->start = call->start;
	m->end = c->out.n;
	m->id_at = call->start + ID_AT + (call->follow ? 1 : 0);
	m->id_n = call->id.n ? call->id.n : strlen("null");
	assert(m->id_at + m->id_n < m->end);
}

/* One request of a line, whose reply must end at limit. False: it has none, or
 * not yet. */
static bool
run_one(
    struct rpc_conn *c, const struct json_scan *scan, bool batch, size_t limit)
{
	struct rpc_call call = { .d = c->rpc->d,
		.rpc = c->rpc,
		.conn = c,
		.out = &c->out,
		.start = c->out.n,
		.limit = limit,
		.batch = batch };

	rpc_call_run(&call, scan);
	if (call.reply == RPC_REPLY_LATER || c->out.n == call.start)
		return false;
	mark_reply(c, &call);
	return true;
}

static void
refuse(struct rpc_conn *c, const struct rpc_fault *fault)
{
	struct rpc_call call = { .d = c->rpc->d,
		.rpc = c->rpc,
		.conn = c,
		.out = &c->out,
		.start = c->out.n };

	rpc_call_refuse(&call, fault);
	mark_reply(c, &call);
	json_line(&c->out);
}

static void
run_batch(struct rpc_conn *c, const struct json_scan *batch)
{
	size_t line = c->out.n, limit = line + API_OUTPUT_MAX;
	struct json_scan scan;
	struct rpc_fault fault;

	if (batch->n_items == 0 || batch->n_items > API_BATCH_MAX) {
		rpc_fault_set(&fault, API_INVALID_REQUEST,
		    "a batch has 1 to %d requests", API_BATCH_MAX);
		refuse(c, &fault);
		return;
	}
	json_open(&c->out, '[');
	for (size_t i = 0; i < batch->n_items; i++) {
		enum err err =
		    json_scan(&c->rpc->guard, batch->items[i], &scan);

		/* It was part of a text that passed. */
		assert(!err);
		(void)err;
		(void)run_one(c, &scan, true,
		    limit - (batch->n_items - i) * RPC_ERROR_MAX);
	}
	if (c->out.n == line + 1) { /* notifications only */
		c->out.n = line;
		c->out.follow = false;
		return;
	}
	json_close(&c->out, ']');
	json_line(&c->out);
}

static void
serve_line(struct rpc_conn *c, struct span line)
{
	struct json_scan scan;
	struct rpc_fault fault;

	c->rpc->undrained = true;
	if (line.n >= API_LINE_MAX) {
		rpc_fault_set(&fault, API_REQUEST_TOO_LARGE,
		    "a line has at most %d bytes", API_LINE_MAX);
		refuse(c, &fault);
	} else if (json_scan(&c->rpc->guard, line, &scan)) {
		rpc_fault_set(&fault, API_PARSE, "%s", scan.why);
		fault.at = (long long)scan.at;
		refuse(c, &fault);
	} else if (scan.type == JSON_ARRAY) {
		run_batch(c, &scan);
	} else if (run_one(c, &scan, false,
	               c->out.n + API_OUTPUT_MAX - RPC_ERROR_MAX)) {
		json_line(&c->out);
	}
	if (c->out.bad)
		c->dead = true; /* no memory: nothing sensible to say */
}

/* ---- late output ---- */

struct json_out *
rpc_conn_note(struct rpc_conn *c, const char *method)
{
	struct json_out *b = &c->out;

	json_open(b, '{');
	json_put_word(b, "jsonrpc", "2.0");
	json_put_word(b, "method", method);
	json_put_open(b, "params", '{');
	return b;
}

void
rpc_conn_note_end(struct rpc_conn *c)
{
	json_close(&c->out, '}');
	json_close(&c->out, '}');
	json_line(&c->out);
	if (c->out.bad)
		c->dead = true;
	/* It tells of what is durable, and so is what stands before it. */
	if (c->n_marks == 0)
		c->ready = c->out.n;
}

void
rpc_conn_reply(struct rpc_conn *c, struct span id, struct rpc_call *ret)
{
	*ret = (struct rpc_call){ .d = c->rpc->d,
		.rpc = c->rpc,
		.conn = c,
		.id = id,
		.out = &c->out,
		.start = c->out.n };
}

void
rpc_conn_reply_end(struct rpc_call *call)
{
	struct rpc_conn *c = call->conn;

	if (c->out.bad)
		(void)rpc_fail(call, API_RESPONSE_TOO_LARGE);
	rpc_call_end(call);
	mark_reply(c, call);
	json_line(&c->out);
	c->rpc->undrained = true;
	rpc_work_soon(c->rpc);
}

/* ---- the end of a turn ---- */

/* Writes `m` of the old output anew, as an error. */
static void
fail_reply(struct rpc_conn *c, const struct json_out *old,
    const struct rpc_mark *m, enum api_error code)
{
	struct rpc_call call;

	rpc_conn_reply(c, span_of(old->p + m->id_at, m->id_n), &call);
	call.follow = old->p[m->start] == ',';
	(void)rpc_fail(&call, code);
	rpc_call_end(&call);
	c->out.follow = false;
}

static void
append(struct json_out *b, const char *p, size_t n)
{
	b->follow = false;
	json_raw(b, span_of(p, n));
	b->follow = false;
}

/* All replies of the turn become errors; notes between them stay. */
static void
fail_replies(struct rpc_conn *c, enum api_error code)
{
	struct json_out old = c->out;
	size_t at = 0;

	c->out = (struct json_out){ .max = RPC_BUFFER_MAX };
	for (size_t i = 0; i < c->n_marks; i++) {
		const struct rpc_mark *m = &c->marks[i];

		append(&c->out, old.p + at, m->start - at);
		fail_reply(c, &old, m, code);
		at = m->end;
	}
	append(&c->out, old.p + at, old.n - at);
	if (c->out.bad)
		c->dead = true;
	json_out_clear(&old);
}

static void
settle_subs(struct rpc_conn *c, bool good)
{
	struct rpc_sub **at = &c->subs, *s;

	while ((s = *at)) {
		if (s->fresh && !good) {
			*at = s->next;
			c->n_subs--;
			rpc_sub_free(s);
			continue;
		}
		s->fresh = false;
		at = &s->next;
	}
}

void
rpc_conn_settle(struct rpc_conn *c, enum api_error code)
{
	if (code != API_OK && c->n_marks > 0)
		fail_replies(c, code);
	settle_subs(c, code == API_OK);
	c->n_marks = 0;
	c->ready = c->out.n;
}

void
rpc_conn_forget(struct rpc_conn *c)
{
	json_out_clear(&c->out);
	c->ready = 0;
	c->n_marks = 0;
}

/* ---- input ---- */

/* Bytes that must be the first of a connection: { [ blank. False: close. */
static bool
check_first(struct rpc_conn *c)
{
	static const uint8_t bom[] = { 0xef, 0xbb, 0xbf };
	size_t n = c->in_n < sizeof(bom) ? c->in_n : sizeof(bom);
	struct rpc_fault fault;

	if (c->begun || c->in_n == 0)
		return true;
	if (memcmp(c->in, bom, n) == 0) {
		if (n < sizeof(bom) && !c->eof)
			return true; /* wait for the rest of it */
		c->in_n -= n;
		memmove(c->in, c->in + n, c->in_n);
		c->begun = true;
		return true;
	}
	c->begun = true;
	if (strchr("{[ \t\r\n", *c->in) && *c->in)
		return true;
	rpc_fault_set(&fault, API_PARSE,
	    "this is a JSON-RPC socket; a line begins with { or [");
	fault.at = 0;
	refuse(c, &fault);
	c->rpc->undrained = true;
	c->closing = true;
	return false;
}

static bool
is_blank(struct span line)
{
	for (size_t i = 0; i < line.n; i++)
		if (!strchr(" \t\r", line.p[i]) || line.p[i] == 0)
			return false;
	return true;
}

/* The next line that stands in the input from *at on, without its LF; moves
 * *at behind it. False: there is none yet. */
static bool
next_line(struct rpc_conn *c, size_t *at, struct span *ret)
{
	size_t from = *at > c->seen ? *at : c->seen;
	const uint8_t *lf =
	    c->in_n > from ? memchr(c->in + from, '\n', c->in_n - from) : NULL;
	size_t end = lf ? (size_t)(lf - c->in) : c->in_n;

	*ret = span_of(c->in ? c->in + *at : NULL, end - *at);
	if (lf) {
		*at = end + 1;
		return true;
	}
	c->seen = c->in_n;
	if (!c->eof || ret->n == 0)
		return false;
	*at = end; /* the last line may lack its LF */
	return true;
}

/* A line without end is answered once, and skipped to its end. */
static void
bound_line(struct rpc_conn *c, size_t *at)
{
	if (c->in_n - *at < API_LINE_MAX)
		return;
	if (!c->skipping)
		serve_line(c, span_of(c->in + *at, c->in_n - *at));
	c->skipping = true;
	*at = c->in_n;
}

/* With what came with it. */
static void
serve_with_fds(struct rpc_conn *c, struct span line)
{
	size_t from = (size_t)(line.p - c->in);

	c->fds_served =
	    c->n_fds > 0 && c->fds_at > from && c->fds_at <= from + line.n + 1;
	serve_line(c, line);
	if (c->fds_served)
		rpc_fds_close(c);
	c->fds_served = false;
}

/* Requests may hold passphrases: what was served is wiped. An idle connection
 * holds no buffer. */
static void
drop_input(struct rpc_conn *c, size_t n)
{
	c->in_n -= n;
	c->seen = c->seen > n ? c->seen - n : 0;
	c->fds_at = c->fds_at > n ? c->fds_at - n : 0;
	if (c->in_n > 0)
		memmove(c->in, c->in + n, c->in_n);
	if (c->in)
		sodium_memzero(c->in + c->in_n, n);
	if (c->in_n > 0)
		return;
	free(c->in);
	c->in = NULL;
	c->in_cap = 0;
}

void
rpc_conn_serve(struct rpc_conn *c)
{
	struct span line;
	size_t at = 0;

	if (!check_first(c) || !c->begun) {
		if (c->closing)
			drop_input(c, c->in_n);
		return;
	}
	while (!c->dead && !rpc_conn_is_full(c) && next_line(c, &at, &line)) {
		bool skip = c->skipping;

		c->skipping = false;
		if (!skip && !is_blank(line))
			serve_with_fds(c, line);
	}
	if (!rpc_conn_is_full(c))
		bound_line(c, &at);
	if (at > 0)
		drop_input(c, at);
}

static bool
make_room(struct rpc_conn *c)
{
	size_t want = c->in_n + RPC_READ_BYTES;
	uint8_t *p;

	assert(c->in_n <= API_LINE_MAX);
	if (c->in_cap >= want)
		return true;
	p = malloc(want);
	if (!p)
		return false;
	if (c->in_n > 0)
		memcpy(p, c->in, c->in_n);
	if (c->in)
		sodium_memzero(c->in, c->in_n);
	free(c->in);
	c->in = p;
	c->in_cap = want;
	return true;
}

/* True if the peer is gone entirely, not only done with sending. */
bool
rpc_conn_is_gone(const struct rpc_conn *c)
{
	struct pollfd p = { .fd = c->fd };

	return poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLERR);
}

static void
read_some(struct rpc_conn *c)
{
	union {
		struct cmsghdr align;
		char b[CMSG_SPACE(sizeof(int) * API_FDS_MAX)];
	} control;
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.b,
		.msg_controllen = sizeof(control.b) };
	ssize_t n;

	if (!make_room(c)) {
		c->dead = true;
		return;
	}
	iov.iov_base = c->in + c->in_n;
	iov.iov_len = c->in_cap - c->in_n;
	do
		n = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		c->in_n += (size_t)n;
		rpc_fds_take(c, &msg);
	} else if (n == 0) {
		c->eof = true;
		c->dead = rpc_conn_is_gone(c) && c->in_n == 0;
	} else if (errno != EAGAIN) {
		c->dead = true;
	}
}

static void
on_io(void *owner, bool readable)
{
	struct rpc_conn *c = owner;

	rpc_begin(c->rpc);
	if (readable && !c->eof && !c->closing)
		read_some(c);
	if (readable)
		rpc_conn_serve(c);
	else
		c->blocked = false;
	rpc_work_soon(c->rpc);
}

/* ---- output ---- */

static void
write_some(struct rpc_conn *c)
{
	size_t sent = 0;

	while (sent < c->ready && !c->blocked && !c->dead) {
		ssize_t n = send(c->fd, c->out.p + sent, c->ready - sent,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0)
			sent += (size_t)n;
		else if (errno == EAGAIN)
			c->blocked = true;
		else if (errno != EINTR)
			c->dead = true;
	}
	if (sent == 0)
		return;
	c->ready -= sent;
	c->out.n -= sent;
	for (size_t i = 0; i < c->n_marks; i++) {
		c->marks[i].start -= sent;
		c->marks[i].end -= sent;
		c->marks[i].id_at -= sent;
	}
	if (c->out.n > 0)
		memmove(c->out.p, c->out.p + sent, c->out.n);
}

static bool
has_more(const struct rpc_conn *c)
{
	for (const struct rpc_sub *s = c->subs; s; s = s->next)
		if (rpc_sub_has_more(s))
			return true;
	return false;
}

/* Nothing more will come of it. */
static bool
is_finished(const struct rpc_conn *c)
{
	if (c->out.n > 0)
		return false;
	if (c->closing)
		return true;
	return c->eof && c->in_n == 0 && c->n_waits == 0 && !has_more(c);
}

bool
rpc_conn_flush(struct rpc_conn *c)
{
	bool wants;

	assert(c->ready <= c->out.n);
	write_some(c);
	if (c->dead || is_finished(c))
		return false;
	/* An idle connection holds little. */
	if (c->out.n == 0 && c->out.cap > RPC_LAZY_MAX && !has_more(c))
		json_out_clear(&c->out);
	if (c->eof)
		rpc_wake_at(c->rpc, c->rpc->d->now.mono_ms + RPC_SWEEP_MS);
	wants = !c->eof && !c->closing && !rpc_conn_is_full(c);
	rpc_io_watch(c->io, wants, c->blocked);
	return true;
}
