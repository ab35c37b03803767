/* Searching a sealed history: what is found, and that nothing is missed. */
#include "daemon/fold.h"
#include "daemon/log.h"
#include "daemon/search.h"
#include "tests/support/rng.h"
#include "tests/support/store_world.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- folding ---- */

/* "ab|c": points, | where words are parted, ' before where one may begin. */
static const char *
folded(const char *text)
{
	static char ret[512];
	struct fold f = { 0 };
	size_t n = 0;

	assert_int_equal(fold_text(&f, span_str(text)), ERR_OK);
	for (size_t i = 0; i < f.n; i++) {
		n += (size_t)snprintf(
		    ret + n, sizeof(ret) - n, "%s", f.p[i].begins ? "'" : "");
		if (f.p[i].point == 0)
			ret[n++] = '|';
		else if (f.p[i].point < 0x80)
			ret[n++] = (char)f.p[i].point;
		else
			n += (size_t)snprintf(ret + n, sizeof(ret) - n, "<%x>",
			    (unsigned)f.p[i].point);
	}
	ret[n] = '\0';
	fold_clear(&f);
	return ret;
}

static void
case_marks_and_forms_count_for_nothing(void **state)
{
	(void)state;
	assert_string_equal(folded("Tea, at 5!"), "'tea|'at|'5|");
	assert_string_equal(folded("\xc3\x89tude"), "'etude");  /* composed */
	assert_string_equal(folded("E\xcc\x81tude"), "'etude"); /* not */
	assert_string_equal(folded("STRA\xc3\x9f"
	                           "E"),
	    "'strasse");
	assert_string_equal(folded("\xef\xac\x81n"), "'fin"); /* fi */
	assert_string_equal(
	    folded("\xef\xbc\xa1\xef\xbc\xa2"), "'ab"); /* wide */
	assert_string_equal(folded("\xd0\x9c\xd0\x98\xd0\xa0"),
	    "'<43c><438><440>"); /* Cyrillic */
	assert_string_equal(folded("\xe6\x9d\xb1\xe4\xba\xac"),
	    "'<6771>'<4eac>"); /* Han: each may begin a word */
	assert_string_equal(folded(""), "");
	assert_string_equal(folded("?!"), "");
}

static void
a_point_knows_where_it_comes_from(void **state)
{
	struct fold f = { 0 };

	(void)state;
	assert_int_equal(fold_text(&f, span_str("a \xc3\x9f z")), ERR_OK);
	assert_int_equal(f.n, 6); /* a | s s | z */
	assert_int_equal(f.p[0].at, 0);
	assert_int_equal(f.p[2].at, 2);
	assert_int_equal(f.p[3].at, 2);
	assert_int_equal(f.p[5].at, 5);
	fold_clear(&f);
}

/* ---- searching ---- */

struct found {
	char text[512]; /* rows of hits, joined by blanks */
	size_t n;
	struct search_hit last;
};

static bool
take(void *ctx, const struct search_hit *h)
{
	struct found *f = ctx;

	f->n += (size_t)snprintf(f->text + f->n, sizeof(f->text) - f->n,
	    "%lld ", (long long)h->message->row);
	f->last = *h;
	return true;
}

/* Rows in which it is found, the newest first. */
static const char *
search(struct search *s, const char *text, const struct contact_id *conv)
{
	static struct found f;
	struct search_query q = { .text = span_str(text), .limit = 100 };

	f = (struct found){ .n = 0 };
	if (conv) {
		q.has_conv = true;
		q.conv = *conv;
	}
	do {
		assert_int_equal(
		    search_run(s, &q, take, &f, &q.before), ERR_OK);
	} while (q.before > 0);
	return f.text;
}

static struct store_message
say(struct store_world *w, unsigned from, unsigned n, const char *text)
{
	struct store_message m = store_world_message(from, n, text);

	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	return m;
}

static void
words_are_found_by_how_they_begin(void **state)
{
	struct store_world *w = *state;
	struct search *s = search_new(w->s);
	struct contact_id c = store_world_contact(2);
	struct search_query none = { .text = span_str(" ?! "), .limit = 1 };
	int64_t next;

	(void)say(w, 1, 1, "Tea at five?");
	(void)say(w, 1, 2, "Teatime it is");
	(void)say(w, 2, 3, "no steam, no tea");
	(void)say(
	    w, 2, 4, "\xe6\x9d\xb1\xe4\xba\xac\xe3\x81\xb8"); /* to Tokyo */
	for (int turn = 0; turn < 3; turn++) {
		assert_string_equal(search(s, "tea", NULL), "3 2 1 ");
		assert_string_equal(search(s, "TEA", &c), "3 ");
		assert_string_equal(search(s, "teat", NULL), "2 ");
		assert_string_equal(search(s, "five te", NULL), "1 ");
		assert_string_equal(search(s, "eam", NULL), "");
		assert_string_equal(
		    search(s, "\xe4\xba\xac", NULL), "4 "); /* within */
		assert_string_equal(search(s, "tea \xe6\x9d\xb1", NULL), "");
		/* As nobody had looked, gathered, and looked at again. */
		while (search_gather(s, 2))
			;
	}
	assert_int_equal(
	    search_run(s, &none, take, NULL, &next), ERR_MALFORMED);
	search_free(s);
}

/* The query is not to blame. */
static void
a_file_that_is_no_database_any_more_is_no_bad_query(void **state)
{
	struct store_world *w = *state;
	const struct search_query q = { .text = span_str("tea"), .limit = 10 };
	struct search *s;
	int64_t next;
	FILE *f;

	(void)say(w, 1, 1, "Tea at five?");
	assert_int_equal(store_commit(w->s), ERR_OK);
	store_world_reopen(w); /* nothing is in the log then */
	s = search_new(w->s);
	assert_non_null(s);
	f = fopen(tempdir_file(&w->dir, STORE_FILE), "r+e");
	assert_non_null(f);
	assert_int_equal(fputs("no database is this", f) >= 0, 1);
	assert_int_equal(fclose(f), 0);
	assert_false(store_answers(w->s)); /* drops what was read */
	assert_int_equal(search_run(s, &q, take, NULL, &next), ERR_IO);
	assert_true(store_tampered(w->s) > 0);
	search_free(s);
}

static void
what_was_edited_or_deleted_is_found_as_it_is_now(void **state)
{
	struct store_world *w = *state;
	struct search *s = search_new(w->s);
	struct contact_id c = store_world_contact(1);
	struct store_message first = say(w, 1, 1, "the secret word");
	struct store_message gone = say(w, 1, 2, "another secret");
	struct store_message edit = store_world_message(1, 3, "harmless");

	store_world_add(w->s, 1, "r");
	while (search_gather(s, 1))
		;
	assert_string_equal(search(s, "secret", NULL), "2 1 ");
	edit.m.kind = MESSAGE_EDIT;
	edit.m.has_ref = true;
	edit.m.ref = first.m.id;
	assert_int_equal(
	    store_message_change(w->s, &edit, STORE_WORLD_MS), ERR_OK);
	assert_int_equal(store_message_delete(w->s, &c, &gone.m.id), ERR_OK);
	assert_string_equal(search(s, "secret", NULL), "");
	assert_string_equal(search(s, "harm", NULL), "1 ");
	/* A transaction that is lost takes its words with it. */
	assert_int_equal(store_commit(w->s), ERR_OK);
	(void)say(w, 1, 4, "lost again");
	assert_string_equal(search(s, "lost", NULL), "3 ");
	store_rollback(w->s);
	assert_string_equal(search(s, "lost", NULL), "");
	(void)say(w, 1, 5, "in its place");
	assert_string_equal(search(s, "place", NULL), "3 ");
	search_free(s);
}

/* What comes after all was gathered is gathered, too, and that is all. */
static void
gathering_ends_and_goes_on_with_what_is_new(void **state)
{
	struct store_world *w = *state;
	struct search *s = search_new(w->s);

	assert_false(search_gather(s, 10)); /* nothing yet */
	for (unsigned round = 0; round < 3; round++) {
		unsigned calls = 0;

		for (unsigned i = 0; i < 7; i++)
			(void)say(w, 1, 10 * round + i + 1, "word");
		while (search_gather(s, 2))
			calls++;
		assert_in_range(calls, 3, 4);
		assert_false(search_gather(s, 2));
	}
	search_free(s);
}

/* Every word of every text is found, by each of its beginnings, whether the
 * bits are gathered or not. */
static void
nothing_is_missed(void **state)
{
	static const char letters[] = "abcde fghij";
	struct store_world *w = *state;
	struct search *s = search_new(w->s);
	struct test_rng dice;
	char text[60][40];

	test_rng_init(&dice, test_seed(1));
	for (unsigned i = 0; i < 60; i++) {
		for (unsigned k = 0; k < 39; k++)
			text[i][k] = letters[rng_below(&dice.rng, 11)];
		text[i][39] = '\0';
		text[i][0] = 'x';
		(void)say(w, 1, i + 1, text[i]);
	}
	for (unsigned i = 0; i < 60; i++) {
		char want[16], word[40];
		size_t n = strcspn(text[i], " ");

		(void)snprintf(want, sizeof(want), "%u ", i + 1);
		for (size_t k = 1; k <= n; k++) {
			const char *got;

			memcpy(word, text[i], k);
			word[k] = '\0';
			got = search(s, word, NULL);
			if (!strstr(got, want))
				fail_msg("%s is not found in row %u: %s", word,
				    i + 1, got);
		}
		if (i == 30)
			(void)search_gather(s, 25);
	}
	search_free(s);
}

static void
matches_are_places_in_the_text(void **state)
{
	struct store_world *w = *state;
	struct search *s = search_new(w->s);
	struct search_query q = { .text = span_str("caf tea"), .limit = 1 };
	struct found f = { .n = 0 };
	int64_t next;

	(void)say(w, 1, 1, "Tea in a Caf\xc3\xa9, or two teas");
	assert_int_equal(search_run(s, &q, take, &f, &next), ERR_OK);
	assert_int_equal(next, 0);
	assert_int_equal(f.last.n_matches, 3);
	assert_int_equal(f.last.match[0].at, 0);
	assert_int_equal(f.last.match[0].n, 3);
	assert_int_equal(f.last.match[1].at, 9);
	assert_int_equal(f.last.match[1].n, 3);
	assert_int_equal(f.last.match[2].at, 23);
	search_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) \
	cmocka_unit_test_setup_teardown(f, store_world_begin, store_world_end)
		cmocka_unit_test(case_marks_and_forms_count_for_nothing),
		cmocka_unit_test(a_point_knows_where_it_comes_from),
		T(words_are_found_by_how_they_begin),
		T(a_file_that_is_no_database_any_more_is_no_bad_query),
		T(what_was_edited_or_deleted_is_found_as_it_is_now),
		T(gathering_ends_and_goes_on_with_what_is_new),
		T(nothing_is_missed),
		T(matches_are_places_in_the_text),
	};

	log_init(LOG_ERR, false);
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
