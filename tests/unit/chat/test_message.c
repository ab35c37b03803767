/* Records of the chat stream. */
#include "proto/chat/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t wire[RECORD_HEAD + RECORD_MAX];

static struct record
text_record(const char *text)
{
	struct record r = { .kind = RECORD_TEXT, .seq = 7, .sent_ms = -5 };

	memset(r.id.b, 0xa1, sizeof(r.id.b));
	memset(r.prev, 0xb2, sizeof(r.prev));
	r.text = span_str(text);
	return r;
}

static struct span
encode(const struct record *r)
{
	struct writer w = wr_init(wire, sizeof(wire));

	record_encode(r, &w);
	assert_false(w.bad);
	return span_of(wire + RECORD_HEAD, w.n - RECORD_HEAD);
}

/* It has what names it, and nothing else of it counts. */
static void
is_too_long(struct span body)
{
	uint8_t hash[MESSAGE_HASH_SIZE];
	struct record out;

	assert_int_equal(record_decode(body, &out), ERR_OK);
	assert_int_equal(out.kind, RECORD_NOT_TAKEN);
	assert_int_equal(out.refusal, REFUSAL_TOO_LONG);
	assert_int_equal(out.seq, 7);
	record_hash(&out, hash);
}

static void
a_text_comes_back_as_it_was(void **state)
{
	struct record in = text_record("gr\xc3\xbc\xc3\x9f dich"), out;

	(void)state;
	assert_int_equal(record_decode(encode(&in), &out), ERR_OK);
	assert_int_equal(out.kind, RECORD_TEXT);
	assert_int_equal(out.seq, 7);
	assert_int_equal(out.sent_ms, -5);
	assert_memory_equal(out.id.b, in.id.b, sizeof(in.id.b));
	assert_memory_equal(out.prev, in.prev, sizeof(in.prev));
	assert_true(span_eq(out.text, in.text));
}

static void
the_wire_form_is_fixed(void **state)
{
	static const char want[] = "d1:e8:EEEEEEEE1:h8:HHHHHHHH1:ki2e1:ni258ee";
	struct record ack = { .kind = RECORD_ACK, .seq = 258 };
	struct span body;

	(void)state;
	memset(ack.epoch, 'E', sizeof(ack.epoch));
	memset(ack.head, 'H', sizeof(ack.head));
	body = encode(&ack);
	assert_true(span_eq(body, span_str(want)));
	assert_int_equal(wire[0], sizeof(want) - 1);
	assert_int_equal(wire[1] | wire[2] | wire[3], 0);
	assert_true(body.n + RECORD_HEAD <= RECORD_ACK_MAX);
}

static void
every_kind_of_message_comes_back_as_it_was(void **state)
{
	static const struct {
		enum record_kind kind;
		bool has_ref;
		const char *text;
		uint32_t ttl_s;
	} kinds[] = { { RECORD_TEXT, true, "a reply", 0 },
		{ RECORD_TEXT, false, "gone soon", 60 },
		{ RECORD_EDIT, true, "better", 0 },
		{ RECORD_DELETE, true, "", 0 },
		{ RECORD_REACTION, true, "\xf0\x9f\x91\x8d", 0 },
		{ RECORD_REACTION, true, "", 0 },
		{ RECORD_TIMER, false, "", MESSAGE_TTL_MAX_S },
		{ RECORD_TIMER, false, "", 0 },
		{ RECORD_PROFILE, false, "Alice", 0 },
		{ RECORD_PROFILE, false, "", 0 } };
	uint8_t hash[2][MESSAGE_HASH_SIZE];
	struct record out;

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct record in = text_record(kinds[i].text);

		in.kind = kinds[i].kind;
		in.has_ref = kinds[i].has_ref;
		in.ttl_s = kinds[i].ttl_s;
		if (in.has_ref)
			memset(in.ref.b, 7, sizeof(in.ref.b));
		assert_int_equal(record_decode(encode(&in), &out), ERR_OK);
		assert_int_equal(out.kind, in.kind);
		assert_int_equal(out.has_ref, in.has_ref);
		assert_memory_equal(out.ref.b, in.ref.b, sizeof(in.ref.b));
		assert_int_equal(out.ttl_s, in.ttl_s);
		assert_true(span_eq(out.text, in.text));
		record_hash(&in, hash[0]);
		record_hash(&out, hash[1]);
		assert_memory_equal(hash[0], hash[1], sizeof(hash[0]));
		if (in.has_ref) /* the chain covers it */
			in.ref.b[0] ^= 1;
		else
			in.ttl_s++;
		record_hash(&in, hash[1]);
		assert_memory_not_equal(hash[0], hash[1], sizeof(hash[0]));
	}
}

static void
what_does_not_go_with_a_kind_is_refused(void **state)
{
	static char long_reaction[MESSAGE_REACTION_MAX + 2];
	static char long_name[MESSAGE_PROFILE_MAX + 2];
	struct record in = text_record("x"), out;

	(void)state;
	in.kind = RECORD_EDIT; /* of what? */
	assert_int_equal(record_decode(encode(&in), &out), ERR_MALFORMED);
	in.kind = RECORD_REACTION;
	assert_int_equal(record_decode(encode(&in), &out), ERR_MALFORMED);
	in.has_ref = true;
	assert_int_equal(record_decode(encode(&in), &out), ERR_OK);
	memset(long_reaction, 'x', MESSAGE_REACTION_MAX + 1);
	in.text = span_str(long_reaction);
	is_too_long(encode(&in));
	in.kind = RECORD_DELETE; /* with a last word */
	assert_int_equal(record_decode(encode(&in), &out), ERR_MALFORMED);
	in.kind = RECORD_EDIT;
	in.text = span_of("", 0);
	assert_int_equal(record_decode(encode(&in), &out), ERR_MALFORMED);
	in.text = span_str("x");
	in.ttl_s = 5; /* the text that it changes has one */
	assert_int_equal(record_decode(encode(&in), &out), ERR_MALFORMED);
	in = text_record("x");
	in.ttl_s = MESSAGE_TTL_MAX_S + 1;
	assert_int_equal(record_decode(encode(&in), &out), ERR_MALFORMED);
	in.kind = RECORD_TIMER; /* with a last word */
	in.ttl_s = 5;
	assert_int_equal(record_decode(encode(&in), &out), ERR_MALFORMED);
	in.kind = RECORD_PROFILE; /* of a message */
	in.ttl_s = 0;
	in.has_ref = true;
	assert_int_equal(record_decode(encode(&in), &out), ERR_MALFORMED);
	memset(long_name, 'x', MESSAGE_PROFILE_MAX + 1);
	in.has_ref = false;
	in.text = span_str(long_name);
	is_too_long(encode(&in));
}

static void
signs_come_back_as_they_were(void **state)
{
	static const char timeless[] = "d1:h32:00000000000000000000000000000000"
	                               "1:i16:00000000000000001:ki6e1:ni1e"
	                               "1:si5e1:x0:e";
	struct record in = { .kind = RECORD_READ, .seq = 17 }, out;
	struct span body;

	(void)state;
	memset(in.epoch, 'e', sizeof(in.epoch));
	body = encode(&in);
	assert_true(span_eq(body, span_str("d1:e8:eeeeeeee1:ki8e1:ni17ee")));
	assert_int_equal(record_decode(body, &out), ERR_OK);
	assert_false(record_is_message(&out));
	assert_int_equal(out.kind, RECORD_READ);
	assert_int_equal(out.seq, 17);
	assert_memory_equal(out.epoch, in.epoch, sizeof(in.epoch));
	for (int i = 0; i < 2; i++) {
		in = (struct record){ .kind = RECORD_TYPING, .on = i == 1 };
		body = encode(&in);
		assert_true(span_eq(
		    body, span_str(i ? "d1:ki9e1:ni1ee" : "d1:ki9e1:ni0ee")));
		assert_int_equal(record_decode(body, &out), ERR_OK);
		assert_int_equal(out.kind, RECORD_TYPING);
		assert_int_equal(out.on, in.on);
	}
	assert_int_equal(
	    record_decode(span_str("d1:ki9e1:ni2ee"), &out), ERR_MALFORMED);
	assert_int_equal(
	    record_decode(span_str("d1:ki8e1:ni1ee"), &out), ERR_MALFORMED);
	assert_int_equal(
	    record_decode(span_str(timeless), &out), ERR_MALFORMED);
}

static void
an_ack_comes_back_as_it_was(void **state)
{
	struct record in = { .kind = RECORD_ACK, .seq = UINT64_C(1) << 40 },
	              out;

	(void)state;
	memset(in.epoch, 3, sizeof(in.epoch));
	memset(in.head, 4, sizeof(in.head));
	assert_int_equal(record_decode(encode(&in), &out), ERR_OK);
	assert_int_equal(out.kind, RECORD_ACK);
	assert_true(out.seq == in.seq);
	assert_memory_equal(out.epoch, in.epoch, sizeof(in.epoch));
	assert_memory_equal(out.head, in.head, sizeof(in.head));
	in.seq = INT64_MAX;
	assert_true(encode(&in).n + RECORD_HEAD <= RECORD_ACK_MAX);
}

/* [hostile 26] 65,536 bytes pass, one more does not. */
static void
hostile_26_a_text_over_64_kib_is_refused(void **state)
{
	char *big = malloc(MESSAGE_TEXT_MAX + 2);
	static uint8_t raw[MESSAGE_TEXT_MAX + 512];
	struct writer w = wr_init(raw, sizeof(raw));
	struct record in, out;
	struct span body;

	(void)state;
	assert_non_null(big);
	memset(big, 'x', MESSAGE_TEXT_MAX + 1);
	big[MESSAGE_TEXT_MAX] = '\0';
	in = text_record(big);
	body = encode(&in);
	assert_true(body.n <= RECORD_MAX);
	assert_int_equal(record_decode(body, &out), ERR_OK);
	/* The same with one more byte: made by hand, our encoder would not. */
	wr_bytes(&w, body.p, body.n - MESSAGE_TEXT_MAX - 7);
	wr_bytes(&w, "65537:", 6);
	for (int i = 0; i < MESSAGE_TEXT_MAX + 1; i++)
		wr_u8(&w, 'x');
	wr_u8(&w, 'e');
	assert_false(w.bad);
	is_too_long(wr_span_of(&w));
	free(big);
}

/* [hostile 26] What no JSON string can say is refused. */
static void
hostile_26_text_that_is_not_utf8_or_has_a_nul_is_refused(void **state)
{
	static const char *const bad[] = { "\xff", "a\xc0\x80", "\xed\xa0\x80",
		"\xf4\x90\x80\x80", "\xe2\x82" };
	struct record in = text_record("a"), out;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		in.text = span_str(bad[i]);
		assert_int_equal(
		    record_decode(encode(&in), &out), ERR_MALFORMED);
	}
	in.text = span_of("a\0b", 3);
	assert_int_equal(record_decode(encode(&in), &out), ERR_MALFORMED);
	in.text = span_of("", 0);
	assert_int_equal(record_decode(encode(&in), &out), ERR_MALFORMED);
}

/* [hostile 26] Control and bidi characters are text: escaped when shown. */
static void
hostile_26_escape_and_bidi_characters_are_kept(void **state)
{
	struct record in = text_record("\x1b[31m\xe2\x80\xae!\r\n"), out;

	(void)state;
	assert_int_equal(record_decode(encode(&in), &out), ERR_OK);
	assert_true(span_eq(out.text, in.text));
}

static void
an_unknown_kind_is_unknown_not_an_error(void **state)
{
	struct record out;

	(void)state;
	assert_int_equal(record_decode(span_str("d1:ki99ee"), &out), ERR_OK);
	assert_int_equal(out.kind, RECORD_UNKNOWN);
	assert_int_equal(
	    record_decode(span_str("d1:k1:1e"), &out), ERR_MALFORMED);
	assert_int_equal(record_decode(span_str("le"), &out), ERR_MALFORMED);
	assert_int_equal(record_decode(span_str(""), &out), ERR_MALFORMED);
}

static void
a_hash_covers_every_field(void **state)
{
	struct record base = text_record("hello"), r;
	uint8_t want[32], got[32];

	(void)state;
	record_hash(&base, want);
	r = base;
	record_hash(&r, got);
	assert_memory_equal(got, want, 32);
	r.seq++;
	record_hash(&r, got);
	assert_memory_not_equal(got, want, 32);
	r = base;
	r.sent_ms++;
	record_hash(&r, got);
	assert_memory_not_equal(got, want, 32);
	r = base;
	r.id.b[15] ^= 1;
	record_hash(&r, got);
	assert_memory_not_equal(got, want, 32);
	r = base;
	r.prev[0] ^= 1;
	record_hash(&r, got);
	assert_memory_not_equal(got, want, 32);
	r = base;
	r.text = span_str("hellp");
	record_hash(&r, got);
	assert_memory_not_equal(got, want, 32);
}

/* Feeds two records cut at every pair of places. */
static void
records_are_cut_out_of_any_pieces(void **state)
{
	struct record a = text_record("first"), b = text_record("second"), out;
	struct writer w = wr_init(wire, sizeof(wire));
	struct record_reader r;

	(void)state;
	record_encode(&a, &w);
	record_encode(&b, &w);
	for (size_t cut = 0; cut <= w.n; cut++) {
		struct span parts[2] = { { wire, cut },
			{ wire + cut, w.n - cut } };
		int seen = 0;

		record_reader_init(&r);
		for (int i = 0; i < 2; i++) {
			bool got = true;
			struct span raw;

			while (got) {
				assert_int_equal(record_reader_next(
				                     &r, &parts[i], &got, &raw),
				    ERR_OK);
				if (!got)
					break;
				assert_int_equal(
				    record_decode(raw, &out), ERR_OK);
				assert_true(span_eq(
				    out.text, seen++ ? b.text : a.text));
			}
		}
		assert_int_equal(seen, 2);
		record_reader_clear(&r);
	}
}

static void
a_record_longer_than_allowed_ends_the_stream(void **state)
{
	static const uint8_t over[] = { 0x01, 0x02, 0x01, 0x00 }; /* 66,049 */
	static const uint8_t none[] = { 0, 0, 0, 0 };
	struct span in = span_of(over, sizeof(over)), raw;
	struct record_reader r;
	bool got;

	(void)state;
	record_reader_init(&r);
	assert_int_equal(record_reader_next(&r, &in, &got, &raw), ERR_TOO_LONG);
	record_reader_clear(&r);
	in = span_of(none, sizeof(none));
	assert_int_equal(record_reader_next(&r, &in, &got, &raw), ERR_TOO_LONG);
	record_reader_clear(&r);
}

/* [hostile 27] A clock of 1970, of 2262, before zero, and at the edges. */
static void
hostile_27_an_impossible_clock_is_clamped(void **state)
{
	static const int64_t bad[] = { 0, -1, INT64_MIN, INT64_MAX,
		INT64_C(9214646400000), INT64_C(1767225599999) };
	const uint64_t now = UINT64_C(1796123323456);
	struct record r = text_record("when?");
	uint64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		r.sent_ms = bad[i];
		assert_false(record_clock(&r, now, &ms));
		assert_true(ms == now);
		assert_true(r.sent_ms == bad[i]); /* the original is kept */
	}
	r.sent_ms = (int64_t)now + 86400000;
	assert_true(record_clock(&r, now, &ms));
	assert_true(ms == now + 86400000);
	r.sent_ms++;
	assert_false(record_clock(&r, now, &ms));
	r.sent_ms = INT64_C(1767225600000);
	assert_true(record_clock(&r, now, &ms));
}

/* What is of a later version says itself whether it may be skipped. */
static void
what_must_be_known_and_is_not_is_refused(void **state)
{
	static const struct {
		const char *middle; /* before and after k 77 */
		enum record_kind kind;
	} cases[] = {
		{ "1:ki77e1:mi1e1:ni9e1:x2:hie", RECORD_NOT_TAKEN },
		{ "1:ki77e1:mi1e1:ni9e1:x0:e", RECORD_NOT_TAKEN },
		{ "1:ki77e1:mi0e1:ni9e1:x2:hie", RECORD_UNKNOWN },
		{ "1:ki77e1:mi2e1:ni9e1:x2:hie", RECORD_UNKNOWN },
		{ "1:ki77e1:ni9e1:x2:hie", RECORD_UNKNOWN },
		{ "1:ki77e1:mi1e1:ni0e1:x2:hie", RECORD_UNKNOWN },
		{ "1:ki77e1:mi1e1:x2:hie", RECORD_UNKNOWN },
		{ "1:ki77e1:mi1e1:ni9ee", RECORD_UNKNOWN },
		{ "1:ki77e1:mi1e1:ni9e1:xi2ee", RECORD_UNKNOWN },
	};
	uint8_t hash[MESSAGE_HASH_SIZE];
	struct record out;
	char body[128];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		(void)snprintf(body, sizeof(body),
		    "d1:h32:HHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHH%s",
		    cases[i].middle);
		assert_int_equal(record_decode(span_str(body), &out), ERR_OK);
		assert_int_equal(out.kind, cases[i].kind);
		if (out.kind != RECORD_NOT_TAKEN)
			continue;
		assert_int_equal(out.refusal, REFUSAL_UNKNOWN);
		assert_int_equal(out.seq, 9);
		record_hash(&out, hash);
	}
}

static void
refusals_have_their_form(void **state)
{
	static const char refused[] =
	    "d1:ci4e1:e8:EEEEEEEE1:h8:HHHHHHHH1:ki10e1:ni258ee";
	static const char resumed[] = "d1:ki11e1:ni258ee";
	static const char *const bad[] = {
		"d1:ci0e1:e8:EEEEEEEE1:h8:HHHHHHHH1:ki10e1:ni258ee",
		"d1:ci256e1:e8:EEEEEEEE1:h8:HHHHHHHH1:ki10e1:ni258ee",
		"d1:e8:EEEEEEEE1:h8:HHHHHHHH1:ki10e1:ni258ee",
		"d1:ci4e1:h8:HHHHHHHH1:ki10e1:ni258ee",
		"d1:ci4e1:e8:EEEEEEEE1:ki10e1:ni258ee",
		"d1:ci4e1:e8:EEEEEEEE1:h8:HHHHHHHH1:ki10e1:ni0ee",
		"d1:ki11e1:ni0ee",
		"d1:ki11ee",
	};
	struct record out;

	(void)state;
	assert_int_equal(record_decode(span_str(refused), &out), ERR_OK);
	assert_int_equal(out.kind, RECORD_REFUSED);
	assert_int_equal(out.refusal, REFUSAL_NO_ROOM);
	assert_int_equal(out.seq, 258);
	assert_memory_equal(out.head, "HHHHHHHH", 8);
	assert_true(span_eq(encode(&out), span_str(refused)));
	assert_int_equal(record_decode(span_str(resumed), &out), ERR_OK);
	assert_int_equal(out.kind, RECORD_RESUMED);
	assert_true(span_eq(encode(&out), span_str(resumed)));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(
		    record_decode(span_str(bad[i]), &out), ERR_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_comes_back_as_it_was),
		cmocka_unit_test(the_wire_form_is_fixed),
		cmocka_unit_test(every_kind_of_message_comes_back_as_it_was),
		cmocka_unit_test(what_does_not_go_with_a_kind_is_refused),
		cmocka_unit_test(an_ack_comes_back_as_it_was),
		cmocka_unit_test(hostile_26_a_text_over_64_kib_is_refused),
		cmocka_unit_test(
		    hostile_26_text_that_is_not_utf8_or_has_a_nul_is_refused),
		cmocka_unit_test(
		    hostile_26_escape_and_bidi_characters_are_kept),
		cmocka_unit_test(signs_come_back_as_they_were),
		cmocka_unit_test(an_unknown_kind_is_unknown_not_an_error),
		cmocka_unit_test(hostile_27_an_impossible_clock_is_clamped),
		cmocka_unit_test(a_hash_covers_every_field),
		cmocka_unit_test(records_are_cut_out_of_any_pieces),
		cmocka_unit_test(a_record_longer_than_allowed_ends_the_stream),
		cmocka_unit_test(what_must_be_known_and_is_not_is_refused),
		cmocka_unit_test(refusals_have_their_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
