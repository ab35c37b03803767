/* The last lines of the log: so many, in order, and what it said. */
#include "daemon/log.h"
#include "daemon/log_ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct seen {
	size_t n, stop_at;
	uint64_t first, last;
	char text[64];
};

static bool
look(void *ctx, const struct log_line *line)
{
	struct seen *s = ctx;

	if (s->n == 0)
		s->first = line->seq;
	else
		assert_true(line->seq > s->last);
	s->last = line->seq;
	s->n++;
	assert_string_equal(line->event, "tick");
	assert_true(line->at_ms > 0);
	(void)snprintf(s->text, sizeof(s->text), "%s", line->text);
	return s->n != s->stop_at;
}

static struct seen
each(uint64_t since, int level, size_t newest)
{
	struct seen s = { 0 };

	log_ring_each(since, level, newest, look, &s);
	return s;
}

static void
add(unsigned from, unsigned to)
{
	char text[32];

	for (unsigned i = from; i <= to; i++) {
		(void)snprintf(text, sizeof(text), "n=%u", i);
		log_ring_add(i % 2 ? LOG_INFO : LOG_WARNING, "tick", text);
	}
}

static void
the_newest_are_kept_in_order(void **state)
{
	struct seen s;

	(void)state;
	log_ring_clear();
	assert_int_equal(log_ring_head(), 0);
	assert_int_equal(each(0, LOG_DEBUG, SIZE_MAX).n, 0);
	add(1, 10);
	s = each(0, LOG_DEBUG, SIZE_MAX);
	assert_int_equal(s.n, 10);
	assert_string_equal(s.text, "n=10");
	s = each(0, LOG_DEBUG, 3);
	assert_int_equal(s.first, 8);
	assert_int_equal(s.n, 3);
	s = each(7, LOG_DEBUG, SIZE_MAX);
	assert_int_equal(s.first, 8);
	s = each(0, LOG_WARNING, 2);
	assert_int_equal(s.first, 8);
	assert_int_equal(s.last, 10);
	assert_int_equal(s.n, 2);
	assert_int_equal(each(10, LOG_DEBUG, SIZE_MAX).n, 0);
	assert_int_equal(each(UINT64_MAX - 1, LOG_DEBUG, 1).n, 0);
	add(11, 3 * LOG_RING_MAX);
	s = each(0, LOG_DEBUG, SIZE_MAX);
	assert_int_equal(s.n, LOG_RING_MAX);
	assert_int_equal(s.first, 2 * LOG_RING_MAX + 1);
	assert_int_equal(s.last, log_ring_head());
	log_ring_clear();
}

static bool
take(void *ctx, const struct log_line *line)
{
	(void)snprintf(ctx, 128, "%s: %s", line->event, line->text);
	return true;
}

static void
it_says_what_the_log_says_and_no_more(void **state)
{
	char last[128] = "";

	(void)state;
	log_ring_clear();
	log_init(LOG_NOTICE, false);
	log_event(LOG_NOTICE, "hello", "name=%s", "a\nb\x1b");
	log_event(LOG_INFO, "secret", "not logged");
	log_ring_each(0, LOG_DEBUG, 10, take, last);
	assert_string_equal(last, "hello: name=a?b?");
	assert_int_equal(log_ring_head(), 1);
	log_ring_clear();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newest_are_kept_in_order),
		cmocka_unit_test(it_says_what_the_log_says_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
