/* Messages: words to contacts, and what is forgotten here alone. */
#include "daemon/command_int.h"

#include <assert.h>

/* As command_begin, but words that follow others leave them where they are: the
 * node keeps them until somebody else comes or the turn ends, and all are
 * applied at once. The datagrams that they leave in are fuller for it, too. */
static enum api_error
begin_words(struct daemon *d, const struct node_words *words)
{
	bool follows = d->words_wait && !words->ref;

	return follows ? daemon_ready(d) : command_begin(d);
}

static enum api_error
send_error(enum err err)
{
	switch (err) {
	case ERR_NOT_FOUND:
		return API_CONTACT_NOT_FOUND;
	case ERR_TOO_LONG:
		return API_MESSAGE_TOO_LONG;
	case ERR_MALFORMED:
		return API_INVALID_PARAMS;
	case ERR_LIMIT:
		return API_QUOTA;
	case ERR_STATE:
		return API_INVALID_STATE;
	case ERR_OK:
	case ERR_UNSUPPORTED:
	case ERR_AUTH:
	case ERR_REPLAY:
	case ERR_NOMEM:
	case ERR_EXISTS:
	case ERR_EXPIRED:
	case ERR_BAD_KEY:
	case ERR_CONFLICT:
	case ERR_IO:
		break;
	}
	return API_INTERNAL;
}

/* What words are about must be there, and ours if they change it. */
static enum api_error
check_ref(
    struct daemon *d, const struct contact_id *conv, const struct node_words *w)
{
	struct store_message m;
	enum err err = store_message_get(d->store, conv, w->ref, &m);

	if (err && err != ERR_NOT_FOUND && err != ERR_AUTH)
		return API_STORAGE_ERROR;
	if (err || m.m.kind != MESSAGE_TEXT || m.deleted)
		return API_MESSAGE_NOT_FOUND;
	if ((w->kind == MESSAGE_EDIT || w->kind == MESSAGE_DELETE) &&
	    !store_message_is_ours(&m))
		return API_INVALID_STATE;
	return API_OK;
}

static void
send_digest(const struct command_send *in, uint8_t ret[32])
{
	static const struct message_id none;
	const struct message_id *ref = in->words.ref ? in->words.ref : &none;
	uint8_t what[1 + sizeof(in->to.b) + sizeof(ref->b)];
	struct writer w = wr_init(what, sizeof(what));

	wr_u8(&w, (uint8_t)in->words.kind);
	wr_bytes(&w, in->to.b, sizeof(in->to.b));
	wr_bytes(&w, ref->b, sizeof(ref->b));
	command_digest("message.send", wr_span_of(&w), in->words.text, ret);
}

enum api_error
command_message_send(struct daemon *d, const struct command_send *in,
    struct message_id *ret, bool *ret_duplicate)
{
	enum api_error code = begin_words(d, &in->words);
	struct node_words words;
	uint8_t digest[32] = { 0 };
	enum err err;

	*ret_duplicate = false;
	if (code)
		return code;
	if (!command_is_line(in->client_id, API_CLIENT_ID_MAX))
		return API_INVALID_PARAMS;
	if (in->client_id.n > 0)
		send_digest(in, digest);
	code =
	    command_was_done(d, in->client_id, digest, ret->b, ret_duplicate);
	if (code || *ret_duplicate)
		return code;
	if (in->words.ref)
		code = check_ref(d, &in->to, &in->words);
	if (code)
		return code;
	words = in->words;
	words.note = in->client_id;
	/* One that cannot be read may say that the text is to disappear. */
	if (words.kind == MESSAGE_TEXT && !in->has_ttl &&
	    store_conv_ttl(d->store, &in->to, &words.ttl_s))
		return API_STORAGE_ERROR;
	err = node_message_send(d->node, &in->to, &words, ret, d->now);
	if (err == ERR_STATE)
		return API_BLOCKED;
	if (err)
		return send_error(err);
	d->words_wait = true;
	return command_remember(d, in->client_id, digest, ret->b);
}

/* ---- taken back, and sent once more ---- */

/* A text of ours. */
static enum api_error
get_ours(struct daemon *d, const struct contact_id *conv,
    const struct message_id *id, struct store_message *ret)
{
	enum api_error code = command_begin(d);
	enum err err;

	if (code)
		return code;
	err = store_message_get(d->store, conv, id, ret);
	if (store_is_gone(err))
		return API_MESSAGE_NOT_FOUND;
	if (err)
		return API_STORAGE_ERROR;
	if (!store_message_is_ours(ret) || ret->m.kind != MESSAGE_TEXT)
		return API_INVALID_STATE;
	return API_OK;
}

enum api_error
command_message_cancel(struct daemon *d, const struct contact_id *conv,
    const struct message_id *id)
{
	const struct command none = { .history = false };
	struct store_message m;
	enum api_error code = get_ours(d, conv, id, &m);

	if (code)
		return code;
	if (m.m.state == MESSAGE_FAILED && m.m.reason == REASON_CANCELLED)
		return API_OK;
	if (m.m.state != MESSAGE_QUEUED ||
	    node_message_cancel(d->node, conv, id, d->now))
		return API_INVALID_STATE;
	return command_apply(d, &none);
}

/* Who has the text all the same may have it as it was before we edited it. */
static enum err
edit_again(
    struct daemon *d, const struct contact_id *conv, struct node_words words)
{
	struct message_id edit;
	bool gone;
	enum err err;

	words.kind = MESSAGE_EDIT;
	words.ref = words.again;
	words.again = NULL;
	words.ttl_s = 0;
	words.note = span_of(NULL, 0);
	err = node_message_send(d->node, conv, &words, &edit, d->now);
	if (err) { /* both or none */
		gone = !node_message_cancel(d->node, conv, words.ref, d->now);
		assert(gone);
	}
	return err;
}

enum api_error
command_message_retry(struct daemon *d, const struct contact_id *conv,
    const struct message_id *id)
{
	const struct command none = { .history = false };
	struct store_message m;
	struct node_words words = { .kind = MESSAGE_TEXT, .again = id };
	struct message_id same;
	enum api_error code = get_ours(d, conv, id, &m);
	enum err err;

	if (code)
		return code;
	if (m.m.state == MESSAGE_QUEUED || m.m.state == MESSAGE_SENT)
		return API_OK;
	if (m.m.state != MESSAGE_FAILED)
		return API_INVALID_STATE;
	if (m.deleted)
		return API_MESSAGE_NOT_FOUND;
	words.ref = m.m.has_ref ? &m.m.ref : NULL;
	words.ttl_s = m.m.ttl_s;
	words.text = m.m.text;
	words.note = span_str(m.client_id);
	err = node_message_send(d->node, conv, &words, &same, d->now);
	if (err == ERR_STATE)
		return API_BLOCKED;
	if (!err && m.edited_ms > 0)
		err = edit_again(d, conv, words);
	return err ? send_error(err) : command_apply(d, &none);
}

/* ---- forgotten ---- */

enum api_error
command_message_forget(struct daemon *d, const struct contact_id *conv,
    const struct message_id *id)
{
	struct event_row e = { .type = EVENT_MESSAGE_DELETED,
		.has_conv = true,
		.conv = *conv,
		.has_ref = true,
		.ref = *id };
	struct store_message m;
	enum api_error code = command_begin(d);
	enum err err;

	if (code)
		return code;
	err = store_message_get(d->store, conv, id, &m);
	if (!err)
		err = store_message_delete(d->store, conv, id);
	if (err)
		return store_is_gone(err) ? API_MESSAGE_NOT_FOUND
		                          : command_lost(d);
	e.ours = store_message_is_ours(&m);
	return daemon_event(d, &e) ? API_OK : command_lost(d);
}
