/* Whole links on a wire: sizes of datagrams, acknowledgements, what goes
 * first. The oracle of the wire sees to it that no byte is lost, doubled or
 * out of order. */
#include "tests/support/link_wire.h"

#include "proto/link/mtu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* What passes, and what was seen. */
struct path {
	unsigned takes; /* bytes of UDP payload */
	unsigned largest;
	unsigned from[2]; /* datagrams of each node */
};

static bool
narrow(struct wire *w, struct wire_datagram *d)
{
	struct path *p = w->tap_ctx;

	p->from[!endpoint_eq(&d->from, &w->node[0].at)]++;
	if (d->n > p->takes)
		return false;
	if (d->n > p->largest)
		p->largest = d->n;
	return true;
}

static void
setup(struct wire *w, struct path *p, uint64_t seed)
{
	printf("seed %u\n", (unsigned)seed);
	wire_init(w, seed, 2);
	wire_befriend(w, 0, 1);
	w->tap = narrow;
	w->tap_ctx = p;
	wire_connect(w, 0, 1);
	assert_true(wire_until(w, wire_both_up, 5000));
}

/* Writes n bytes as fast as the link takes them. */
static void
pour(struct wire *w, size_t n)
{
	struct wire_node *x = &w->node[0];
	uint64_t end = x->written[1] + n;

	for (unsigned i = 0; i < 3000 && x->written[1] < end; i++) {
		wire_write(w, 0, 1, (size_t)(end - x->written[1]));
		wire_run(w, 10);
	}
	assert_int_equal(x->written[1], end);
	assert_true(wire_until(w, wire_all_read, 60000));
	assert_int_equal(x->downs[1], 0);
}

static void
a_transfer_finds_the_size_of_the_path(void **state)
{
	static const unsigned takes[] = { 1232, 1400, 1452, 1500 };
	static const unsigned finds[] = { 1232, 1372, 1452, 1472 };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct path p = { .takes = takes[i] };
		struct wire w;

		setup(&w, &p, i + 1);
		pour(&w, 2000);
		assert_true(p.largest <= MTU_BASE); /* talk shows nothing */
		pour(&w, 2000000);
		assert_int_equal(p.largest, finds[i]);
		wire_clear(&w);
	}
}

static void
hostile_20_a_path_that_shrinks_holds_the_link(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 5; seed++) {
		struct path p = { .takes = 1500 };
		struct wire w;

		setup(&w, &p, seed);
		w.loss = 2;
		pour(&w, 400000);
		assert_int_equal(p.largest, MTU_MAX);
		p.takes = 1232;
		pour(&w, 400000);
		wire_clear(&w);
	}
}

static void
a_transfer_is_acknowledged_seldom(void **state)
{
	struct path p = { .takes = 1232 };
	struct wire w;
	unsigned n;

	(void)state;
	setup(&w, &p, 7);
	pour(&w, 400000);
	p.from[0] = p.from[1] = 0;
	pour(&w, 1000000);
	n = p.from[0];
	printf("%u datagrams, %u back\n", n, p.from[1]);
	assert_true(n > 1000000 / 1232 && p.from[1] < n / 4);
	wire_clear(&w);
}

/* ---- bulk ---- */

static void
open_bulk(struct wire *w, unsigned a, unsigned b)
{
	assert_int_equal(links_bulk_open(w->node[a].links, b), ERR_OK);
	links_flush(w->node[a].links, wire_now(w, a));
	wire_drain(w, a);
}

static void
bulk_waits_until_it_is_allowed(void **state)
{
	struct path p = { .takes = 1500 };
	struct wire w;

	(void)state;
	setup(&w, &p, 1);
	wire_write_bulk(&w, 0, 1, 100000);
	wire_run(&w, 5000);
	assert_int_equal(w.node[1].bulk_read[0], 0);
	wire_write(&w, 0, 1, 1000); /* words do not wait for that */
	wire_run(&w, 100);
	assert_int_equal(w.node[1].read[0], 1000);
	open_bulk(&w, 1, 0);
	assert_true(wire_until(&w, wire_all_read, 5000));
	assert_int_equal(w.node[1].bulk_read[0], 100000);
	wire_clear(&w);
}

static void
a_full_bulk_window_says_when(void **state)
{
	struct path p = { .takes = 1500 };
	struct wire w;

	(void)state;
	setup(&w, &p, 2);
	wire_write_bulk(&w, 0, 1, 2 * LINK_BULK_WINDOW);
	assert_int_equal(w.node[0].bulk_written[1], LINK_BULK_WINDOW);
	assert_int_equal(links_bulk_room(w.node[0].links, 1), 0);
	open_bulk(&w, 1, 0);
	assert_true(wire_until(&w, wire_all_read, 10000));
	assert_int_equal(w.node[0].bulk_writables[1], 1);
	wire_clear(&w);
}

/* Words and bulk both ways through every trouble, over renewals of keys. */
static void
bulk_and_words_come_whole(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 10; seed++) {
		struct path p = { .takes = 1500 };
		struct wire w;

		setup(&w, &p, seed);
		w.loss = 10;
		w.copy = 10;
		w.jitter_ms = 30;
		open_bulk(&w, 1, 0);
		open_bulk(&w, 0, 1);
		for (unsigned i = 0; i < 200; i++) {
			wire_write_bulk(&w, 0, 1, 3000);
			wire_write_bulk(&w, 1, 0, 1000);
			wire_write(&w, i % 2, !(i % 2), 100);
			wire_run(&w, 1000);
		}
		assert_true(wire_until(&w, wire_all_read, 60000));
		assert_int_equal(w.node[0].downs[1], 0);
		assert_int_equal(w.node[1].bulk_read[0], 600000);
		assert_int_equal(w.node[0].bulk_read[1], 200000);
		wire_clear(&w);
	}
}

enum { WORDS = 400, BOTTLENECK = 2500000, FIRST_MS = 3000 };

static int
by_size(const void *x, const void *y)
{
	const unsigned *a = x, *b = y;

	return *a < *b ? -1 : *a > *b;
}

/* p99 of the delays of words, in ms, and the bytes of bulk that came. */
static unsigned
words(uint32_t loss, bool bulk, uint64_t *came)
{
	static unsigned delay[WORDS];
	struct path p = { .takes = 1500 };
	struct wire w;

	setup(&w, &p, 3);
	w.rate = BOTTLENECK;
	w.buffer_ms = 300;
	w.delay_ms = 25;
	w.loss = loss;
	open_bulk(&w, 1, 0);
	for (unsigned ms = 0; bulk && ms < FIRST_MS; ms += 20) {
		wire_write_bulk(&w, 0, 1, LINK_BULK_WINDOW);
		wire_run(&w, 20);
	}
	*came = w.node[1].bulk_read[0];
	for (unsigned i = 0; i < WORDS; i++) {
		wire_write(&w, 0, 1, 100);
		delay[i] = 0;
		for (unsigned ms = 0; ms < 60; ms++) {
			wire_run(&w, 1);
			delay[i] += w.node[1].read[0] < w.node[0].written[1];
			if (bulk && ms % 20 == 0)
				wire_write_bulk(&w, 0, 1, LINK_BULK_WINDOW);
		}
	}
	*came = w.node[1].bulk_read[0] - *came;
	qsort(delay, WORDS, sizeof(delay[0]), by_size);
	wire_clear(&w);
	return delay[WORDS * 99 / 100];
}

static void
a_word_never_waits_for_a_file(void **state)
{
	uint64_t came;
	unsigned alone = words(0, false, &came), with = words(0, true, &came);

	(void)state;
	printf("words at 20 Mbit/s, 50 ms: p99 %u ms, %u ms beside %.2f MB/s "
	       "of bulk\n",
	    alone, with, (double)came / WORDS / 60 / 1000);
	assert_true(with < alone + 20);
	assert_true(came > (uint64_t)WORDS * 60 * BOTTLENECK / 1000 / 10 * 8);
}

/* Five times 1.7 MB/s at 50 ms and 1 % loss, over whole links. */
static void
bulk_is_fast_in_spite_of_loss(void **state)
{
	struct path p = { .takes = 1500 };
	struct wire w;
	uint64_t came = 0;

	(void)state;
	setup(&w, &p, 4);
	w.rate = 25000000;
	w.buffer_ms = 100;
	w.delay_ms = 25;
	w.loss = 1;
	open_bulk(&w, 1, 0);
	for (unsigned ms = 0; ms < 8000; ms += 5) {
		wire_write_bulk(&w, 0, 1, LINK_BULK_WINDOW);
		wire_run(&w, 5);
		if (ms == 3000)
			came = w.node[1].bulk_read[0];
	}
	came = w.node[1].bulk_read[0] - came;
	printf("bulk at 200 Mbit/s, 50 ms, 1 %%: %.2f MB/s\n",
	    (double)came / 5000 / 1000);
	assert_true(came > 5000 * UINT64_C(8500));
	wire_clear(&w);
}

/* Bytes of bulk that node 1 and node 2 got from node 0 in ms, which always
 * has some for them. */
static void
both_bulks(struct wire *w, unsigned ms, bool to_1, uint64_t got[2])
{
	for (unsigned i = 0; i < 2; i++)
		got[i] = w->node[1 + i].bulk_read[0];
	for (unsigned at = 0; at < ms; at += 5) {
		if (to_1)
			wire_write_bulk(w, 0, 1, LINK_BULK_WINDOW);
		wire_write_bulk(w, 0, 2, LINK_BULK_WINDOW);
		wire_run(w, 5);
	}
	for (unsigned i = 0; i < 2; i++)
		got[i] = w->node[1 + i].bulk_read[0] - got[i];
}

/* Two contacts behind one uplink: a file for one of them, and for the other
 * what nobody waits for. */
static void
bulk_that_yields_leaves_the_uplink_to_a_file(void **state)
{
	static struct wire w;
	uint64_t got[2];

	(void)state;
	printf("seed 5\n");
	wire_init(&w, 5, 3);
	w.rate = BOTTLENECK;
	w.buffer_ms = 300;
	w.delay_ms = 25;
	for (unsigned i = 1; i <= 2; i++) {
		wire_befriend(&w, 0, i);
		wire_connect(&w, 0, i);
		wire_run(&w, 1000);
		assert_true(w.node[0].up[i] && w.node[i].up[0]);
		open_bulk(&w, i, 0);
	}
	assert_int_equal(links_bulk_yield(w.node[0].links, 2, true), ERR_OK);
	both_bulks(&w, 5000, false, got);
	both_bulks(&w, 10000, false, got);
	assert_true(got[1] > UINT64_C(10) * BOTTLENECK * 3 / 4);
	both_bulks(&w, 10000, true, got);
	both_bulks(&w, 10000, true, got);
	printf("a file %.2f MB/s, yielding bulk %.2f MB/s of 2.5\n",
	    (double)got[0] / 1e7, (double)got[1] / 1e7);
	assert_true(got[0] > UINT64_C(10) * BOTTLENECK * 3 / 4);
	assert_true(got[1] > 0 && got[1] < got[0] / 5);
	assert_int_equal(links_bulk_yield(w.node[0].links, 2, false), ERR_OK);
	both_bulks(&w, 10000, true, got);
	both_bulks(&w, 10000, true, got);
	assert_true(got[1] > got[0] / 3);
	wire_clear(&w);
}

static void
yielding_needs_a_link(void **state)
{
	struct wire w;

	(void)state;
	wire_init(&w, 6, 2);
	wire_befriend(&w, 0, 1);
	assert_int_equal(links_bulk_yield(w.node[0].links, 1, true), ERR_STATE);
	assert_int_equal(links_bulk_yield(w.node[0].links, 9, true), ERR_STATE);
	wire_clear(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_transfer_finds_the_size_of_the_path),
		cmocka_unit_test(hostile_20_a_path_that_shrinks_holds_the_link),
		cmocka_unit_test(a_transfer_is_acknowledged_seldom),
		cmocka_unit_test(bulk_waits_until_it_is_allowed),
		cmocka_unit_test(a_full_bulk_window_says_when),
		cmocka_unit_test(bulk_and_words_come_whole),
		cmocka_unit_test(a_word_never_waits_for_a_file),
		cmocka_unit_test(bulk_is_fast_in_spite_of_loss),
		cmocka_unit_test(bulk_that_yields_leaves_the_uplink_to_a_file),
		cmocka_unit_test(yielding_needs_a_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
