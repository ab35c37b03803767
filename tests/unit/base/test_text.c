/* Written forms. The known answers of BIP 350 are run by test_vectors. */
#include "proto/base/text.h"

#include "tests/support/rng.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
bech32m_comes_back_whatever_its_length(void **state)
{
	struct test_rng t;

	(void)state;
	test_rng_init(&t, test_seed(51));
	for (size_t n = 0; n <= 140; n++) {
		uint8_t in[140];
		uint8_t out[140];
		char text[300];
		struct writer w = wr_init(out, sizeof(out));

		rng_fill(&t.rng, in, n);
		assert_int_equal(bech32m_encode("btinvite", span_of(in, n),
		                     text, sizeof(text)),
		    ERR_OK);
		assert_int_equal(strlen(text), 8 + 1 + (8 * n + 4) / 5 + 6);
		assert_int_equal(
		    bech32m_decode(span_str(text), "btinvite", &w), ERR_OK);
		assert_true(span_eq(wr_span_of(&w), span_of(in, n)));
	}
}

static void
bech32m_refuses_what_does_not_fit(void **state)
{
	char text[32];
	uint8_t out[4];
	struct writer w = wr_init(out, sizeof(out));

	(void)state;
	assert_int_equal(
	    bech32m_encode("ab", span_str("12345"), text, 18), ERR_OK);
	assert_int_equal(
	    bech32m_encode("ab", span_str("12345"), text, 17), ERR_TOO_LONG);
	assert_int_equal(text[0], 0);
	assert_int_equal(
	    bech32m_encode("ab", span_str("12345"), text, 18), ERR_OK);
	assert_int_equal(
	    bech32m_decode(span_str(text), "ab", &w), ERR_TOO_LONG);
	assert_int_equal(w.n, 0);
	assert_false(w.bad);
	assert_int_equal(
	    bech32m_decode(span_str(text), "ac", &w), ERR_MALFORMED);
	assert_int_equal(
	    bech32m_decode(span_str(text), "abc", &w), ERR_MALFORMED);
}

static void
ids_are_26_characters_in_either_case(void **state)
{
	const uint8_t id[16] = { 0xff, 0x00, 0x12, 0x34, 5, 6, 7, 8, 9, 10, 11,
		12, 13, 14, 15, 0xfe };
	uint8_t got[16];
	char text[ID_TEXT_SIZE];
	char upper[ID_TEXT_SIZE];

	(void)state;
	id_encode(id, text);
	assert_string_equal(text, "74abenafaydqqcikbmga2dqp7y");
	assert_int_equal(id_decode(span_str(text), got), ERR_OK);
	assert_memory_equal(got, id, 16);
	for (size_t i = 0; i < sizeof(text); i++)
		upper[i] = (char)toupper((unsigned char)text[i]);
	assert_int_equal(id_decode(span_str(upper), got), ERR_OK);
	assert_memory_equal(got, id, 16);
}

static void
ids_refuse_spare_bits_other_digits_and_lengths(void **state)
{
	uint8_t got[16] = { 3 };

	(void)state;
	assert_int_equal(id_decode(span_str("74abenafaydqqcikbmga2dqp7z"), got),
	    ERR_MALFORMED);
	assert_int_equal(id_decode(span_str("74abenafaydqqcikbmga2dqp7"), got),
	    ERR_MALFORMED);
	assert_int_equal(
	    id_decode(span_str("74abenafaydqqcikbmga2dqp7ya"), got),
	    ERR_MALFORMED);
	assert_int_equal(id_decode(span_str("14abencfaydqqcikbmga2dqp7y"), got),
	    ERR_MALFORMED);
	assert_int_equal(got[0], 3);
}

/* [RFC 4648 §10], without padding; and the two digits that are url's own. */
static void
base64url_gives_the_known_answers(void **state)
{
	static const char *const rows[][2] = { { "", "" }, { "f", "Zg" },
		{ "fo", "Zm8" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg" },
		{ "fooba", "Zm9vYmE" }, { "foobar", "Zm9vYmFy" },
		{ "\xff\xef\xfe", "_-_-" } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[16];
		uint8_t out[16];
		struct writer w = wr_init(out, sizeof(out));

		assert_int_equal(
		    base64url_encode(span_str(rows[i][0]), text, sizeof(text)),
		    ERR_OK);
		assert_string_equal(text, rows[i][1]);
		assert_int_equal(base64url_decode(span_str(text), &w), ERR_OK);
		assert_true(span_eq(wr_span_of(&w), span_str(rows[i][0])));
	}
}

static void
base64url_refuses_padding_spare_bits_and_lone_digits(void **state)
{
	static const char *const bad[] = { "Zg==", "Zh", "Z", "Zm9vY", "Zm+v",
		"Zm/v", "Zm 9", "Zm9\n" };
	uint8_t out[16];
	char text[8];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct writer w = wr_init(out, sizeof(out));

		assert_int_equal(
		    base64url_decode(span_str(bad[i]), &w), ERR_MALFORMED);
		assert_int_equal(w.n, 0);
	}
	assert_int_equal(
	    base64url_encode(span_str("foobar"), text, 8), ERR_TOO_LONG);
}

static void
hex_knows_all_bytes_in_either_case(void **state)
{
	uint8_t in[256];
	uint8_t out[256];
	char text[513];
	struct writer w = wr_init(out, sizeof(out));

	(void)state;
	for (int i = 0; i < 256; i++)
		in[i] = (uint8_t)i;
	hex_encode(span_of(in, sizeof(in)), text);
	assert_int_equal(strlen(text), 512);
	assert_memory_equal(text + 2 * 0x9a, "9a9b9c", 6);
	assert_int_equal(hex_decode(span_str(text), &w), ERR_OK);
	assert_memory_equal(out, in, 256);
	w = wr_init(out, sizeof(out));
	assert_int_equal(hex_decode(span_str("aBCdeF09"), &w), ERR_OK);
	assert_memory_equal(out, "\xab\xcd\xef\x09", 4);
}

static void
hex_refuses_every_other_character(void **state)
{
	uint8_t out[4];

	(void)state;
	for (int c = 0; c < 256; c++) {
		const uint8_t text[2] = { '0', (uint8_t)c };
		struct writer w = wr_init(out, sizeof(out));
		bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
		             (c >= 'A' && c <= 'F');

		assert_int_equal(hex_decode(span_of(text, 2), &w),
		    digit ? ERR_OK : ERR_MALFORMED);
	}
}

static void
hex_refuses_half_a_byte_and_too_much(void **state)
{
	uint8_t out[1];
	struct writer w = wr_init(out, sizeof(out));

	(void)state;
	assert_int_equal(hex_decode(span_str("123"), &w), ERR_MALFORMED);
	assert_int_equal(hex_decode(span_str("1234"), &w), ERR_TOO_LONG);
	assert_int_equal(w.n, 0);
}

/* The first and last of each row of the table in [RFC 3629 §4]. */
static void
utf8_is_well_formed_up_to_its_edges(void **state)
{
	static const char *const good[] = { "", "a", "\x7f", "\xc2\x80",
		"\xdf\xbf", "\xe0\xa0\x80", "\xec\xbf\xbf", "\xed\x80\x80",
		"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
		"\xf0\x90\x80\x80", "\xf3\xbf\xbf\xbf", "\xf4\x80\x80\x80",
		"\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = { "\x80", "\xbf", "\xc0\x80",
		"\xc1\xbf", "\xc2", "\xc2\x7f", "\xc2\xc0", "\xe0\x9f\xbf",
		"\xe0\xa0", "\xed\xa0\x80", "\xed\xbf\xbf", "\xe1\x80\x7f",
		"\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80", "\xff", "a\xfe", "\xf1\x80\x80\xc0" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(utf8_valid(span_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(utf8_valid(span_str(bad[i])));
	assert_true(utf8_is_line(span_str("\xc3\xa9 b")));
	assert_false(utf8_is_line(span_str("a\nb")));
	assert_false(utf8_is_line(span_str("a\x7f")));
	assert_false(utf8_is_line(span_str("\xc3")));
	assert_true(utf8_valid(span_of("a\0b", 3)));
}

/* Eight bytes at a time must see what one at a time does. */
static void
utf8_is_checked_at_every_place(void **state)
{
	enum { LONG = 40 };
	char text[LONG + 1] = { 0 };

	(void)state;
	for (size_t i = 0; i + 2 <= LONG; i++) {
		memset(text, 'a', LONG);
		assert_true(utf8_valid(span_str(text)));
		text[i] = '\xff';
		assert_false(utf8_valid(span_str(text)));
		memcpy(text + i, "\xc3\xa9", 2);
		assert_true(utf8_valid(span_str(text)));
		text[i + 1] = 'a';
		assert_false(utf8_valid(span_str(text)));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bech32m_comes_back_whatever_its_length),
		cmocka_unit_test(bech32m_refuses_what_does_not_fit),
		cmocka_unit_test(ids_are_26_characters_in_either_case),
		cmocka_unit_test(
		    ids_refuse_spare_bits_other_digits_and_lengths),
		cmocka_unit_test(base64url_gives_the_known_answers),
		cmocka_unit_test(
		    base64url_refuses_padding_spare_bits_and_lone_digits),
		cmocka_unit_test(hex_knows_all_bytes_in_either_case),
		cmocka_unit_test(hex_refuses_every_other_character),
		cmocka_unit_test(hex_refuses_half_a_byte_and_too_much),
		cmocka_unit_test(utf8_is_well_formed_up_to_its_edges),
		cmocka_unit_test(utf8_is_checked_at_every_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
