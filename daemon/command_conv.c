/* Conversations: what was read, how they are kept, who is typing. */
#include "daemon/command_int.h"

#include "daemon/view.h"
#include "proto/base/text.h"

/* ---- what was read ---- */

/* The row up to which is read: that of a message, or the newest. */
static enum api_error
find_row(struct daemon *d, const struct contact_id *conv,
    const struct message_id *up_to, int64_t *ret)
{
	struct store_message m;
	enum err err;

	*ret = INT64_MAX;
	if (!up_to)
		return API_OK;
	err = store_message_get(d->store, conv, up_to, &m);
	if (err)
		return err == ERR_NOT_FOUND ? API_MESSAGE_NOT_FOUND
		                            : API_STORAGE_ERROR;
	*ret = m.row;
	return API_OK;
}

static bool
tells_read(const struct daemon *d, const struct store_conv *c)
{
	return c->receipts == STORE_RECEIPTS_DEFAULT
	           ? d->config.read_receipts
	           : c->receipts == STORE_RECEIPTS_ON;
}

/* They may know what was read up to row. */
static enum api_error
tell_read(struct daemon *d, const struct contact_id *conv, int64_t row)
{
	const struct command none = { .history = false };
	struct store_contact c;
	uint64_t seq = 0;
	enum err err = store_contact_get(d->store, conv, &c);

	if (!err && !tells_read(d, &c.conv))
		return API_OK;
	if (!err)
		err = store_conv_number(d->store, conv, row, &seq);
	/* What is read now is told now, or it is not read. */
	if (err)
		return store_is_gone(err) ? API_OK : command_lost(d);
	if (node_read(d->node, conv, seq, d->now))
		return API_OK;
	return command_apply(d, &none);
}

enum api_error
command_conv_read(struct daemon *d, const struct contact_id *conv,
    const struct message_id *up_to, uint64_t *ret_unread)
{
	struct json_out o = { .max = EVENT_BODY_MAX };
	enum api_error code = command_begin(d);
	uint64_t before = 0;
	int64_t row = 0;
	enum err err;

	if (code)
		return code;
	err = store_conv_unread(d->store, conv, &before);
	if (err)
		return err == ERR_NOT_FOUND ? API_CONVERSATION_NOT_FOUND
		                            : API_STORAGE_ERROR;
	code = find_row(d, conv, up_to, &row);
	if (code)
		return code;
	if (store_conv_read(d->store, conv, row) ||
	    store_timer_read(d->store, conv, row, d->now.wall_ms) ||
	    store_conv_unread(d->store, conv, ret_unread))
		return command_lost(d);
	code = tell_read(d, conv, row);
	if (code || *ret_unread == before)
		return code; /* nothing new to tell */
	json_open(&o, '{');
	json_put_id(&o, "conv", conv->b);
	if (up_to)
		json_put_id(&o, "up_to", up_to->b);
	json_put_uint(&o, "unread", *ret_unread);
	return command_log(d, EVENT_CONV_READ, conv, &o);
}

/* ---- how it is kept ---- */

static enum api_error
check_conv(struct daemon *d, const struct contact_id *conv)
{
	struct store_contact c;
	enum err err = store_contact_get(d->store, conv, &c);

	if (store_is_gone(err))
		return API_CONVERSATION_NOT_FOUND;
	return err ? API_STORAGE_ERROR : API_OK;
}

/* What can be said before anything is changed. */
static enum api_error
check_change(struct daemon *d, const struct contact_id *conv,
    const struct command_conv *what)
{
	enum api_error code = command_begin(d);

	if (!code)
		code = check_conv(d, conv);
	if (code)
		return code;
	if (what->has_draft && what->draft.n > NODE_TEXT_MAX)
		return API_MESSAGE_TOO_LONG;
	if (what->has_draft && !utf8_valid(what->draft))
		return API_INVALID_PARAMS;
	return API_OK;
}

/* Both sides hear of it; the event comes when it is applied. */
static enum api_error
set_timer(struct daemon *d, const struct contact_id *conv, uint32_t ttl_s)
{
	const struct command none = { .history = false };
	const struct node_words words = { .kind = MESSAGE_TIMER,
		.ttl_s = ttl_s };
	struct message_id id;
	enum err err = node_message_send(d->node, conv, &words, &id, d->now);

	if (err == ERR_STATE)
		return API_BLOCKED;
	if (err == ERR_LIMIT)
		return API_QUOTA;
	return err ? API_INTERNAL : command_apply(d, &none);
}

static enum api_error
conv_event(struct daemon *d, const struct contact_id *conv)
{
	struct json_out o = { .max = EVENT_BODY_MAX };
	struct store_contact c;

	if (store_contact_get(d->store, conv, &c))
		return command_lost(d);
	json_open(&o, '{');
	json_put_id(&o, "conv", conv->b);
	view_conv(&o, &c.conv);
	return command_log(d, EVENT_CONV_CHANGED, conv, &o);
}

enum api_error
command_conv_set(struct daemon *d, const struct contact_id *conv,
    const struct command_conv *what)
{
	enum api_error code = check_change(d, conv, what);

	if (!code && what->has_timer) /* the node may refuse that */
		code = set_timer(d, conv, what->ttl_s);
	if (code || !(what->kept || what->has_draft))
		return code;
	if (what->kept && store_conv_set(d->store, conv, what->kept))
		return command_lost(d);
	if (what->has_draft && store_draft_set(d->store, conv, what->draft))
		return command_lost(d);
	return conv_event(d, conv);
}

/* ---- without its texts ---- */

static enum api_error
begin_clear(struct daemon *d, const struct command_clear *in,
    uint8_t digest[32], struct store_cleared *ret, bool *ret_done)
{
	uint8_t result[16], drop = in->drop;
	struct reader r;
	enum api_error code = command_begin(d);

	*ret_done = false;
	if (code)
		return code;
	if (!command_is_line(in->client_id, API_CLIENT_ID_MAX))
		return API_INVALID_PARAMS;
	command_digest("conv.clear", span_of(in->conv.b, sizeof(in->conv.b)),
	    span_of(&drop, 1), digest);
	code = command_was_done(d, in->client_id, digest, result, ret_done);
	if (code || !*ret_done)
		return code ? code : check_conv(d, &in->conv);
	r = rd_init(span_of(result, sizeof(result)));
	ret->messages = rd_u64le(&r);
	ret->unsent = rd_u64le(&r);
	return API_OK;
}

static enum api_error
clear_event(struct daemon *d, const struct command_clear *in,
    const struct store_cleared *what)
{
	struct json_out o = { .max = EVENT_BODY_MAX };

	json_open(&o, '{');
	json_put_id(&o, "conv", in->conv.b);
	json_put_uint(&o, "messages", what->messages);
	json_put_uint(&o, "unsent", what->unsent);
	if (in->client_id.n > 0)
		json_put_text(&o, "client_id", in->client_id);
	return command_log(d, EVENT_CONV_CLEARED, &in->conv, &o);
}

enum api_error
command_conv_clear(struct daemon *d, const struct command_clear *in,
    struct store_cleared *ret, bool *ret_duplicate)
{
	const struct command none = { .history = false };
	uint8_t digest[32], result[16];
	struct writer w = wr_init(result, sizeof(result));
	enum api_error code = begin_clear(d, in, digest, ret, ret_duplicate);

	if (code || *ret_duplicate)
		return code;
	if (in->drop && node_messages_drop(d->node, &in->conv, d->now))
		return API_CONVERSATION_NOT_FOUND;
	if (in->drop) /* they are failed before they are gone */
		code = command_apply(d, &none);
	if (code)
		return code;
	if (store_conv_clear(d->store, &in->conv, ret))
		return command_lost(d);
	wr_u64le(&w, ret->messages);
	wr_u64le(&w, ret->unsent);
	code = command_remember(d, in->client_id, digest, result);
	return code ? code : clear_event(d, in, ret);
}

enum api_error
command_typing(struct daemon *d, const struct contact_id *conv, bool on)
{
	enum api_error code = command_begin(d);
	enum err err;

	if (code)
		return code;
	err = node_typing(d->node, conv, on, d->now);
	return err ? API_CONVERSATION_NOT_FOUND : API_OK;
}
