#include "tests/sim/liar.h"

#include "proto/link/frame.h"

#include <assert.h>
#include <string.h>

enum lie {
	LIE_BITS = 0, /* a few are flipped */
	LIE_BYTES,    /* a run of random ones */
	LIE_FRAME,    /* before all others */
	LIE_MANY,     /* nothing but frames of one sort */
	LIE_SHORT,    /* zeros from somewhere on */
	LIE_BEFORE,   /* what an earlier packet said */
	LIES,
};

enum { VALUE_BITS = 61, RUN_MAX = 40, FLIPS_MAX = 3, ACK_RANGES = 3 };

static struct liar *current;

void
liar_use(struct liar *l)
{
	current = l && l->per_mille ? l : NULL;
}

/* Of any order of magnitude. */
static uint64_t
any_value(struct dice *d)
{
	uint32_t bits = dice_below(d, VALUE_BITS + 1);

	return dice_u64(d) >> (63 - bits) >> 1;
}

static const struct endpoint *
any_place(struct liar *l)
{
	return &l->place[dice_below(&l->dice, l->n_places)];
}

/* Numbers that were not sent, or not yet. */
static void
write_ack(struct dice *d, struct writer *w)
{
	struct ranges ack = { 0 };
	uint64_t at = any_value(d);

	for (uint32_t i = 0; i < ACK_RANGES && at < FRAME_VALUE_END - 8; i++) {
		if (ranges_add(&ack, at, at + 1 + dice_below(d, 4)) != ERR_OK)
			break;
		at += 5 + dice_below(d, 100);
	}
	if (ack.n > 0)
		frame_write_ack(w, &ack, any_value(d));
}

static void
write_candidates(struct liar *l, struct writer *w)
{
	uint8_t body[FRAME_CANDIDATES_SIZE];
	size_t n =
	    dice_range(&l->dice, FRAME_CANDIDATES_MIN, FRAME_CANDIDATES_SIZE);

	dice_fill(&l->dice, body, n);
	frame_write_candidates(w, span_of(body, n));
}

static void
write_stream(struct liar *l, struct writer *w)
{
	size_t n = dice_below(&l->dice, RUN_MAX);
	uint64_t stream = dice_below(&l->dice, 6);
	uint8_t *to;

	frame_write_stream(w, stream, any_value(&l->dice), n);
	to = wr_reserve(w, n);
	if (to)
		dice_fill(&l->dice, to, n);
}

static void
write_hello(struct liar *l, struct writer *w)
{
	uint8_t body[FRAME_HELLO_SIZE];

	dice_fill(&l->dice, body, sizeof(body));
	frame_write_hello(w, body);
}

/* Also types that do not exist. */
static void
write_numbers(struct liar *l, struct writer *w)
{
	static const uint8_t types[] = { 0x03, 0x04, 0x05, 0x10, 0x11, 0x12,
		0x13, 0x17, 0x30, 0x31, 0x3d, 0x3e, 0x3f };

	wr_u8(w, types[dice_below(&l->dice, sizeof(types))]);
	for (uint32_t i = dice_below(&l->dice, 4); i > 0; i--)
		wr_varint(w, any_value(&l->dice));
}

static void
write_frame(struct liar *l, enum frame_type type, struct writer *w)
{
	uint8_t path[FRAME_PATH_SIZE];
	uint64_t stream;

	switch (type) {
	case FRAME_ACK:
		write_ack(&l->dice, w);
		break;
	case FRAME_STREAM:
		write_stream(l, w);
		break;
	case FRAME_MAX_DATA:
		frame_write_max_data(w, any_value(&l->dice));
		break;
	case FRAME_MAX_STREAM_DATA:
		stream = dice_below(&l->dice, 6);
		frame_write_max_stream_data(w, stream, any_value(&l->dice));
		break;
	case FRAME_PATH_CHALLENGE:
	case FRAME_PATH_RESPONSE:
		dice_fill(&l->dice, path, sizeof(path));
		frame_write_path(w, type, path);
		break;
	case FRAME_CLOSE:
		frame_write_close(w, (enum frame_close)any_value(&l->dice));
		break;
	case FRAME_HELLO:
		write_hello(l, w);
		break;
	case FRAME_OBSERVED:
		frame_write_observed(w, any_place(l));
		break;
	case FRAME_CANDIDATES:
		write_candidates(l, w);
		break;
	case FRAME_PADDING:
	case FRAME_PING:
		wr_u8(w, FRAME_PING);
		break;
	case FRAME_RESET_STREAM:
	case FRAME_STOP_SENDING:
	case FRAME_MAX_STREAMS:
		write_numbers(l, w);
		break;
	}
}

/* The zeros behind the frames make room, and if that is not enough their end
 * is lost. */
static void
insert_frames(struct liar *l, uint32_t times, uint8_t *plain, size_t n)
{
	static const enum frame_type types[] = { FRAME_PING, FRAME_ACK,
		FRAME_RESET_STREAM, FRAME_STREAM, FRAME_MAX_DATA,
		FRAME_MAX_STREAM_DATA, FRAME_PATH_CHALLENGE,
		FRAME_PATH_RESPONSE, FRAME_CLOSE, FRAME_HELLO, FRAME_OBSERVED,
		FRAME_CANDIDATES };
	enum frame_type type =
	    types[dice_below(&l->dice, sizeof(types) / sizeof(types[0]))];
	uint8_t said[LIAR_PLAIN_MAX];
	struct writer w = wr_init(said, sizeof(said));
	size_t n_said = 0;

	for (; times > 0 && !w.bad; times--) {
		n_said = w.n;
		write_frame(l, type, &w);
	}
	if (!w.bad)
		n_said = w.n;
	if (n_said > n)
		return;
	memmove(plain + n_said, plain, n - n_said);
	memcpy(plain, said, n_said);
}

static void
flip_bits(struct dice *d, uint8_t *plain, size_t n)
{
	for (uint32_t i = dice_range(d, 1, FLIPS_MAX); i > 0; i--) {
		uint32_t bit = dice_below(d, 8 * (uint32_t)n);

		plain[bit / 8] ^= (uint8_t)(1U << (bit % 8));
	}
}

static void
change_run(struct dice *d, uint8_t *plain, size_t n, bool is_random)
{
	size_t from = dice_below(d, (uint32_t)n);
	size_t size = dice_range(d, 1, RUN_MAX);

	if (size > n - from || !is_random)
		size = n - from;
	if (is_random)
		dice_fill(d, plain + from, size);
	else
		memset(plain + from, 0, size);
}

void
liar_speak(uint8_t *plain, size_t n)
{
	struct liar *l = current;
	uint8_t truth[LIAR_PLAIN_MAX];

	if (!l || n == 0 || n > sizeof(truth) ||
	    !dice_chance(&l->dice, l->per_mille))
		return;
	assert(l->n_places > 0);
	memcpy(truth, plain, n);
	switch ((enum lie)dice_below(&l->dice, LIES)) {
	case LIE_BITS:
		flip_bits(&l->dice, plain, n);
		break;
	case LIE_BYTES:
		change_run(&l->dice, plain, n, true);
		break;
	case LIE_FRAME:
		insert_frames(l, 1, plain, n);
		break;
	case LIE_MANY:
		insert_frames(l, UINT16_MAX, plain, n);
		break;
	case LIE_SHORT:
		change_run(&l->dice, plain, n, false);
		break;
	case LIE_BEFORE:
		memcpy(plain, l->before, n < l->n_before ? n : l->n_before);
		break;
	case LIES:
		break;
	}
	memcpy(l->before, truth, n);
	l->n_before = n;
	l->n_lies++;
}
