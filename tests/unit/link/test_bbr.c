/* The controller on a bottleneck: nothing starves, no queue stands, whatever
 * the path loses by itself. What is printed is the bench. */
#include "tests/support/bottleneck.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MBIT = 125000, WATCH_MS = 15000 };

static struct bottleneck *
path_new(uint64_t rate, unsigned rtt_ms, unsigned buffer_ms, uint32_t loss)
{
	struct bottleneck *b = malloc(sizeof(*b));

	assert_non_null(b);
	bottleneck_init(b, 1000 * rtt_ms + loss + 1);
	b->rate = rate;
	b->rtt_us = 1000 * (uint64_t)rtt_ms;
	b->buffer = rate * buffer_ms / 1000;
	b->loss = loss;
	return b;
}

static void
path_free(struct bottleneck *b)
{
	bottleneck_clear(b);
	free(b);
}

/* Part of what the path lets through, in percent. */
static unsigned
used(const struct bottleneck *b, unsigned ms)
{
	uint64_t all = (b->rate - b->rival) * ms / 1000 * (1000 - b->loss);

	return (unsigned)(b->flow[0]->delivered * 100000 / all);
}

static void
print(struct bottleneck *b, unsigned ms)
{
	uint64_t path = (b->rate - b->rival) * b->rtt_us / 1000000;

	printf("%4u Mbit/s %3u ms loss %4.1f %%: %6.2f MB/s %3u %%, queue "
	       "%5.1f ms, max %5.1f, word p50 %5.1f p99 %5.1f, in flight %.2f "
	       "x path, dropped %.2f %%\n",
	    (unsigned)((b->rate - b->rival) / MBIT),
	    (unsigned)(b->rtt_us / 1000), b->loss / 10.0,
	    (double)b->flow[0]->delivered / ms / 1000, used(b, ms),
	    b->queue_us_sum / (double)(b->queue_n ? b->queue_n : 1) / 1000,
	    (double)b->queue_us_max / 1000,
	    (double)bottleneck_word_us(b->flow[0], 50) / 1000,
	    (double)bottleneck_word_us(b->flow[0], 99) / 1000,
	    (double)b->flow[0]->in_flight_max / (double)path,
	    100.0 * (double)b->flow[0]->dropped / (double)b->flow[0]->sent);
}

/* Looks at a path for a while after Startup. */
static void
watch(struct bottleneck *b)
{
	b->flow[0]->word_ms = 20;
	bottleneck_run(b, 5000);
	bottleneck_mark(b);
	bottleneck_run(b, WATCH_MS);
	print(b, WATCH_MS);
}

static void
nothing_starves_and_no_queue_stands(void **state)
{
	static const unsigned rtts[] = { 20, 50, 150 };
	static const uint32_t losses[] = { 0, 10, 50 };

	(void)state;
	for (unsigned i = 0; i < 9; i++) {
		struct bottleneck *b =
		    path_new(20 * MBIT, rtts[i / 3], 200, losses[i % 3]);

		watch(b);
		assert_true(used(b, WATCH_MS) >= (b->loss < 50 ? 90 : 60));
		assert_true(bottleneck_word_us(b->flow[0], 99) < 20000);
		assert_true(b->flow[0]->in_flight_max <
		            2 * b->rate * (b->rtt_us + 10000) / 1000000);
		path_free(b);
	}
}

/* The figure to reach: five times 1.7 MB/s at 50 ms and 1 % loss. */
static void
a_fast_path_is_used_in_spite_of_loss(void **state)
{
	struct bottleneck *b = path_new(200 * MBIT, 50, 100, 10);

	(void)state;
	watch(b);
	assert_true(b->flow[0]->delivered > WATCH_MS * UINT64_C(8500));
	path_free(b);
}

/* A router with next to no buffer: what overflows is bounded. */
static void
a_shallow_buffer_is_not_flooded(void **state)
{
	(void)state;
	for (unsigned ms = 2; ms <= 10; ms *= 5) {
		struct bottleneck *b = path_new(20 * MBIT, 50, ms, 0);

		watch(b);
		assert_true(used(b, WATCH_MS) >= 70);
		assert_true(b->flow[0]->dropped * 100 < b->flow[0]->sent * 5);
		path_free(b);
	}
}

static void
lumps_of_acknowledgements_do_not_starve(void **state)
{
	struct bottleneck *b = path_new(20 * MBIT, 50, 200, 10);

	(void)state;
	b->jitter_us = 20000;
	watch(b);
	assert_true(used(b, WATCH_MS) >= 80);
	path_free(b);
}

/* Somebody else takes nine parts of ten and gives them back. */
static void
it_follows_the_rate_of_the_path(void **state)
{
	struct bottleneck *b = path_new(20 * MBIT, 50, 500, 0);

	(void)state;
	bottleneck_run(b, 10000);
	b->rival = b->rate / 10 * 9;
	bottleneck_run(b, 6000);
	watch(b);
	assert_true(used(b, WATCH_MS) >= 80);
	assert_true(bottleneck_word_us(b->flow[0], 99) < 150000);
	b->rival = 0;
	bottleneck_run(b, 15000);
	watch(b);
	assert_true(used(b, WATCH_MS) >= 90);
	path_free(b);
}

/* The way becomes longer, while a transfer runs and while none does. */
static void
it_follows_the_length_of_the_path(void **state)
{
	(void)state;
	for (unsigned early = 0; early < 2; early++) {
		struct bottleneck *b = path_new(20 * MBIT, 20, 200, 0);

		b->flow[0]->word_ms = 20;
		b->flow[0]->from_ms = early ? 0 : 5000;
		bottleneck_run(b, 5000);
		b->rtt_us = 80000;
		watch(b);
		assert_true(used(b, WATCH_MS) >= 90);
		assert_true(bottleneck_word_us(b->flow[0], 99) < 25000);
		path_free(b);
	}
}

/* Words alone never wait, before and after hours of nothing else. */
static void
words_alone_never_wait(void **state)
{
	struct bottleneck *b = path_new(20 * MBIT, 50, 200, 0);

	(void)state;
	b->flow[0]->from_ms = b->flow[0]->to_ms;
	b->flow[0]->word_ms = 50;
	bottleneck_run(b, 60000);
	assert_true(bottleneck_word_us(b->flow[0], 100) < 1000);
	bottleneck_mark(b);
	b->flow[0]->word_ms = 20000;
	bottleneck_run(b, 3600 * 1000);
	assert_true(b->flow[0]->n_word >= 170);
	assert_true(bottleneck_word_us(b->flow[0], 100) < 1000);
	path_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_starves_and_no_queue_stands),
		cmocka_unit_test(a_fast_path_is_used_in_spite_of_loss),
		cmocka_unit_test(a_shallow_buffer_is_not_flooded),
		cmocka_unit_test(lumps_of_acknowledgements_do_not_starve),
		cmocka_unit_test(it_follows_the_rate_of_the_path),
		cmocka_unit_test(it_follows_the_length_of_the_path),
		cmocka_unit_test(words_alone_never_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
