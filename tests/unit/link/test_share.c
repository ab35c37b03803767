/* Flows that share a bottleneck: ours with each other and with what the rest
 * of the Internet uses, transfers with words, and bulk that yields with all
 * of them. What is printed is the bench. */
#include "tests/support/bottleneck.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MBIT = 125000, LOOK_MS = 20000, SEEDS = 3 };

struct lane {
	struct bottleneck b;
	struct cubic cubic[BOTTLENECK_FLOWS];
	const char *kinds;
};

/* A letter for each flow: 'o' ours, 'y' ours that yields, 'c' CUBIC. */
static struct lane *
lane_new(const char *kinds, unsigned mbit, unsigned rtt_ms, unsigned buffer_ms,
    uint64_t seed)
{
	struct lane *l = calloc(1, sizeof(*l));
	struct bottleneck *b = &l->b;

	assert_non_null(l);
	l->kinds = kinds;
	bottleneck_init(b, seed);
	b->rate = (uint64_t)mbit * MBIT;
	b->rtt_us = (uint64_t)rtt_ms * 1000;
	b->buffer = b->rate * buffer_ms / 1000;
	b->jitter_us = 1000;
	for (unsigned i = 0; kinds[i]; i++) {
		struct bottleneck_flow *f =
		    i > 0 ? bottleneck_add(b) : b->flow[0];

		if (kinds[i] == 'c') {
			cubic_init(&l->cubic[i], BOTTLENECK_FULL);
			f->cubic = &l->cubic[i];
		} else {
			recovery_set_yield(&f->r, kinds[i] == 'y');
		}
	}
	return l;
}

static void
lane_free(struct lane *l)
{
	bottleneck_clear(&l->b);
	free(l);
}

/* What flow i had of the path since the mark, in percent. */
static unsigned
part(const struct lane *l, unsigned i, unsigned ms)
{
	return (unsigned)(l->b.flow[i]->delivered * 100000 / (l->b.rate * ms));
}

static void
print(struct lane *l, unsigned ms)
{
	struct bottleneck *b = &l->b;

	printf("%3u Mbit/s %3u ms loss %.1f %%:", (unsigned)(b->rate / MBIT),
	    (unsigned)(b->rtt_us / 1000), b->loss / 10.0);
	for (unsigned i = 0; l->kinds[i]; i++)
		printf(" %s %u %%",
		    l->kinds[i] == 'c'   ? "CUBIC"
		    : l->kinds[i] == 'y' ? "yielding"
		                         : "ours",
		    part(l, i, ms));
	printf(", queue %.1f ms", b->queue_us_sum / (double)b->queue_n / 1000);
	if (b->flow[0]->n_word > 0)
		printf(", words p99 %.1f ms",
		    (double)bottleneck_word_us(b->flow[0], 99) / 1000);
	printf("\n");
}

static void
watch(struct lane *l, unsigned from_ms, unsigned ms)
{
	bottleneck_run(&l->b, from_ms);
	bottleneck_mark(&l->b);
	bottleneck_run(&l->b, ms);
	print(l, ms);
}

/* ---- why not CUBIC ---- */

/* The same recovery, another controller: what a loss of one packet in a
 * hundred, that no queue has caused, leaves of a path. */
static void
random_loss_starves_cubic_and_not_us(void **state)
{
	static const unsigned mbit[] = { 20, 200 };

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct lane *l =
		    lane_new(i & 1 ? "o" : "c", mbit[i >> 2], 50, 100, i + 1);
		unsigned got;

		l->b.loss = i & 2 ? 10 : 0;
		watch(l, 10000, LOOK_MS);
		got = part(l, 0, LOOK_MS);
		if (i & 1 || l->b.loss == 0)
			assert_true(got >= 90);
		else
			assert_true(got <= 20);
		lane_free(l);
	}
}

/* ---- transfers ---- */

static void
transfers_share(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		struct lane *l = lane_new("oo", 20, 50, 100, seed);

		l->b.flow[1]->from_ms = 5000;
		watch(l, 20000, LOOK_MS);
		assert_true(part(l, 0, LOOK_MS) >= 25);
		assert_true(part(l, 1, LOOK_MS) >= 25);
		lane_free(l);
	}
}

/* Neither starves, in a small queue or a large one. */
static void
a_transfer_lives_beside_cubic(void **state)
{
	static const unsigned buffer_ms[] = { 30, 100, 300 };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct lane *l = lane_new("oc", 20, 50, buffer_ms[i], i + 1);

		l->b.flow[i % 2]->from_ms = 5000;
		watch(l, 20000, 2 * LOOK_MS);
		assert_true(part(l, 0, 2 * LOOK_MS) >= 15);
		assert_true(part(l, 1, 2 * LOOK_MS) >= 25);
		lane_free(l);
	}
}

static uint64_t
words_us(const char *kinds, bool bulk, uint64_t bytes)
{
	struct lane *l = lane_new(kinds, 20, 50, 300, 7);
	struct bottleneck_flow *f = l->b.flow[0];
	uint64_t us, all = 0;

	f->word_ms = 20;
	if (!bulk)
		f->from_ms = f->to_ms;
	bottleneck_run(&l->b, 5000);
	bottleneck_mark(&l->b);
	for (unsigned ms = 0; bulk ? all < bytes : ms < 60000; ms += 1000) {
		bottleneck_run(&l->b, 1000);
		all = f->delivered;
	}
	us = bottleneck_word_us(f, 99);
	printf("words p99 %.1f ms beside %.0f MB, %s\n", (double)us / 1000,
	    (double)all / 1e6, kinds);
	lane_free(l);
	return us;
}

static void
a_gigabyte_never_delays_a_word(void **state)
{
	const uint64_t gigabyte = 1000000000;
	uint64_t alone = words_us("o", false, 0);

	(void)state;
	assert_true(words_us("o", true, gigabyte) < alone + 20000);
	assert_true(words_us("y", true, gigabyte / 5) < alone + 20000);
}

/* ---- bulk that yields ---- */

static void
yielding_bulk_uses_an_idle_path(void **state)
{
	static const unsigned paths[][2] = { { 2, 50 }, { 5, 20 }, { 20, 50 },
		{ 20, 150 }, { 100, 50 }, { 100, 5 } };

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		struct lane *l =
		    lane_new("y", paths[i][0], paths[i][1], 200, i + 1);

		l->b.flow[0]->word_ms = 20;
		watch(l, 20000, 2 * LOOK_MS);
		assert_true(part(l, 0, 2 * LOOK_MS) >= 75);
		assert_true(bottleneck_word_us(l->b.flow[0], 99) < 30000);
		lane_free(l);
	}
}

/* Whoever was there first. */
static void
it_gives_way_to_a_transfer_of_ours(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * SEEDS; i++) {
		struct lane *l = lane_new("oy", 20, 50, 200, i + 1);

		l->b.flow[i % 2]->from_ms = 10000;
		watch(l, 25000, LOOK_MS);
		assert_true(part(l, 0, LOOK_MS) >= 85);
		assert_true(part(l, 1, LOOK_MS) <= 15);
		lane_free(l);
	}
}

static void
it_gives_way_to_cubic(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * SEEDS; i++) {
		struct lane *l = lane_new("cy", 20, 50, 100, i + 1);

		l->b.flow[i % 2]->from_ms = 10000;
		watch(l, 25000, LOOK_MS);
		assert_true(part(l, 0, LOOK_MS) >= 95);
		assert_true(l->b.flow[1]->delivered > 0); /* it goes on */
		lane_free(l);
	}
}

static void
it_takes_the_path_when_others_have_left(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct lane *l = lane_new(
		    i % 2 ? "oy" : "cy", i < 2 ? 20 : 100, 50, 100, i + 1);

		l->b.flow[0]->to_ms = 20000;
		watch(l, 30000, LOOK_MS);
		assert_true(part(l, 1, LOOK_MS) >= 75);
		lane_free(l);
	}
}

/* A longer way looks like a queue, until the shorter one is forgotten. */
static void
it_does_not_yield_to_a_longer_way_for_ever(void **state)
{
	struct lane *l = lane_new("y", 5, 20, 100, 1);

	(void)state;
	bottleneck_run(&l->b, 10000);
	l->b.rtt_us = 80000;
	watch(l, 60000, LOOK_MS);
	watch(l, (LEDBAT_HISTORY + 1) * 60000, LOOK_MS);
	assert_true(part(l, 0, LOOK_MS) >= 60);
	lane_free(l);
}

static void
those_who_yield_share(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * SEEDS; i++) {
		unsigned n = 2 + i % 2;
		struct lane *l =
		    lane_new(n == 3 ? "yyy" : "yy", 20, 50, 100, i + 1);
		unsigned all = 0;

		for (unsigned j = 1; j < n; j++)
			l->b.flow[j]->from_ms = j * 10000;
		watch(l, 60000, 4 * LOOK_MS);
		for (unsigned j = 0; j < n; j++) {
			assert_true(part(l, j, 4 * LOOK_MS) >= 25 / n);
			all += part(l, j, 4 * LOOK_MS);
		}
		assert_true(all >= 85);
		lane_free(l);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_loss_starves_cubic_and_not_us),
		cmocka_unit_test(transfers_share),
		cmocka_unit_test(a_transfer_lives_beside_cubic),
		cmocka_unit_test(a_gigabyte_never_delays_a_word),
		cmocka_unit_test(yielding_bulk_uses_an_idle_path),
		cmocka_unit_test(it_gives_way_to_a_transfer_of_ours),
		cmocka_unit_test(it_gives_way_to_cubic),
		cmocka_unit_test(it_takes_the_path_when_others_have_left),
		cmocka_unit_test(it_does_not_yield_to_a_longer_way_for_ever),
		cmocka_unit_test(those_who_yield_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
