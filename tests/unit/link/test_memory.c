/*
 * What others can make a node hold: nothing before they have shown who they
 * are, and a bounded amount after that. Counts what malloc gives. Numbers are
 * those of the list of hostile inputs.
 */
#include "proto/link/link.h"
#include "tests/support/link_raw.h"

#include <sodium.h>

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- counting ---- */

static uint64_t n_allocated; /* calls */
static size_t live_bytes, most_bytes;

static void
count_up(size_t n)
{
	n_allocated++;
	live_bytes += n;
	if (live_bytes > most_bytes)
		most_bytes = live_bytes;
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ASAN 1
#endif

#ifdef ASAN
/* The sanitizer's, under names that are not reserved. */
size_t
asan_size(const volatile void *p) __asm__("__sanitizer_get_allocated_size");
int asan_hooks(void (*on_malloc)(const volatile void *, size_t),
    void (*on_free)(const volatile void
            *)) __asm__("__sanitizer_install_malloc_and_free_hooks");

static void
on_malloc(const volatile void *p, size_t n)
{
	(void)p;
	count_up(n);
}

static void
on_free(const volatile void *p)
{
	if (p)
		live_bytes -= asan_size(p);
}

static void
start_counting(void)
{
	static bool on;

	if (!on && !asan_hooks(on_malloc, on_free))
		abort();
	on = true;
}
#else
/* glibc's own, under names that are not reserved. */
void *libc_malloc(size_t n) __asm__("__libc_malloc");
void *libc_calloc(size_t n, size_t size) __asm__("__libc_calloc");
void *libc_realloc(void *p, size_t n) __asm__("__libc_realloc");
void libc_free(void *p) __asm__("__libc_free");

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

void *
malloc(size_t n)
{
	void *p = libc_malloc(n);

	count_up(malloc_usable_size(p));
	return p;
}

void *
calloc(size_t n, size_t size)
{
	void *p = libc_calloc(n, size);

	count_up(malloc_usable_size(p));
	return p;
}

void *
realloc(void *old, size_t n)
{
	size_t before = malloc_usable_size(old);
	void *p = libc_realloc(old, n);

	live_bytes -= p ? before : 0;
	count_up(malloc_usable_size(p));
	return p;
}

void
free(void *p)
{
	live_bytes -= malloc_usable_size(p);
	libc_free(p);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

static void
start_counting(void)
{
}
#endif

/* ---- strangers ---- */

enum { VICTIM = 0, FRIEND = 1, STRANGER = 2 };

static uint8_t junk[1500];
static uint8_t call[PACKET_MESSAGE_1_SIZE];

/* A running link, and an attempt that waits for somebody who is away. */
static void
start(struct wire *w)
{
	wire_init(w, test_seed(1), 3);
	wire_befriend(w, VICTIM, FRIEND);
	wire_connect(w, VICTIM, FRIEND);
	assert_true(wire_until(w, wire_both_up, 1000));
	wire_write(w, VICTIM, FRIEND, 100);
	wire_run(w, 10000);
	assert_true(wire_all_read(w));
	start_counting();
}

static void
receive(struct wire *w, const struct endpoint *from, const uint8_t *p, size_t n)
{
	struct links *l = w->node[VICTIM].links;
	struct now now = wire_now(w, VICTIM);

	links_receive(l, from, span_of(p, n), now);
	links_flush(l, now);
}

static void
hostile_2_junk_takes_no_memory(void **state)
{
	unsigned n = test_rounds(50000);
	uint64_t sent, before;
	struct wire w;

	(void)state;
	start(&w);
	sent = w.node[VICTIM].sent;
	before = n_allocated;
	for (unsigned i = 0; i < n; i++) {
		rng_fill(&w.rng.rng, junk, 32);
		receive(&w, &w.node[STRANGER].at, junk, i % sizeof(junk));
	}
	assert_int_equal(n_allocated, before);
	wire_drain(&w, VICTIM);
	assert_int_equal(w.node[VICTIM].sent, sent);
	wire_clear(&w);
}

/* Who knows R and even S, and is nobody whom we know. */
static void
hostile_7_a_stranger_takes_no_memory(void **state)
{
	struct handshake_attempt a;
	struct link_stats stats;
	struct raw_m1 m;
	uint64_t before;
	struct wire w;

	(void)state;
	start(&w);
	m = raw_m1_of(&w, STRANGER, VICTIM);
	raw_m1_seal(&w, &m, call, &a);
	before = n_allocated;
	for (unsigned i = 0; i < 500; i++)
		receive(&w, &w.node[STRANGER].at, call, sizeof(call));
	assert_int_equal(n_allocated, before);
	links_stats(w.node[VICTIM].links, &stats);
	assert_true(stats.n_dh >= 1000);
	wire_clear(&w);
}

static void
hostile_6_replays_take_no_memory(void **state)
{
	struct handshake_attempt a;
	struct raw_m1 m;
	uint64_t before;
	struct wire w;

	(void)state;
	start(&w);
	m = raw_m1_of(&w, FRIEND, VICTIM);
	raw_m1_seal(&w, &m, call, &a);
	receive(&w, &w.node[FRIEND].at, call, sizeof(call));
	wire_drain(&w, VICTIM);
	before = n_allocated;
	for (unsigned i = 0; i < 500; i++)
		receive(&w, &w.node[STRANGER].at, call, sizeof(call));
	assert_int_equal(n_allocated, before);
	wire_clear(&w);
}

/* A thief of the friend's S calls without end: each call replaces the one
 * before. */
static void
hostile_10_a_contact_has_one_half_open_state(void **state)
{
	struct handshake_attempt a;
	struct link_stats stats;
	size_t after_one = 0;
	struct wire w;

	(void)state;
	start(&w);
	for (unsigned i = 0; i < 1000; i++) {
		struct raw_m1 m = raw_m1_of(&w, FRIEND, VICTIM);

		m.ts_ms += i;
		raw_m1_seal(&w, &m, call, &a);
		receive(&w, &w.node[STRANGER].at, call, sizeof(call));
		w.cut = true;
		wire_drain(&w, VICTIM);
		if (i == 0)
			after_one = live_bytes;
		assert_true(live_bytes <= after_one + 512);
	}
	links_stats(w.node[VICTIM].links, &stats);
	assert_int_equal(stats.n_half_open, 1);
	assert_int_equal(stats.n_up, 1);
	wire_clear(&w);
}

/* ---- transfers ---- */

/* Bulk both windows full; what is held in the middle of it. */
static size_t
transfer(struct wire *w)
{
	size_t most = 0;

	for (unsigned i = 0; i < 20; i++) {
		wire_write_bulk(w, VICTIM, FRIEND, LINK_BULK_WINDOW);
		most = live_bytes > most ? live_bytes : most;
		wire_run(w, 20);
	}
	assert_true(wire_until(w, wire_all_read, 60000));
	wire_run(w, 5000);
	return most;
}

static void
what_a_transfer_took_is_given_back(void **state)
{
	size_t rest, most;
	struct wire w;

	(void)state;
	start(&w);
	assert_int_equal(links_bulk_open(w.node[FRIEND].links, VICTIM), ERR_OK);
	(void)transfer(&w); /* also the wire's own memory grows with it */
	rest = live_bytes;
	most = transfer(&w);
	assert_true(most >= rest + LINK_BULK_WINDOW);
	assert_true(live_bytes <= rest + 100000);
	wire_clear(&w);
}

/* ---- a crowd of stolen contacts ---- */

enum { CROWD = 4200, CALLS_MAX = 4 };

struct crowd {
	struct wire w;
	uint8_t cookie[HANDSHAKE_COOKIE_SIZE];
	bool has_cookie;
	unsigned answers;
	struct handshake_attempt a;
};

static struct crowd crowd;

/* The outputs of the victim: they are of peers that the wire does not know. */
static void
drain_crowd(void)
{
	struct link_out o;

	while (links_next(crowd.w.node[VICTIM].links, &o)) {
		if (o.kind != LINK_OUT_SEND)
			continue;
		crowd.answers += o.data.n == PACKET_MESSAGE_2_SIZE;
		if (handshake_cookie_open(&crowd.a, o.data, crowd.cookie) ==
		    ERR_OK)
			crowd.has_cookie = true;
	}
}

/* The i-th member's key pair; its number as a contact is 10 + i. */
static struct handshake_static
member(unsigned i)
{
	struct handshake_static s = { .sk = { { 8 } } };

	s.sk.b[1] = (uint8_t)i;
	s.sk.b[2] = (uint8_t)(i >> 8);
	if (crypto_scalarmult_base(s.pk.b, s.sk.b))
		abort();
	return s;
}

static void
enlist(unsigned i)
{
	struct link_peer cfg = { .role = LINK_CONTACT, .n_s = 1 };

	cfg.id.b[0] = (uint8_t)i;
	cfg.id.b[1] = (uint8_t)(i >> 8);
	cfg.id.b[2] = 1;
	cfg.rk0.b[0] = 5;
	ratchet_init(&cfg.ratchet, &cfg.rk0);
	cfg.s[0] = member(i).pk;
	assert_int_equal(
	    links_set_peer(crowd.w.node[VICTIM].links, 10 + i, &cfg), ERR_OK);
}

/* True if it was answered. */
static bool
knock(unsigned i)
{
	struct wire *w = &crowd.w;
	const uint8_t addr[4] = { 203, 0, (uint8_t)(i >> 8), (uint8_t)i };
	struct endpoint from = endpoint_v4(addr, 7000);
	unsigned before = crowd.answers;

	crowd.has_cookie = false;
	w->now.mono_ms++; /* sources share buckets of cookies */
	for (unsigned k = 0; k < CALLS_MAX && crowd.answers == before; k++) {
		struct raw_m1 m = raw_m1_of(w, STRANGER, VICTIM);

		m.s = member(i);
		m.cur = m.prev = (struct ratchet_key){ { 5 } };
		m.ts_ms += k;
		m.cookie = crowd.has_cookie ? crowd.cookie : NULL;
		raw_m1_seal(w, &m, call, &crowd.a);
		receive(w, &from, call, sizeof(call));
		drain_crowd();
	}
	return crowd.answers > before;
}

static void
hostile_11_half_open_states_end_at_4096(void **state)
{
	struct link_stats stats;
	unsigned n = 0;

	(void)state;
	wire_init(&crowd.w, test_seed(1), 3);
	for (unsigned i = 0; i < CROWD; i++)
		enlist(i);
	for (unsigned i = 0; i < CROWD; i++)
		n += knock(i);
	links_stats(crowd.w.node[VICTIM].links, &stats);
	assert_int_equal(n, 4096);
	assert_int_equal(stats.n_half_open, 4096);
	crowd.w.now.mono_ms += 10001;
	links_tick(crowd.w.node[VICTIM].links, crowd.w.now);
	drain_crowd();
	links_stats(crowd.w.node[VICTIM].links, &stats);
	assert_int_equal(stats.n_half_open, 0);
	assert_true(knock(CROWD - 1)); /* the room is free again */
	wire_clear(&crowd.w);
}

/* ---- a hostile contact ---- */

/* Two streams each way, full to their windows, and what is kept of packets:
 * the rings grow by doubling, and the old one goes when the new one is full. */
enum {
	LINK_BYTES_MAX =
	    2 * (LINK_STREAM_WINDOW + LINK_BULK_WINDOW) * 3 / 2 + 512 * 1024
};

static void
fill_stream(struct raw *r, uint64_t stream, uint64_t from, uint64_t window)
{
	uint8_t buf[1400];

	for (uint64_t at = from; at + 1300 <= from + window; at += 1300) {
		struct writer b = wr_init(buf, sizeof(buf));

		if (at == from)
			continue; /* nothing can be read */
		frame_write_stream(&b, stream, at, 1300);
		wr_zeros(&b, 1300);
		raw_send(r, wr_span_of(&b));
	}
}

static void
hostile_22_a_link_has_a_bounded_memory(void **state)
{
	static struct raw r;
	struct wire w;
	size_t before;
	uint64_t theirs;

	(void)state;
	wire_init(&w, test_seed(1), 3);
	wire_befriend(&w, VICTIM, FRIEND);
	raw_init(&r, &w, FRIEND, VICTIM);
	start_counting();
	before = live_bytes;
	most_bytes = live_bytes;
	assert_true(raw_up(&r));
	theirs = id_cmp(&w.node[FRIEND].id, &w.node[VICTIM].id) < 0 ? 2 : 3;
	assert_int_equal(links_bulk_open(w.node[VICTIM].links, FRIEND), ERR_OK);
	fill_stream(&r, theirs, 0, LINK_STREAM_WINDOW);
	fill_stream(&r, theirs + 4, 0, LINK_BULK_WINDOW);
	/* He acknowledges nothing of ours. */
	wire_write(&w, VICTIM, FRIEND, LINK_STREAM_WINDOW);
	wire_write_bulk(&w, VICTIM, FRIEND, LINK_BULK_WINDOW);
	assert_true(w.node[VICTIM].up[FRIEND]);
	wire_run(&w, 2000);
	print_message(
	    "at most %u bytes for a link\n", (unsigned)(most_bytes - before));
	assert_true(most_bytes - before < LINK_BYTES_MAX);
	raw_clear(&r);
	wire_clear(&w);
}

/* A contact that comes back again and again leaves nothing behind. */
static void
hostile_24_links_that_end_leave_nothing(void **state)
{
	static struct raw r;
	size_t after_some = 0;
	struct wire w;

	(void)state;
	wire_init(&w, test_seed(1), 3);
	wire_befriend(&w, VICTIM, FRIEND);
	raw_init(&r, &w, FRIEND, VICTIM);
	start_counting();
	for (unsigned i = 0; i < 300; i++) {
		uint8_t buf[64];
		struct writer b = wr_init(buf, sizeof(buf));

		r.instance[0] = (uint8_t)i;
		r.instance[1] = (uint8_t)(i >> 8);
		assert_true(raw_up(&r));
		wire_write(&w, VICTIM, FRIEND, 5000);
		if (i % 2 == 0) {
			frame_write_close(&b, CLOSE_NONE);
			raw_send(&r, wr_span_of(&b));
			assert_false(w.node[VICTIM].up[FRIEND]);
		}
		if (i == 20)
			after_some = live_bytes;
		if (i > 20 && i % 2 == 0)
			assert_true(live_bytes <= after_some + 4096);
		w.n_queue = 0;
	}
	raw_clear(&r);
	wire_clear(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_2_junk_takes_no_memory),
		cmocka_unit_test(hostile_7_a_stranger_takes_no_memory),
		cmocka_unit_test(hostile_6_replays_take_no_memory),
		cmocka_unit_test(what_a_transfer_took_is_given_back),
		cmocka_unit_test(hostile_10_a_contact_has_one_half_open_state),
		cmocka_unit_test(hostile_11_half_open_states_end_at_4096),
		cmocka_unit_test(hostile_22_a_link_has_a_bounded_memory),
		cmocka_unit_test(hostile_24_links_that_end_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
