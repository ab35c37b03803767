/* message.*: sending, reading back, waiting. */
#include "daemon/rpc_conn.h"

#include <assert.h>
#include <stdlib.h>

/* ---- one message ---- */

/* conv NULL: ids are chosen by their senders, so two conversations may have
 * one; then it is ours, or the first. */
static bool
get_message(struct rpc_call *c, const struct contact_id *conv,
    const struct message_id *id, struct store_message *ret)
{
	enum err err = store_message_get(c->d->store, conv, id, ret);

	if (!err && !rpc_may_see(c->conn, &ret->m.contact))
		err = ERR_NOT_FOUND;
	return rpc_found(c, err, API_MESSAGE_NOT_FOUND);
}

void
rpc_message_get(struct rpc_call *c)
{
	struct store_message m;
	struct message_id id;
	enum err err;

	(void)rpc_id(c, "id", id.b);
	if (!get_message(c, NULL, &id, &m))
		return;
	view_message(rpc_result(c), &m);
	err = view_reactions(c->out, c->d->store, &m);
	if (err)
		rpc_fail_store(c, err);
}

/* id, conv, state, recipients: the same in status and wait. */
static void
put_status(struct json_out *o, const struct store_message *m)
{
	json_put_id(o, "id", m->m.id.b);
	json_put_id(o, "conv", m->m.contact.b);
	json_put_str(o, "state", view_message_state(m->m.state));
	json_put_open(o, "recipients", '[');
	if (store_message_is_ours(m)) {
		json_open(o, '{');
		json_put_id(o, "contact", m->m.contact.b);
		json_put_str(o, "state", view_message_state(m->m.state));
		json_put_uint(o, "at_ms", m->state_ms);
		view_reason(o, m->m.reason);
		json_close(o, '}');
	}
	json_close(o, ']');
}

void
rpc_message_status(struct rpc_call *c)
{
	struct store_message m;
	struct message_id id;

	(void)rpc_id(c, "id", id.b);
	if (get_message(c, NULL, &id, &m))
		put_status(rpc_result(c), &m);
}

/* ---- message.wait ---- */

/* Nothing will change it any more, or it came as far as was asked. */
static bool
is_reached(enum message_state have, enum message_state want)
{
	return have == MESSAGE_FAILED || have == MESSAGE_RECEIVED ||
	       have >= want;
}

bool
rpc_message_reply(struct rpc_call *c, const struct message_id *id,
    enum message_state want, bool last_time)
{
	struct store_message m;
	struct json_out *o;

	/* Locked or deleted while it was waited for. */
	if (!store_has_key(c->d->store)) {
		(void)rpc_fail(c, keyring_state(c->d->keyring) == KEYRING_NONE
		                      ? API_IDENTITY_NOT_FOUND
		                      : API_LOCKED);
		return true;
	}
	if (!get_message(c, NULL, id, &m))
		return true;
	if (is_reached(m.m.state, want)) {
		put_status(rpc_result(c), &m);
		return true;
	}
	if (!last_time)
		return false;
	o = rpc_fail(c, API_TIMEOUT);
	json_put_str(o, "state", view_message_state(m.m.state));
	return true;
}

void
rpc_message_wait(struct rpc_call *c)
{
	struct span word = rpc_str(c, "state");
	enum message_state want = span_eq(word, span_str("sent")) ? MESSAGE_SENT
	                          : span_eq(word, span_str("read"))
	                              ? MESSAGE_READ
	                              : MESSAGE_DELIVERED;
	bool once = c->batch || rpc_int(c, "timeout_ms", RPC_TIMEOUT_MS) == 0;
	struct message_id id;
	struct rpc_wait *w;

	(void)rpc_id(c, "id", id.b);
	if (rpc_message_reply(c, &id, want, once))
		return;
	w = rpc_wait_new(c, RPC_WAIT_MESSAGE);
	if (!w)
		return;
	w->message = id;
	w->state = want;
}

/* ---- message.send, edit, delete, react ---- */

static void
fail_send(
    struct rpc_call *c, const struct command_send *in, enum api_error code)
{
	bool is_reaction = in->words.kind == MESSAGE_REACTION;

	if (code == API_MESSAGE_TOO_LONG)
		json_put_int(rpc_fail(c, code), "max",
		    is_reaction ? NODE_REACTION_MAX : NODE_TEXT_MAX);
	else if (code == API_INVALID_PARAMS)
		rpc_fail_param(c, is_reaction ? "reaction" : "text",
		    "is empty or not UTF-8");
	else
		(void)rpc_fail(c, code);
}

/* The state is looked up only for what was sent long ago. */
static enum err
state_of(struct rpc_call *c, const struct command_send *in,
    const struct message_id *id, const char **ret)
{
	struct store_message m;
	enum err err;

	daemon_settle(c->d);
	err = store_message_get(c->d->store, &in->to, id, &m);
	if (err)
		return store_is_gone(err) ? ERR_OK : err;
	*ret = view_message_state(m.m.state);
	return ERR_OK;
}

/* Sends it, and begins the reply. NULL: an error reply. */
static struct json_out *
send(struct rpc_call *c, const struct command_send *in)
{
	const char *state = view_message_state(MESSAGE_QUEUED);
	struct message_id id;
	bool duplicate = false;
	struct json_out *o;
	enum api_error code = command_message_send(c->d, in, &id, &duplicate);
	enum err err = ERR_OK;

	if (code) {
		fail_send(c, in, code);
		return NULL;
	}
	if (duplicate)
		err = state_of(c, in, &id, &state);
	if (err) {
		rpc_fail_store(c, err);
		return NULL;
	}
	o = rpc_result(c);
	json_put_id(o, "id", id.b);
	json_put_id(o, "conv", in->to.b);
	json_put_str(o, "state", state);
	if (in->client_id.n > 0)
		json_put_text(o, "client_id", in->client_id);
	json_put_bool(o, "duplicate", duplicate);
	return o;
}

void
rpc_message_send(struct rpc_call *c)
{
	struct message_id ref;
	struct command_send in = {
		.words = { .kind = MESSAGE_TEXT, .text = rpc_str(c, "text") },
		.client_id = rpc_str(c, "client_id"),
	};

	(void)rpc_id(c, "conv", in.to.b);
	if (rpc_id(c, "reply_to", ref.b))
		in.words.ref = &ref;
	in.has_ttl = rpc_has(c, "ttl_ms");
	in.words.ttl_s = rpc_seconds(c, "ttl_ms");
	(void)send(c, &in);
}

/* The message that words are about. */
static bool
get_subject(
    struct rpc_call *c, struct message_id *id, struct store_message *ret)
{
	struct contact_id conv;
	bool in_conv = rpc_id(c, "conv", conv.b);

	(void)rpc_id(c, "id", id->b);
	return get_message(c, in_conv ? &conv : NULL, id, ret);
}

/* Sends words about a message. */
static void
send_about(struct rpc_call *c, enum message_kind kind, const char *text)
{
	struct message_id ref;
	struct store_message m;
	struct command_send in = {
		.words = { .kind = kind, .ref = &ref },
		.client_id = rpc_str(c, "client_id"),
	};
	struct json_out *o;

	if (!get_subject(c, &ref, &m))
		return;
	in.to = m.m.contact;
	if (text)
		in.words.text = rpc_str(c, text);
	o = send(c, &in);
	if (o)
		json_put_id(o, "message", ref.b);
}

void
rpc_message_edit(struct rpc_call *c)
{
	send_about(c, MESSAGE_EDIT, "text");
}

void
rpc_message_react(struct rpc_call *c)
{
	send_about(c, MESSAGE_REACTION, "reaction");
}

/* For both, or at this side alone: then nothing is sent. */
void
rpc_message_delete(struct rpc_call *c)
{
	struct message_id id;
	struct store_message m;
	struct json_out *o;
	enum api_error code;

	if (!span_eq(rpc_str(c, "for"), span_str("me"))) {
		send_about(c, MESSAGE_DELETE, NULL);
		return;
	}
	if (!get_subject(c, &id, &m))
		return;
	code = command_message_forget(c->d, &m.m.contact, &id);
	if (code) {
		(void)rpc_fail(c, code);
		return;
	}
	o = rpc_result(c);
	json_put_id(o, "message", id.b);
	json_put_id(o, "conv", m.m.contact.b);
}

/* ---- message.cancel, retry ---- */

/* What has become of it, however that went. */
static void
put_outcome(struct rpc_call *c, const struct contact_id *conv,
    const struct message_id *id, enum api_error code)
{
	const char *state;
	struct store_message m;
	struct json_out *o;

	if (code && code != API_INVALID_STATE) {
		(void)rpc_fail(c, code);
		return;
	}
	if (!get_message(c, conv, id, &m))
		return;
	state = view_message_state(m.m.state);
	if (code) {
		o = rpc_error(c, code, "the message is %s", state);
	} else {
		o = rpc_result(c);
		json_put_id(o, "id", id->b);
		json_put_id(o, "conv", conv->b);
	}
	json_put_str(o, "state", state);
	view_reason(o, m.m.reason);
}

static void
change_way(struct rpc_call *c,
    enum api_error (*change)(struct daemon *d, const struct contact_id *conv,
        const struct message_id *id))
{
	struct message_id id;
	struct store_message m;
	struct contact_id conv;

	if (!get_subject(c, &id, &m))
		return;
	conv = m.m.contact;
	put_outcome(c, &conv, &id, change(c->d, &conv, &id));
}

void
rpc_message_cancel(struct rpc_call *c)
{
	change_way(c, command_message_cancel);
}

void
rpc_message_retry(struct rpc_call *c)
{
	change_way(c, command_message_retry);
}

/* ---- message.history ---- */

enum { PAGE_MAX = API_LIMIT_MAX + 1 };

/* A page that is read in one direction and shown newest first. */
struct page {
	struct store *store;
	struct json_out text; /* owned: the rendered messages */
	size_t n, limit;
	size_t end[PAGE_MAX]; /* of each, in text */
	struct message_id id[PAGE_MAX];
	bool more;    /* there is another in this direction */
	enum err err; /* of on_message, which cannot return it */
};

static struct page *
page_new(struct store *s)
{
	struct page *p = calloc(1, sizeof(*p));

	if (p) {
		p->store = s;
		p->text.max = API_OUTPUT_MAX;
	}
	return p;
}

static void
page_free(struct page *p)
{
	if (!p)
		return;
	json_out_clear(&p->text);
	free(p);
}

static bool
on_message(void *ctx, const struct store_message *m)
{
	struct page *p = ctx;

	size_t from = p->text.n;

	p->more = p->n == p->limit;
	if (p->more)
		return false;
	assert(p->n < PAGE_MAX);
	p->text.follow = false;
	json_open(&p->text, '{');
	view_message(&p->text, m);
	p->err = view_reactions(&p->text, p->store, m);
	json_close(&p->text, '}');
	if (p->n > 0 && p->text.n > API_OUTPUT_MAX / 4) {
		json_out_cut(&p->text, from); /* it begins the next page */
		p->more = true;
		return false;
	}
	p->id[p->n] = m->m.id;
	p->end[p->n] = p->text.n;
	p->n++;
	return !p->err && !p->text.bad;
}

static enum err
page_read(struct page *p, struct store_history *q)
{
	enum err err;

	p->limit = q->limit;
	q->limit++; /* to know whether there is one more */
	err = store_history(p->store, q, on_message, p);
	if (!err)
		err = p->err;
	return !err && p->text.bad ? ERR_NOMEM : err;
}

static void
put_item(struct json_out *o, const struct page *p, size_t i)
{
	size_t from = i > 0 ? p->end[i - 1] : 0;

	json_raw(o, span_of(p->text.p + from, p->end[i] - from));
}

static void
put_cursor(struct json_out *o, const char *key, const struct message_id *id)
{
	if (id)
		json_put_id(o, key, id->b);
	else
		json_put_null(o, key);
}

/* What to ask: rows, resolved from the ids in the params. */
struct asked {
	struct contact_id conv;
	int64_t before, after; /* 0: not given */
	bool newer, older;     /* which halves to read */
	size_t limit;
};

/* `up` was read upwards from after, `down` downwards from before. prev is the
 * newest shown; next the oldest one, null if nothing is older. */
static void
put_page(struct rpc_call *c, const struct asked *a, const struct page *up,
    const struct page *down)
{
	struct json_out *o = rpc_result(c);
	const struct message_id *top = NULL, *bottom = NULL;

	json_put_open(o, "items", '[');
	for (size_t i = up->n; i > 0; i--)
		put_item(o, up, i - 1);
	for (size_t i = 0; i < down->n; i++)
		put_item(o, down, i);
	json_close(o, ']');
	if (up->n > 0)
		top = &up->id[up->n - 1];
	else if (down->n > 0)
		top = &down->id[0];
	if (a->older)
		bottom = down->more ? &down->id[down->n - 1] : NULL;
	else
		bottom = up->n > 0 ? &up->id[0] : NULL;
	put_cursor(o, "prev", top);
	put_cursor(o, "next", bottom);
}

static enum err
read_halves(const struct asked *a, struct page *up, struct page *down)
{
	size_t half = a->newer && a->older ? (a->limit + 1) / 2 : a->limit;
	struct store_history q = { .contact = a->conv,
		.after = a->after,
		.limit = a->limit - (a->older ? half : 0) };
	enum err err = ERR_OK;

	if (a->newer && q.limit > 0)
		err = page_read(up, &q);
	q = (struct store_history){
		.contact = a->conv, .before = a->before, .limit = half
	};
	if (!err && a->older)
		err = page_read(down, &q);
	return err;
}

/* The row of the message that a param names; 0 if it is not given. */
static bool
find_row(struct rpc_call *c, const struct contact_id *conv, const char *name,
    int64_t *ret)
{
	struct store_message m;
	struct message_id id;
	enum err err;

	*ret = 0;
	if (!rpc_id(c, name, id.b))
		return true;
	err = store_message_get(c->d->store, conv, &id, &m);
	if (store_is_gone(err))
		json_put_str(rpc_fail(c, API_MESSAGE_NOT_FOUND), "param", name);
	else if (err)
		rpc_fail_store(c, err);
	else
		*ret = m.row;
	return !err;
}

/* False and an error reply if the params make no sense. */
static bool
read_asked(struct rpc_call *c, struct asked *a)
{
	int64_t around;

	(void)rpc_id(c, "conv", a->conv.b);
	a->limit = rpc_limit(c);
	if (rpc_has(c, "before") + rpc_has(c, "after") + rpc_has(c, "around") >
	    1) {
		rpc_fail_param(c, "after", "only one of before, after, around");
		return false;
	}
	if (!find_row(c, &a->conv, "before", &a->before) ||
	    !find_row(c, &a->conv, "after", &a->after) ||
	    !find_row(c, &a->conv, "around", &around))
		return false;
	a->newer = a->after > 0 || around > 0;
	a->older = a->after == 0;
	if (around > 0) {
		a->after = around;
		a->before = around + 1;
	}
	return true;
}

static bool
has_conv(struct rpc_call *c, const struct contact_id *conv)
{
	struct store_contact k;
	return rpc_found(c, store_contact_get(c->d->store, conv, &k),
	    API_CONVERSATION_NOT_FOUND);
}

void
rpc_message_history(struct rpc_call *c)
{
	struct page *up = page_new(c->d->store);
	struct page *down = page_new(c->d->store);
	struct asked a = { 0 };
	enum err err;

	if (!up || !down) {
		(void)rpc_fail(c, API_INTERNAL);
		goto out;
	}
	if (!read_asked(c, &a) || !has_conv(c, &a.conv))
		goto out;
	err = read_halves(&a, up, down);
	if (err)
		rpc_fail_store(c, err);
	else
		put_page(c, &a, up, down);
out:
	page_free(up);
	page_free(down);
}
