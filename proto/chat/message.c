/* Codec of the records on a chat stream. [SPEC §7.5] */
#include "proto/chat/message.h"

#include "proto/base/bencode.h"
#include "proto/base/text.h"
#include "proto/crypto/kdf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	READER_KEEP = 4096, /* bytes of buffer kept between records */
	DAY_MS = 86400 * 1000,
};
#define CLOCK_FLOOR_MS INT64_C(1767225600000) /* 2026-01-01 */

static void
message_body_encode(const struct record *in, struct writer *w)
{
	be_dict(w);
	be_key(w, "h");
	be_str(w, in->prev, sizeof(in->prev));
	be_key(w, "i");
	be_str(w, in->id.b, sizeof(in->id.b));
	be_key(w, "k");
	be_int(w, in->kind);
	be_key(w, "n");
	be_int(w, (int64_t)in->seq);
	if (in->has_ref) {
		be_key(w, "r");
		be_str(w, in->ref.b, sizeof(in->ref.b));
	}
	be_key(w, "s");
	be_int(w, in->sent_ms);
	if (in->ttl_s > 0 || in->kind == RECORD_TIMER) {
		be_key(w, "t");
		be_int(w, in->ttl_s);
	}
	be_key(w, "x");
	be_str(w, in->text.p, in->text.n);
	be_end(w);
}

/* Does it name what it is about by epoch, and by hash? */
static bool
has_epoch(enum record_kind k)
{
	return k == RECORD_ACK || k == RECORD_READ || k == RECORD_REFUSED;
}

static bool
has_head(enum record_kind k)
{
	return k == RECORD_ACK || k == RECORD_REFUSED;
}

/* What is no message. */
static void
sign_body_encode(const struct record *in, struct writer *w)
{
	bool is_typing = in->kind == RECORD_TYPING;

	be_dict(w);
	if (in->kind == RECORD_REFUSED) {
		be_key(w, "c");
		be_int(w, in->refusal);
	}
	if (has_epoch(in->kind)) {
		be_key(w, "e");
		be_str(w, in->epoch, sizeof(in->epoch));
	}
	if (has_head(in->kind)) {
		be_key(w, "h");
		be_str(w, in->head, sizeof(in->head));
	}
	be_key(w, "k");
	be_int(w, in->kind);
	be_key(w, "n");
	be_int(w, is_typing ? in->on : (int64_t)in->seq);
	be_end(w);
}

void
record_encode(const struct record *in, struct writer *ret)
{
	size_t head = ret->n;
	struct writer len;

	assert(in->kind != RECORD_UNKNOWN && in->kind != RECORD_NOT_TAKEN);
	assert(in->kind != RECORD_REFUSED || in->refusal > 0);
	assert(in->kind == RECORD_TYPING ||
	       (in->seq >= 1 && in->seq <= INT64_MAX));
	wr_u32le(ret, 0);
	if (record_is_message(in))
		message_body_encode(in, ret);
	else
		sign_body_encode(in, ret);
	if (ret->bad)
		return;
	assert(ret->n - head - RECORD_HEAD <= RECORD_MAX);
	len = wr_init(ret->p + head, RECORD_HEAD);
	wr_u32le(&len, (uint32_t)(ret->n - head - RECORD_HEAD));
}

enum err
record_check(const struct record *in)
{
	enum { NEVER, MAYBE, ALWAYS };
	static const struct {
		size_t max; /* of the text */
		uint8_t text, ref, ttl;
	} rules[] = {
		[RECORD_TEXT] = { MESSAGE_TEXT_MAX, ALWAYS, MAYBE, MAYBE },
		[RECORD_EDIT] = { MESSAGE_TEXT_MAX, ALWAYS, ALWAYS, NEVER },
		[RECORD_DELETE] = { 0, NEVER, ALWAYS, NEVER },
		[RECORD_REACTION] = { MESSAGE_REACTION_MAX, MAYBE, ALWAYS,
		    NEVER },
		[RECORD_TIMER] = { 0, NEVER, NEVER, MAYBE },
		[RECORD_PROFILE] = { MESSAGE_PROFILE_MAX, MAYBE, NEVER, NEVER },
	};

	assert(record_is_message(in));
	if (in->text.n > rules[in->kind].max)
		return rules[in->kind].max > 0 ? ERR_TOO_LONG : ERR_MALFORMED;
	if ((in->text.n == 0 && rules[in->kind].text == ALWAYS) ||
	    in->has_ref < (rules[in->kind].ref == ALWAYS) ||
	    in->has_ref > (rules[in->kind].ref != NEVER) ||
	    in->ttl_s > (rules[in->kind].ttl != NEVER ? MESSAGE_TTL_MAX_S : 0))
		return ERR_MALFORMED;
	if (in->text.n > 0 && (!utf8_valid(in->text) ||
	                          memchr(in->text.p, '\0', in->text.n) != NULL))
		return ERR_MALFORMED;
	return ERR_OK;
}

/* Digits of a length. */
static size_t
digits(size_t n)
{
	size_t count = 1;

	while (n >= 10) {
		n /= 10;
		count++;
	}
	return count;
}

/* True: there is none, or it is possible; a TIMER has one. */
static bool
take_ttl(const struct bencode *b, struct record *m)
{
	uint32_t at = bencode_get(b, 0, "t");
	int64_t ttl;

	if (at == BENCODE_ABSENT)
		return m->kind != RECORD_TIMER;
	if (!bencode_int(b, at, &ttl) || ttl < 0 || ttl > MESSAGE_TTL_MAX_S)
		return false;
	m->ttl_s = (uint32_t)ttl;
	return true;
}

static enum err
message_decode(struct span in, const struct bencode *b, enum record_kind kind,
    struct record *ret)
{
	struct record m = { .kind = kind };
	uint32_t ref = bencode_get(b, 0, "r");
	int64_t seq;
	enum err err;

	m.has_ref = ref != BENCODE_ABSENT;
	if (!bencode_bytes(b, bencode_get(b, 0, "h"), m.prev, sizeof(m.prev)) ||
	    !bencode_bytes(b, bencode_get(b, 0, "i"), m.id.b, sizeof(m.id.b)) ||
	    !bencode_int(b, bencode_get(b, 0, "n"), &seq) ||
	    (m.has_ref && !bencode_bytes(b, ref, m.ref.b, sizeof(m.ref.b))) ||
	    !bencode_int(b, bencode_get(b, 0, "s"), &m.sent_ms) ||
	    !take_ttl(b, &m) ||
	    !bencode_str(b, bencode_get(b, 0, "x"), &m.text) || seq < 1)
		return ERR_MALFORMED;
	m.seq = (uint64_t)seq;
	m.before =
	    span_of(in.p, (size_t)(m.text.p - in.p) - 1 - digits(m.text.n));
	err = record_check(&m);
	if (err == ERR_TOO_LONG) {
		m.kind = RECORD_NOT_TAKEN;
		m.refusal = REFUSAL_TOO_LONG;
		err = ERR_OK;
	}
	if (!err)
		*ret = m;
	return err;
}

/* Of a later version. Who must know it and does not refuses it: of it, what
 * names it is known. */
static void
unknown_decode(struct span in, const struct bencode *b, struct record *ret)
{
	struct record m = { .kind = RECORD_NOT_TAKEN,
		.refusal = REFUSAL_UNKNOWN };
	int64_t must, seq;

	*ret = (struct record){ .kind = RECORD_UNKNOWN };
	if (!bencode_int(b, bencode_get(b, 0, "m"), &must) || must != 1 ||
	    !bencode_int(b, bencode_get(b, 0, "n"), &seq) || seq < 1 ||
	    !bencode_bytes(b, bencode_get(b, 0, "h"), m.prev, sizeof(m.prev)) ||
	    !bencode_str(b, bencode_get(b, 0, "x"), &m.text))
		return;
	m.seq = (uint64_t)seq;
	m.before =
	    span_of(in.p, (size_t)(m.text.p - in.p) - 1 - digits(m.text.n));
	*ret = m;
}

/* ACK, READ, REFUSED, RESUMED. */
static enum err
sign_decode(const struct bencode *b, enum record_kind kind, struct record *ret)
{
	struct record a = { .kind = kind };
	int64_t seq, why = 0;

	if ((has_epoch(kind) && !bencode_bytes(b, bencode_get(b, 0, "e"),
	                            a.epoch, sizeof(a.epoch))) ||
	    (has_head(kind) && !bencode_bytes(b, bencode_get(b, 0, "h"), a.head,
	                           sizeof(a.head))) ||
	    !bencode_int(b, bencode_get(b, 0, "n"), &seq) || seq < 1)
		return ERR_MALFORMED;
	if (kind == RECORD_REFUSED &&
	    (!bencode_int(b, bencode_get(b, 0, "c"), &why) || why < 1 ||
	        why > REFUSAL_WIRE_MAX))
		return ERR_MALFORMED;
	a.refusal = (uint8_t)why;
	a.seq = (uint64_t)seq;
	*ret = a;
	return ERR_OK;
}

static enum err
typing_decode(const struct bencode *b, struct record *ret)
{
	int64_t on;

	if (!bencode_int(b, bencode_get(b, 0, "n"), &on) || on < 0 || on > 1)
		return ERR_MALFORMED;
	*ret = (struct record){ .kind = RECORD_TYPING, .on = on == 1 };
	return ERR_OK;
}

enum err
record_decode(struct span in, struct record *ret)
{
	struct bencode b;
	int64_t kind;
	enum err err = bencode_parse(in, &b);

	if (err)
		return err;
	if (bencode_type(&b, 0) != BENCODE_DICT ||
	    !bencode_int(&b, bencode_get(&b, 0, "k"), &kind))
		return ERR_MALFORMED;
	if (kind == RECORD_ACK || kind == RECORD_READ ||
	    kind == RECORD_REFUSED || kind == RECORD_RESUMED)
		return sign_decode(&b, (enum record_kind)kind, ret);
	if (kind == RECORD_TYPING)
		return typing_decode(&b, ret);
	if (kind >= RECORD_TEXT && kind <= RECORD_PROFILE)
		return message_decode(in, &b, (enum record_kind)kind, ret);
	unknown_decode(in, &b, ret);
	return ERR_OK;
}

void
record_hash(const struct record *in, uint8_t ret[MESSAGE_HASH_SIZE])
{
	static const char label[] = "btchat/1 message";
	uint8_t head[256]; /* all of a message but the text */
	struct writer w = wr_init(head, sizeof(head));
	struct record bare = *in;
	struct span parts[3];

	assert(record_is_message(in) || in->kind == RECORD_NOT_TAKEN);
	assert(record_is_message(in) || in->before.n > 0);
	parts[0] = span_of(label, sizeof(label) - 1);
	parts[1] = in->before;
	parts[2] = in->text;
	if (in->before.n == 0) {
		bare.text = span_of(NULL, 0);
		message_body_encode(&bare, &w);
		assert(!w.bad && w.n > 3);
		parts[1] = span_of(head, w.n - 3); /* without "0:e" */
	}
	kdf_b2(span_of(NULL, 0), parts, 3, ret, MESSAGE_HASH_SIZE);
}

bool
record_clock(const struct record *in, uint64_t now_ms, uint64_t *ret)
{
	bool possible = in->sent_ms >= CLOCK_FLOOR_MS &&
	                (uint64_t)in->sent_ms <= now_ms + DAY_MS;

	*ret = possible ? (uint64_t)in->sent_ms : now_ms;
	return possible;
}

void
record_reader_init(struct record_reader *r)
{
	*r = (struct record_reader){ NULL, 0, 0 };
}

void
record_reader_clear(struct record_reader *r)
{
	free(r->buf);
	record_reader_init(r);
}

/* Makes room for `need` bytes in all. */
static enum err
reader_grow(struct record_reader *r, size_t need)
{
	size_t cap = r->cap ? r->cap : 512;
	uint8_t *p;

	assert(need <= RECORD_HEAD + RECORD_MAX);
	if (need <= r->cap)
		return ERR_OK;
	while (cap < need)
		cap *= 2;
	p = malloc(cap);
	if (p == NULL)
		return ERR_NOMEM;
	if (r->n > 0)
		memcpy(p, r->buf, r->n);
	free(r->buf);
	r->buf = p;
	r->cap = cap;
	return ERR_OK;
}

/* Moves bytes of *in behind what is held, until `want` are. */
static enum err
reader_fill(struct record_reader *r, struct span *in, size_t want)
{
	size_t n = want - r->n;
	enum err err;

	assert(want >= r->n);
	if (n > in->n)
		n = in->n;
	err = reader_grow(r, r->n + n);
	if (err || n == 0)
		return err;
	memcpy(r->buf + r->n, in->p, n);
	r->n += n;
	in->p += n;
	in->n -= n;
	return ERR_OK;
}

enum err
record_reader_next(
    struct record_reader *r, struct span *in, bool *got, struct span *ret)
{
	struct reader head;
	uint32_t len;
	enum err err;

	*got = false;
	if (in->n == 0) {
		if (r->n == 0 && r->cap > READER_KEEP)
			record_reader_clear(r);
		return ERR_OK;
	}
	if (r->n < RECORD_HEAD) {
		err = reader_fill(r, in, RECORD_HEAD);
		if (err || r->n < RECORD_HEAD)
			return err;
	}
	head = rd_init(span_of(r->buf, RECORD_HEAD));
	len = rd_u32le(&head);
	if (len == 0 || len > RECORD_MAX)
		return ERR_TOO_LONG;
	err = reader_fill(r, in, RECORD_HEAD + len);
	if (err || r->n < RECORD_HEAD + len)
		return err;
	*ret = span_of(r->buf + RECORD_HEAD, len);
	*got = true;
	r->n = 0; /* the bytes stay where they are until the next call */
	return ERR_OK;
}
