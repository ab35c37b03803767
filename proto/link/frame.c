/* One reader function for each type, one table-like switch to choose it. */
#include "proto/link/frame.h"

#include <assert.h>

enum {
	STREAM_FIN = 0x01,
	STREAM_LEN = 0x02,
	STREAM_OFF = 0x04,
	TYPE_MAX_STREAMS_UNI = 0x13,
	TYPE_END = 0x40, /* ours are all below: one byte */
};

/* ---- reading ---- */

/* A varint in its shortest form only: one value, one encoding. */
static uint64_t
rd_short(struct reader *r)
{
	size_t before = r->n;
	uint64_t v = rd_varint(r);

	if (!r->bad && before - r->n != varint_size(v))
		r->bad = true;
	return r->bad ? 0 : v;
}

static enum err
decode_padding(struct reader *r)
{
	while (r->n > 0 && *r->p == FRAME_PADDING)
		(void)rd_u8(r);
	return ERR_OK;
}

/* Ranges come highest first, each as gap and length less one.
 * [RFC 9000 §19.3.1] */
static enum err
decode_ack(struct reader *r, struct frame *f)
{
	uint64_t hi = rd_short(r), n, len;

	f->delay = rd_short(r);
	n = rd_short(r);
	if (n >= RANGES_MAX)
		return ERR_LIMIT;
	len = rd_short(r);
	for (uint64_t i = 0;; i++) {
		if (r->bad || len > hi)
			return ERR_MALFORMED;
		if (ranges_add(&f->ack, hi - len, hi + 1))
			return ERR_LIMIT;
		if (i == n)
			return ERR_OK;
		hi -= len;
		len = rd_short(r); /* the gap */
		if (r->bad || len + 2 > hi)
			return ERR_MALFORMED;
		hi -= len + 2;
		len = rd_short(r);
	}
}

static enum err
decode_stream(struct reader *r, uint8_t type, struct frame *f)
{
	size_t n;

	f->stream = rd_short(r);
	f->offset = type & STREAM_OFF ? rd_short(r) : 0;
	n = r->n;
	if (type & STREAM_LEN) {
		uint64_t len = rd_short(r);

		if (len > r->n)
			return ERR_MALFORMED;
		n = (size_t)len;
	}
	f->data = rd_span(r, n);
	f->fin = type & STREAM_FIN;
	if (f->offset > FRAME_VALUE_END - 1 - f->data.n)
		return ERR_MALFORMED;
	return ERR_OK;
}

/* Code, for 0x1c the type of the guilty frame, and a reason nobody reads. */
static enum err
decode_close(struct reader *r, struct frame *f)
{
	uint64_t n;

	f->value = rd_short(r);
	(void)rd_short(r);
	n = rd_short(r);
	if (n > r->n)
		return ERR_MALFORMED;
	f->data = rd_span(r, (size_t)n);
	return ERR_OK;
}

/* A length and a body, which may be longer than the part we know. */
static enum err
decode_body(struct reader *r, size_t min, struct frame *f)
{
	uint64_t n = rd_short(r);

	if (n < min || n > r->n)
		return ERR_MALFORMED;
	f->data = rd_span(r, (size_t)n);
	return ERR_OK;
}

static enum err
decode_observed(struct reader *r, struct frame *f)
{
	rd_bytes(r, f->observed.addr, sizeof(f->observed.addr));
	f->observed.port = rd_u16be(r);
	return ERR_OK;
}

static enum err
decode_max_streams(struct reader *r, struct frame *f)
{
	f->value = rd_short(r);
	return f->value > FRAME_STREAMS_MAX ? ERR_MALFORMED : ERR_OK;
}

static enum err
decode_of(struct reader *r, uint8_t type, struct frame *f)
{
	switch ((enum frame_type)type) {
	case FRAME_PADDING:
		return decode_padding(r);
	case FRAME_PING:
		return ERR_OK;
	case FRAME_ACK:
		return decode_ack(r, f);
	case FRAME_RESET_STREAM:
		f->stream = rd_short(r);
		f->value = rd_short(r);
		f->offset = rd_short(r);
		return ERR_OK;
	case FRAME_STOP_SENDING:
	case FRAME_MAX_STREAM_DATA:
		f->stream = rd_short(r);
		f->value = rd_short(r);
		return ERR_OK;
	case FRAME_STREAM:
		return ERR_OK; /* the caller has done it: eight types */
	case FRAME_MAX_DATA:
		f->value = rd_short(r);
		return ERR_OK;
	case FRAME_MAX_STREAMS:
		return decode_max_streams(r, f);
	case FRAME_PATH_CHALLENGE:
	case FRAME_PATH_RESPONSE:
		rd_bytes(r, f->path, sizeof(f->path));
		return ERR_OK;
	case FRAME_CLOSE:
		return decode_close(r, f);
	case FRAME_HELLO:
		return decode_body(r, FRAME_HELLO_MIN, f);
	case FRAME_CANDIDATES:
		return decode_body(r, FRAME_CANDIDATES_MIN, f);
	case FRAME_OBSERVED:
		return decode_observed(r, f);
	}
	return ERR_UNSUPPORTED;
}

enum err
frame_decode(struct reader *r, struct frame *ret)
{
	uint8_t type = rd_u8(r);
	enum err err;

	assert(ret);
	*ret = (struct frame){ 0 };
	if (r->bad)
		return ERR_MALFORMED;
	if (type >= TYPE_END) /* too long a form, or unknown: both close */
		return ERR_UNSUPPORTED;
	if ((type & ~7U) == FRAME_STREAM) {
		ret->type = FRAME_STREAM;
		err = decode_stream(r, type, ret);
	} else {
		ret->type = (enum frame_type)(
		    type == TYPE_MAX_STREAMS_UNI ? FRAME_MAX_STREAMS : type);
		err = decode_of(r, (uint8_t)ret->type, ret);
	}
	if (err == ERR_OK && r->bad)
		err = ERR_MALFORMED;
	return err;
}

bool
frame_eliciting(enum frame_type type)
{
	return type != FRAME_PADDING && type != FRAME_ACK &&
	       type != FRAME_CLOSE;
}

/* ---- writing ---- */

void
frame_write_ack(struct writer *w, const struct ranges *ack, uint64_t delay)
{
	uint32_t i;

	assert(ack->n > 0 && ack->n <= RANGES_MAX);
	i = ack->n - 1;
	wr_u8(w, FRAME_ACK);
	wr_varint(w, ack->r[i].hi - 1);
	wr_varint(w, delay);
	wr_varint(w, i);
	wr_varint(w, ack->r[i].hi - 1 - ack->r[i].lo);
	while (i-- > 0) {
		/* A gap of one missing number is 0, two is 1. */
		assert(ack->r[i + 1].lo > ack->r[i].hi);
		wr_varint(w, ack->r[i + 1].lo - ack->r[i].hi - 1);
		wr_varint(w, ack->r[i].hi - 1 - ack->r[i].lo);
	}
}

size_t
frame_ack_size(const struct ranges *ack, uint64_t delay)
{
	uint8_t buf[1 + 8 * (3 + 2 * RANGES_MAX)];
	struct writer w = wr_init(buf, sizeof(buf));

	frame_write_ack(&w, ack, delay);
	assert(!w.bad);
	return w.n;
}

void
frame_write_stream(struct writer *w, uint64_t stream, uint64_t offset, size_t n)
{
	assert(offset < FRAME_VALUE_END - n);
	wr_u8(w, FRAME_STREAM | STREAM_OFF | STREAM_LEN);
	wr_varint(w, stream);
	wr_varint(w, offset);
	wr_varint(w, n);
}

void
frame_write_max_data(struct writer *w, uint64_t limit)
{
	wr_u8(w, FRAME_MAX_DATA);
	wr_varint(w, limit);
}

void
frame_write_max_stream_data(struct writer *w, uint64_t stream, uint64_t limit)
{
	wr_u8(w, FRAME_MAX_STREAM_DATA);
	wr_varint(w, stream);
	wr_varint(w, limit);
}

void
frame_write_path(
    struct writer *w, enum frame_type type, const uint8_t data[FRAME_PATH_SIZE])
{
	assert(type == FRAME_PATH_CHALLENGE || type == FRAME_PATH_RESPONSE);
	wr_u8(w, (uint8_t)type);
	wr_bytes(w, data, FRAME_PATH_SIZE);
}

void
frame_write_close(struct writer *w, enum frame_close code)
{
	wr_u8(w, FRAME_CLOSE);
	wr_varint(w, (uint64_t)code);
	wr_varint(w, 0); /* which frame it was is not told */
	wr_varint(w, 0);
}

void
frame_write_hello(struct writer *w, const uint8_t body[FRAME_HELLO_SIZE])
{
	wr_u8(w, FRAME_HELLO);
	wr_varint(w, FRAME_HELLO_SIZE);
	wr_bytes(w, body, FRAME_HELLO_SIZE);
}

void
frame_write_candidates(struct writer *w, struct span body)
{
	assert(body.n >= FRAME_CANDIDATES_MIN);
	assert(body.n <= FRAME_CANDIDATES_SIZE);
	wr_u8(w, FRAME_CANDIDATES);
	wr_varint(w, body.n);
	wr_span(w, body);
}

void
frame_write_observed(struct writer *w, const struct endpoint *e)
{
	wr_u8(w, FRAME_OBSERVED);
	wr_bytes(w, e->addr, sizeof(e->addr));
	wr_u16be(w, e->port);
}
