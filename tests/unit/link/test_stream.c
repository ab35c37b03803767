/* Both directions of a stream against what a plain array would do. */
#include "proto/link/stream.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { TOTAL = 600000 };

static uint8_t
byte_at(uint64_t o)
{
	return (uint8_t)(o * 7 + o / 255);
}

static void
fill(uint8_t *p, uint64_t o, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = byte_at(o + i);
}

/* A wire between the two that loses, and tells of it or not. */
struct pipe {
	struct stream_send s;
	struct stream_receive r;
	struct range flying[64];
	unsigned n;
	uint64_t got;
	struct test_rng t;
};

static void
write_some(struct pipe *p)
{
	uint8_t buf[3000];
	size_t n = rng_below(&p->t.rng, sizeof(buf));

	if (n > stream_send_room(&p->s)) {
		assert_int_equal(
		    stream_send_write(&p->s, span_of(buf, n)), ERR_LIMIT);
		return;
	}
	if (p->s.end + n > TOTAL)
		n = (size_t)(TOTAL - p->s.end);
	fill(buf, p->s.end, n);
	assert_int_equal(stream_send_write(&p->s, span_of(buf, n)), ERR_OK);
}

static void
send_some(struct pipe *p)
{
	struct range piece;

	if (p->n == 64)
		return;
	piece =
	    stream_send_take(&p->s, UINT64_MAX, 1 + rng_below(&p->t.rng, 1200));
	if (piece.lo < piece.hi)
		p->flying[p->n++] = piece;
}

static void
arrive(struct pipe *p, bool lose)
{
	uint8_t buf[1200];
	struct range piece;
	unsigned i;

	if (p->n == 0)
		return;
	i = rng_below(&p->t.rng, p->n);
	piece = p->flying[i];
	p->flying[i] = p->flying[--p->n];
	if (!lose) {
		size_t n = (size_t)(piece.hi - piece.lo);

		/* Acknowledged already: the copy of another packet. */
		fill(buf, piece.lo, n);
		if (stream_receive_push(
		        &p->r, piece.lo, span_of(buf, n), false) == ERR_OK) {
			stream_send_acked(&p->s, piece);
			return;
		}
	}
	stream_send_lost(&p->s, piece);
}

static void
read_some(struct pipe *p)
{
	struct span in = stream_receive_peek(&p->r);

	for (size_t i = 0; i < in.n; i++)
		assert_int_equal(in.p[i], byte_at(p->got + i));
	p->got += in.n;
	stream_receive_read(&p->r, in.n);
	if (stream_receive_widen(&p->r))
		p->s.limit = p->r.limit;
}

static void
everything_arrives_once_in_order(void **state)
{
	static struct pipe p;
	uint64_t seed = test_seed(1);

	(void)state;
	for (unsigned i = 0; i < test_rounds(10); i++) {
		memset(&p, 0, sizeof(p));
		test_rng_init(&p.t, seed + i);
		stream_send_init(&p.s, STREAM_WINDOW, STREAM_WINDOW);
		stream_receive_init(&p.r, STREAM_WINDOW, STREAM_WINDOW);
		while (p.got < TOTAL) {
			write_some(&p);
			send_some(&p);
			send_some(&p);
			arrive(&p, rng_below(&p.t.rng, 100) < 10 * (i % 5));
			if (rng_below(&p.t.rng, 4) == 0)
				read_some(&p);
		}
		assert_int_equal(p.r.in_order, TOTAL);
		stream_send_clear(&p.s);
		stream_receive_clear(&p.r);
	}
}

static void
limits_are_kept(void **state)
{
	static uint8_t big[STREAM_WINDOW];
	struct stream_receive r;
	struct stream_send s;

	(void)state;
	stream_send_init(&s, STREAM_WINDOW, STREAM_WINDOW);
	assert_int_equal(
	    stream_send_write(&s, span_of(big, sizeof(big))), ERR_OK);
	assert_int_equal(stream_send_write(&s, span_of(big, 1)), ERR_LIMIT);
	assert_true(stream_send_due(&s, 10));
	assert_int_equal(stream_send_take(&s, 10, 1000).hi, 10);
	assert_false(stream_send_due(&s, 10)); /* the session's credit */
	stream_send_clear(&s);

	stream_receive_init(&r, STREAM_WINDOW, STREAM_WINDOW);
	assert_int_equal(
	    stream_receive_push(&r, STREAM_WINDOW, span_of(big, 1), false),
	    ERR_LIMIT);
	assert_int_equal(
	    stream_receive_push(&r, UINT64_MAX, span_of(big, 2), false),
	    ERR_LIMIT);
	assert_int_equal(
	    stream_receive_push(&r, STREAM_WINDOW - 1, span_of(big, 1), false),
	    ERR_OK);
	assert_int_equal(r.ring.cap, STREAM_WINDOW);
	stream_receive_clear(&r);
}

static void
overlaps_must_agree(void **state)
{
	struct stream_receive r;

	(void)state;
	stream_receive_init(&r, STREAM_WINDOW, STREAM_WINDOW);
	assert_int_equal(
	    stream_receive_push(&r, 0, span_str("abcdef"), false), ERR_OK);
	assert_int_equal(
	    stream_receive_push(&r, 3, span_str("defgh"), false), ERR_OK);
	assert_int_equal(
	    stream_receive_push(&r, 2, span_str("cX"), false), ERR_CONFLICT);
	assert_int_equal(
	    stream_receive_push(&r, 12, span_str("mn"), false), ERR_OK);
	assert_int_equal(stream_receive_push(&r, 7, span_str("hijklX"), false),
	    ERR_CONFLICT);
	assert_int_equal(
	    stream_receive_push(&r, 7, span_str("hijklmn"), false), ERR_OK);
	assert_true(
	    span_eq(stream_receive_peek(&r), span_str("abcdefghijklmn")));
	/* What was read cannot be compared any more. */
	stream_receive_read(&r, 14);
	assert_int_equal(
	    stream_receive_push(&r, 0, span_str("zzz"), false), ERR_OK);
	assert_int_equal(stream_receive_peek(&r).n, 0);
	stream_receive_clear(&r);
}

static void
the_33rd_gap_is_refused_then_closes(void **state)
{
	struct stream_receive r;
	enum err err = ERR_OK;
	unsigned i;

	(void)state;
	stream_receive_init(&r, STREAM_WINDOW, STREAM_WINDOW);
	for (i = 0; i < RANGES_MAX; i++)
		assert_int_equal(
		    stream_receive_push(&r, 1 + 2 * i, span_str("x"), false),
		    ERR_OK);
	assert_int_equal(
	    stream_receive_push(&r, 1 + 2 * i, span_str("x"), false),
	    ERR_NOMEM);
	/* Filling the first gap is progress. */
	assert_int_equal(
	    stream_receive_push(&r, 0, span_str("x"), false), ERR_OK);
	assert_int_equal(
	    stream_receive_push(&r, 1 + 2 * i, span_str("x"), false), ERR_OK);
	for (i = 0; i < 2 * STREAM_EXCESS_MAX && err != ERR_CONFLICT; i++)
		err =
		    stream_receive_push(&r, 1000 + 2 * i, span_str("x"), false);
	assert_int_equal(err, ERR_CONFLICT);
	stream_receive_clear(&r);
}

static void
final_sizes_hold(void **state)
{
	struct stream_receive r;

	(void)state;
	stream_receive_init(&r, STREAM_WINDOW, STREAM_WINDOW);
	assert_int_equal(
	    stream_receive_push(&r, 0, span_str("abc"), true), ERR_OK);
	assert_int_equal(
	    stream_receive_push(&r, 3, span_str("d"), false), ERR_STATE);
	assert_int_equal(
	    stream_receive_push(&r, 0, span_str("ab"), true), ERR_STATE);
	assert_int_equal(stream_receive_final(&r, 4), ERR_STATE);
	assert_int_equal(stream_receive_final(&r, 3), ERR_OK);
	stream_receive_clear(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_arrives_once_in_order),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(overlaps_must_agree),
		cmocka_unit_test(the_33rd_gap_is_refused_then_closes),
		cmocka_unit_test(final_sizes_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
