/* Routes, moves, and what is lost on the way: nothing. Stalls are measured on
 * virtual time. */
#include "tests/support/link_raw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t first_seed;

static void
start(struct wire *w, uint64_t seed)
{
	wire_init(w, first_seed + seed, 2);
	wire_befriend(w, 0, 1);
}

static bool
on_route(const struct wire *w, unsigned a)
{
	struct link_info info;

	assert_true(links_info(w->node[a].links, 1 - a, &info));
	assert_true(info.up);
	return info.route;
}

static void
probe(struct wire *w, unsigned a, const struct endpoint *to)
{
	links_probe(w->node[a].links, 1 - a, to, 0, wire_now(w, a));
	wire_drain(w, a);
}

static void
a_link_comes_up_on_a_route(void **state)
{
	struct wire w;

	(void)state;
	for (unsigned who = 0; who < 2; who++) {
		start(&w, who);
		w.cut_direct = true;
		wire_add_route(&w, 0, 1, 50);
		links_connect(
		    w.node[who].links, 1 - who, NULL, 0, 0, wire_now(&w, who));
		wire_drain(&w, who);
		assert_true(wire_until(&w, wire_both_up, 1000));
		assert_true(on_route(&w, 0) && on_route(&w, 1));
		wire_write(&w, 0, 1, 100000);
		wire_write(&w, 1, 0, 100000);
		assert_true(wire_until(&w, wire_all_read, 20000));
		/* It punches: both move, nothing is lost. */
		w.cut_direct = false;
		wire_write(&w, 0, 1, 100000);
		wire_write(&w, 1, 0, 100000);
		probe(&w, who, &w.node[1 - who].at);
		assert_true(wire_until(&w, wire_all_read, 20000));
		assert_false(on_route(&w, 0) || on_route(&w, 1));
		wire_run(&w, 60000);
		assert_int_equal(w.node[0].downs[1] + w.node[1].downs[0], 0);
		assert_int_equal(w.node[0].paths[1], 1);
		assert_int_equal(w.node[1].paths[0], 1);
		wire_clear(&w);
	}
}

/* Nothing direct was asked for, yet there is a direct way: it is found. */
static void
an_open_peer_is_reached_directly_at_once(void **state)
{
	struct wire w;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		start(&w, i);
		wire_add_route(&w, 0, 1, 0);
		/* The copy on the route is first. */
		w.jitter_ms = 30;
		wire_connect(&w, 0, 1);
		assert_true(wire_until(&w, wire_both_up, 1000));
		wire_run(&w, 200);
		assert_false(on_route(&w, 0) || on_route(&w, 1));
		wire_clear(&w);
	}
}

/* A route is what the owner names, nothing else. */
static void
only_the_owner_makes_a_route(void **state)
{
	struct endpoint to[2];
	struct wire w;

	(void)state;
	start(&w, 1);
	to[0] = endpoint_route(1);
	to[1] = endpoint_route(UINT64_MAX);
	links_connect(w.node[0].links, 1, to, 2, 0, wire_now(&w, 0));
	wire_drain(&w, 0);
	wire_run(&w, 10000);
	assert_int_equal(w.node[0].sent, 0);
	wire_connect(&w, 0, 1);
	assert_true(wire_until(&w, wire_both_up, 1000));
	wire_run(&w, 5000);
	probe(&w, 0, &to[0]);
	assert_false(on_route(&w, 0));
	wire_clear(&w);
}

static uint64_t
sent_by(struct wire *w, unsigned a, const struct endpoint *to, uint8_t hops)
{
	uint64_t before = w->node[a].sent, bytes = w->node[a].sent_bytes;

	links_probe(w->node[a].links, 1 - a, to, hops, wire_now(w, a));
	wire_drain(w, a);
	bytes = w->node[a].sent_bytes - bytes;
	assert_true(bytes == 92 * (w->node[a].sent - before));
	return w->node[a].sent - before;
}

/* One datagram of 92 bytes for each, none where it would be wrong. */
static void
a_probe_is_one_datagram(void **state)
{
	static const uint8_t bad[][4] = { { 224, 0, 0, 1 }, { 127, 0, 0, 1 },
		{ 0, 0, 0, 1 }, { 255, 255, 255, 255 }, { 192, 168, 1, 1 } };
	static const uint8_t good[4] = { 203, 0, 113, 1 };
	struct endpoint e;
	struct wire w;

	(void)state;
	start(&w, 1);
	e = endpoint_v4(good, 4000);
	assert_int_equal(sent_by(&w, 0, &e, 0), 0); /* no link */
	wire_connect(&w, 0, 1);
	assert_true(wire_until(&w, wire_both_up, 1000));
	wire_run(&w, 5000);
	for (unsigned i = 0; i < 1000; i++) {
		e.port = (uint16_t)(2000 + i);
		assert_int_equal(sent_by(&w, 0, &e, (uint8_t)i), 1);
		assert_int_equal(w.node[0].hops, (uint8_t)i);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = endpoint_v4(bad[i], 4000);
		assert_int_equal(sent_by(&w, 0, &e, 0), 0);
	}
	e = endpoint_v4(good, 53);
	assert_int_equal(sent_by(&w, 0, &e, 0), 0);
	assert_int_equal(sent_by(&w, 0, &w.node[0].at, 0), 0);
	e = endpoint_route(7);
	assert_int_equal(sent_by(&w, 0, &e, 0), 0);
	/* All of them unanswered, and the link is none the worse. */
	wire_write(&w, 0, 1, 1000);
	assert_true(wire_until(&w, wire_all_read, 1000));
	wire_clear(&w);
}

/* What is told to nobody on a route: an address; bulk waits there. */
static void
a_route_carries_words_and_no_bulk(void **state)
{
	struct wire w;

	(void)state;
	start(&w, 1);
	w.cut_direct = true;
	wire_add_route(&w, 0, 1, 20);
	wire_connect(&w, 0, 1);
	assert_true(wire_until(&w, wire_both_up, 2000));
	assert_int_equal(links_bulk_open(w.node[1].links, 0), ERR_OK);
	wire_write(&w, 1, 0, 10);
	wire_run(&w, 1000);
	wire_write_bulk(&w, 0, 1, 50000);
	wire_write(&w, 0, 1, 5000);
	wire_run(&w, 10000);
	assert_int_equal(w.node[0].bulk_written[1], 50000);
	assert_int_equal(w.node[1].bulk_read[0], 0);
	assert_int_equal(w.node[1].read[0], 5000);
	assert_int_equal(w.node[0].observed + w.node[1].observed, 0);
	w.cut_direct = false;
	probe(&w, 1, &w.node[0].at);
	assert_true(wire_until(&w, wire_all_read, 5000));
	assert_true(w.node[0].observed > 0 && w.node[1].observed > 0);
	/* Back on the route it waits again, and nothing of it is lost. */
	w.cut_direct = true;
	wire_write_bulk(&w, 0, 1, 200000);
	wire_write(&w, 0, 1, 5000);
	wire_run(&w, 10000);
	assert_true(on_route(&w, 0) && on_route(&w, 1));
	assert_int_equal(w.node[1].read[0], 10000);
	w.cut_direct = false;
	assert_true(wire_until(&w, wire_all_read, 60000));
	assert_int_equal(w.node[0].downs[1] + w.node[1].downs[0], 0);
	wire_clear(&w);
}

/* A path that takes a challenge and no full datagram. */
static void
a_hole_in_a_new_path_stops_nothing(void **state)
{
	static const size_t holes[] = { 1100, 1200, 1231, 1232, 1400 };
	struct wire w;

	(void)state;
	for (size_t i = 0; i < sizeof(holes) / sizeof(holes[0]); i++) {
		start(&w, i);
		w.cut_direct = true;
		wire_add_route(&w, 0, 1, 20);
		wire_connect(&w, 0, 1);
		assert_true(wire_until(&w, wire_both_up, 2000));
		w.cut_direct = false;
		w.hole = holes[i];
		probe(&w, 0, &w.node[1].at);
		wire_run(&w, 500);
		assert_false(on_route(&w, 0) || on_route(&w, 1));
		wire_write(&w, 0, 1, 200000);
		wire_write(&w, 1, 0, 200000);
		assert_true(wire_until(&w, wire_all_read, 20000));
		assert_false(on_route(&w, 0) || on_route(&w, 1));
		assert_int_equal(w.node[0].paths[1], 1);
		wire_clear(&w);
	}
}

/* The gateways see a packet in the third second of a path, then as ever. */
static void
a_new_path_is_kept_alive_early(void **state)
{
	struct wire w;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		uint64_t before, late = 0;

		start(&w, i);
		w.cut_direct = true;
		wire_add_route(&w, 0, 1, 20);
		wire_connect(&w, 0, 1);
		assert_true(wire_until(&w, wire_both_up, 2000));
		wire_run(&w, 10000);
		w.cut_direct = false;
		probe(&w, 0, &w.node[1].at);
		wire_run(&w, 1900);
		before = w.route[0].n;
		for (unsigned k = 0; k < 2; k++)
			late += w.node[k].sent;
		wire_run(&w, 1200);
		for (unsigned k = 0; k < 2; k++)
			late -= w.node[k].sent;
		assert_true(0 - late >= 2); /* PING, and its ACK */
		wire_run(&w, 60000);
		assert_int_equal(w.route[0].n, before);
		assert_int_equal(w.node[0].downs[1], 0);
		wire_clear(&w);
	}
}

/* A short cut: over the route, and back by itself. */
static void
a_dead_path_is_taken_again(void **state)
{
	struct wire w;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		start(&w, i);
		wire_add_route(&w, 0, 1, 20);
		wire_connect(&w, 0, 1);
		assert_true(wire_until(&w, wire_both_up, 2000));
		wire_run(&w, 5000);
		w.cut_direct = true;
		wire_write(&w, 0, 1, 1000);
		wire_write(&w, 1, 0, 1000);
		wire_run(&w, 4000);
		assert_true(on_route(&w, 0) && on_route(&w, 1));
		assert_int_equal(w.node[0].read[1], 1000);
		wire_run(&w, rng_below(&w.rng.rng, 30000));
		w.cut_direct = false;
		wire_run(&w, 33000);
		assert_false(on_route(&w, 0) || on_route(&w, 1));
		wire_clear(&w);
	}
}

static void
a_route_that_is_taken_away_is_left(void **state)
{
	struct wire w;

	(void)state;
	start(&w, 1);
	w.cut_direct = true;
	wire_add_route(&w, 0, 1, 20);
	wire_add_route(&w, 0, 1, 60);
	wire_connect(&w, 0, 1);
	assert_true(wire_until(&w, wire_both_up, 2000));
	wire_run(&w, 1000);
	w.route[0].cut = true;
	links_set_routes(
	    w.node[0].links, 1, &w.route[1].end[0], 1, wire_now(&w, 0));
	wire_write(&w, 0, 1, 1000);
	wire_write(&w, 1, 0, 1000);
	assert_true(wire_until(&w, wire_all_read, 2000));
	assert_true(on_route(&w, 0) && on_route(&w, 1));
	assert_int_equal(w.node[0].downs[1] + w.node[1].downs[0], 0);
	wire_clear(&w);
}

/* Who lost its memory is met again over the route that the other is on. */
static void
a_crash_is_survived_on_a_route(void **state)
{
	struct wire w;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		start(&w, i);
		w.cut_direct = true;
		wire_add_route(&w, 0, 1, 20);
		wire_connect(&w, 0, 1);
		assert_true(wire_until(&w, wire_both_up, 2000));
		wire_run(&w, 3000);
		wire_crash(&w, i % 2);
		wire_restart(&w, i % 2);
		wire_write(&w, 1 - i % 2, i % 2, 100);
		assert_true(wire_until(&w, wire_both_up, 5000));
		wire_write(&w, 1 - i % 2, i % 2, 100);
		assert_true(wire_until(&w, wire_all_read, 1000));
		wire_clear(&w);
	}
}

/* Where node 0 is with node 1. */
static struct endpoint
path_of_0(const struct wire *w)
{
	struct link_info info;

	assert_true(links_info(w->node[0].links, 1, &info) && info.up);
	return info.path;
}

static void
two_paths_and_a_route(struct wire *w, uint64_t seed)
{
	start(w, seed);
	w->delay_ms = 40;
	for (unsigned a = 0; a < 2; a++) {
		w->node[a].at_v6 = (struct endpoint){ .port = 7000 };
		w->node[a].at_v6.addr[0] = 0x20;
		w->node[a].at_v6.addr[15] = (uint8_t)(1 + a);
	}
	wire_add_route(w, 0, 1, 0);
	wire_connect(w, 0, 1);
	assert_true(wire_until(w, wire_both_up, 2000));
	wire_run(w, 2000);
	probe(w, 0, &w->node[1].at_v6);
	wire_run(w, 3000);
}

static void
write_both(struct wire *w)
{
	wire_write(w, 0, 1, 1000);
	wire_write(w, 1, 0, 1000);
	assert_true(wire_until(w, wire_all_read, 5000));
}

static void
the_spare_path_goes_before_a_route(void **state)
{
	struct wire w;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		struct endpoint at;

		two_paths_and_a_route(&w, i);
		w.cut_family[FAMILY_V4] = true;
		write_both(&w);
		at = path_of_0(&w);
		assert_true(endpoint_eq(&at, &w.node[1].at_v6));
		assert_int_equal(w.node[0].paths[1], 1);
		assert_int_equal(w.node[1].paths[0], 1);
		wire_clear(&w);
	}
}

static void
a_spare_path_that_died_too_is_not_taken(void **state)
{
	struct wire w;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		two_paths_and_a_route(&w, i);
		w.cut_direct = true;
		write_both(&w);
		assert_true(on_route(&w, 0) && on_route(&w, 1));
		assert_int_equal(w.node[0].paths[1], 1);
		assert_int_equal(w.node[1].paths[0], 1);
		wire_clear(&w);
	}
}

/* ---- what an observer sees ---- */

enum { SEEN_MAX = 64 };

struct seen {
	uint32_t index[SEEN_MAX];
	unsigned n;
};

static struct seen seen[2]; /* of node 0, to IPv4, to IPv6 */

static bool
look_at_indices(struct wire *w, struct wire_datagram *d)
{
	struct reader r = rd_init(span_of(d->b, d->n));
	struct seen *s = &seen[endpoint_family(&d->to)];
	uint32_t index = rd_u32le(&r);
	unsigned i = 0;

	if (endpoint_is_route(&d->to, NULL) || d->n == PACKET_MESSAGE_1_SIZE ||
	    !(endpoint_eq(&d->from, &w->node[0].at) ||
	        endpoint_eq(&d->from, &w->node[0].at_v6)))
		return true;
	while (i < s->n && s->index[i] != index)
		i++;
	assert_true(i < SEEN_MAX);
	s->index[i] = index;
	if (i == s->n)
		s->n++;
	return true;
}

/* No field of a header joins what is sent on two paths; and the keys are new
 * soon after a move. */
static void
a_move_shows_no_number_of_before(void **state)
{
	struct link_info before, after;
	struct wire w;

	(void)state;
	memset(seen, 0, sizeof(seen));
	two_paths_and_a_route(&w, 1);
	assert_true(links_info(w.node[0].links, 1, &before));
	w.tap = look_at_indices;
	write_both(&w);
	w.cut_family[FAMILY_V4] = true;
	write_both(&w);
	wire_run(&w, 12000);
	write_both(&w);
	assert_true(seen[FAMILY_V4].n > 0 && seen[FAMILY_V6].n > 1);
	for (unsigned i = 0; i < seen[0].n; i++)
		for (unsigned k = 0; k < seen[1].n; k++)
			assert_int_not_equal(
			    seen[0].index[i], seen[1].index[k]);
	assert_true(links_info(w.node[0].links, 1, &after));
	assert_true(after.rekeys > before.rekeys);
	wire_clear(&w);
}

/* ---- hostile ---- */

/* Somebody between the two, who copies every datagram and is faster with it,
 * from an address of his own; he passes on what is sent to him. The path is
 * never his, as long as it lives. */
struct copyist {
	struct endpoint own;
	bool deaf; /* he keeps what comes */
	unsigned copied, asked;
};

static bool
copy_first(struct wire *w, struct wire_datagram *d)
{
	struct copyist *m = w->tap_ctx;
	bool real = endpoint_eq(&d->to, &w->node[0].at) &&
	            endpoint_eq(&d->from, &w->node[1].at);

	if (endpoint_eq(&d->to, &m->own)) { /* on to the peer, as from us */
		d->to = w->node[1].at;
		m->asked++;
		return !m->deaf;
	}
	if (!real)
		return true;
	/* The copy goes first; the real one a little later. */
	w->tap = NULL;
	w->delay_ms -= 5;
	wire_send(w, &m->own, &d->to, span_of(d->b, d->n));
	w->delay_ms += 5;
	w->tap = copy_first;
	m->copied++;
	return true;
}

/* Ten minutes of talk; how often of 6000 looks the path was his. */
static unsigned
talk_past(struct wire *w, struct copyist *m, uint32_t loss)
{
	static const uint8_t addr[4] = { 203, 0, 113, 66 };
	unsigned his = 0;

	m->own = endpoint_v4(addr, 6666);
	w->delay_ms = 20;
	wire_connect(w, 0, 1);
	assert_true(wire_until(w, wire_both_up, 1000));
	wire_run(w, 5000);
	w->loss = loss;
	w->tap_ctx = m;
	w->tap = copy_first;
	for (unsigned i = 0; i < 6000; i++) {
		struct endpoint at = path_of_0(w);

		wire_write(w, 1, 0, 100);
		if (i % 3 == 0)
			wire_write(w, 0, 1, 100);
		wire_run(w, 100);
		his += endpoint_eq(&at, &m->own);
	}
	w->loss = 0;
	assert_true(wire_until(w, wire_all_read, 10000));
	assert_true(m->copied > 6000);
	return his;
}

static void
hostile_18_a_faster_copy_never_moves_a_living_path(void **state)
{
	static const uint32_t losses[] = { 0, 1, 5 };

	(void)state;
	for (unsigned k = 0; k < 6; k++) {
		struct copyist m = { .deaf = k >= 3 };
		struct wire w;
		unsigned his;

		start(&w, k);
		his = talk_past(&w, &m, losses[k % 3]);
		printf("%u %% lost, %s: %u copies in 600 s, %u datagrams to "
		       "him, his %u times of 6000, %u moves\n",
		    losses[k % 3], m.deaf ? "deaf" : "passing", m.copied,
		    m.asked, his, w.node[0].paths[1]);
		assert_true(his == 0 || (losses[k % 3] > 0 && !m.deaf));
		/* Who does not answer is asked ever more seldom. */
		assert_true(!m.deaf || m.asked < 120);
		wire_clear(&w);
	}
}

enum { VICTIM = 0, ENEMY = 1 };

static void
raw_start(struct wire *w, struct raw *r)
{
	wire_init(w, first_seed, 3);
	wire_befriend(w, VICTIM, ENEMY);
	raw_init(r, w, ENEMY, VICTIM);
	assert_true(raw_up(r));
	wire_run(w, 5000);
}

static void
respond(struct raw *r, const uint8_t data[FRAME_PATH_SIZE],
    const struct endpoint *from)
{
	uint8_t buf[64];
	struct writer b = wr_init(buf, sizeof(buf));

	frame_write_path(&b, FRAME_PATH_RESPONSE, data);
	raw_send_as(r, wr_span_of(&b), r->next++, from);
}

static void
say_from(struct raw *r, const struct endpoint *from)
{
	static const uint8_t news[] = { FRAME_MAX_DATA, 1 };

	raw_send_as(r, span_of(news, 2), r->next++, from);
}

/* The challenge in the last packet, which went there. */
static void
challenge_of(
    struct raw *r, const struct endpoint *to, uint8_t ret[FRAME_PATH_SIZE])
{
	struct reader rd = rd_init(r->frames);
	struct frame f;

	assert_true(endpoint_eq(&r->last_to, to));
	assert_int_equal(frame_decode(&rd, &f), ERR_OK);
	assert_int_equal(f.type, FRAME_PATH_CHALLENGE);
	memcpy(ret, f.path, FRAME_PATH_SIZE);
}

static void
keep_up(struct wire *w, struct raw *r, unsigned s)
{
	for (unsigned i = 0; i < s; i++) {
		say_from(r, &r->at);
		wire_run(w, 1000);
	}
}

static bool
has_spare(const struct wire *w)
{
	struct link_info info;

	assert_true(links_info(w->node[VICTIM].links, ENEMY, &info));
	assert_true(info.up);
	assert_true(endpoint_eq(&info.path, &w->node[ENEMY].at));
	return info.has_spare;
}

static void
a_response_proves_its_own_source_only(void **state)
{
	uint8_t data[FRAME_PATH_SIZE], wrong[FRAME_PATH_SIZE];
	struct endpoint there, other;
	struct wire w;
	struct raw r;

	(void)state;
	raw_start(&w, &r);
	there = other = w.node[2].at;
	other.port++;
	say_from(&r, &there);
	challenge_of(&r, &there, data);
	/* From elsewhere; other bits; in the name of the path. */
	respond(&r, data, &other);
	assert_false(has_spare(&w));
	for (unsigned bit = 0; bit < 64; bit++) {
		memcpy(wrong, data, sizeof(wrong));
		wrong[bit / 8] ^= (uint8_t)(1 << bit % 8);
		respond(&r, wrong, &there);
		assert_false(has_spare(&w));
	}
	respond(&r, data, &r.at);
	assert_false(has_spare(&w));
	/* A minute later it is worth nothing. */
	keep_up(&w, &r, 20);
	respond(&r, data, &there);
	assert_true(has_spare(&w)); /* it was in time */
	raw_clear(&r);
	wire_clear(&w);
	raw_start(&w, &r);
	say_from(&r, &there);
	challenge_of(&r, &there, data);
	keep_up(&w, &r, 60);
	respond(&r, data, &there);
	assert_false(has_spare(&w));
	raw_clear(&r);
	wire_clear(&w);
}

/* Nobody is made to send to himself, nor to what is no address. */
static void
forged_sources_are_not_answered(void **state)
{
	static const uint8_t bad[][4] = { { 224, 0, 0, 1 }, { 127, 0, 0, 1 },
		{ 0, 0, 0, 1 }, { 255, 255, 255, 255 } };
	static const uint8_t ask[] = { FRAME_PATH_CHALLENGE, 1, 2, 3, 4, 5, 6,
		7, 8 };
	struct endpoint from[6];
	struct wire w;
	struct raw r;

	(void)state;
	raw_start(&w, &r);
	for (unsigned i = 0; i < 4; i++)
		from[i] = endpoint_v4(bad[i], 4000);
	from[4] = w.node[VICTIM].at;
	from[5] = w.node[2].at;
	from[5].port = 0;
	for (unsigned i = 0; i < 6; i++) {
		raw_send_as(&r, span_of(ask, sizeof(ask)), r.next++, &from[i]);
		assert_true(r.n_in == 0 || endpoint_eq(&r.last_to, &r.at));
	}
	raw_clear(&r);
	wire_clear(&w);
}

static uint64_t strangers; /* bytes to addresses that proved nothing */

static void
count_strangers(struct raw *r, const struct endpoint *to, size_t n)
{
	if (!endpoint_eq(to, &r->at))
		strangers += n;
}

/* A flood of sources: a few are asked, and none gets more than it sent. */
static void
a_flood_of_sources_is_asked_little(void **state)
{
	struct wire w;
	struct raw r;

	(void)state;
	raw_start(&w, &r);
	strangers = 0;
	r.seen = count_strangers;
	for (unsigned i = 0; i < 10000; i++) {
		struct endpoint e = w.node[2].at;

		e.addr[14] = (uint8_t)(i >> 8);
		e.addr[15] = (uint8_t)i;
		say_from(&r, &e);
		wire_run(&w, 1);
	}
	printf("10000 sources in 10 s: %u B to them of %u that came\n",
	    (unsigned)strangers, 10000U * 92);
	assert_true(strangers <= 92 * (8 + 10 * 8));
	assert_true(w.node[VICTIM].up[ENEMY]);
	raw_clear(&r);
	wire_clear(&w);
}

/* Answers what the last packet asks, if it went there. */
static void
answer_at(struct raw *r, const struct endpoint *at)
{
	struct reader rd = rd_init(r->frames);
	struct frame f;

	if (r->n_in > 0 && endpoint_eq(&r->last_to, at) &&
	    frame_decode(&rd, &f) == ERR_OK && f.type == FRAME_PATH_CHALLENGE)
		respond(r, f.path, at);
}

/* A contact that is ever elsewhere makes us move with it, but it costs us
 * little: a move a second at most, keys every ten. */
static void
a_restless_contact_costs_little(void **state)
{
	uint64_t moved_ms = 0;
	unsigned calls = 0;
	struct wire w;
	struct raw r;

	(void)state;
	raw_start(&w, &r);
	for (unsigned i = 0; i < 60000 / 20; i++) {
		struct endpoint at = w.node[2].at;
		unsigned before = w.node[VICTIM].paths[ENEMY];

		at.port = (uint16_t)(2000 + i / 15);
		say_from(&r, &at);
		answer_at(&r, &at);
		r.n_in = 0;
		wire_run(&w, 20);
		answer_at(&r, &at);
		calls += r.has_call;
		r.has_call = false;
		if (w.node[VICTIM].paths[ENEMY] == before)
			continue;
		assert_int_equal(w.node[VICTIM].paths[ENEMY], before + 1);
		assert_true(w.now.mono_ms - moved_ms >= 980);
		moved_ms = w.now.mono_ms;
	}
	printf("%u moves, %u messages 1 in 60 s\n", w.node[VICTIM].paths[ENEMY],
	    calls);
	assert_true(w.node[VICTIM].up[ENEMY]);
	assert_true(w.node[VICTIM].paths[ENEMY] <= 61);
	assert_true(calls <= 7 * 6);
	raw_clear(&r);
	wire_clear(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_comes_up_on_a_route),
		cmocka_unit_test(an_open_peer_is_reached_directly_at_once),
		cmocka_unit_test(only_the_owner_makes_a_route),
		cmocka_unit_test(a_probe_is_one_datagram),
		cmocka_unit_test(a_route_carries_words_and_no_bulk),
		cmocka_unit_test(a_hole_in_a_new_path_stops_nothing),
		cmocka_unit_test(a_new_path_is_kept_alive_early),
		cmocka_unit_test(a_dead_path_is_taken_again),
		cmocka_unit_test(a_route_that_is_taken_away_is_left),
		cmocka_unit_test(a_crash_is_survived_on_a_route),
		cmocka_unit_test(the_spare_path_goes_before_a_route),
		cmocka_unit_test(a_spare_path_that_died_too_is_not_taken),
		cmocka_unit_test(a_move_shows_no_number_of_before),
		cmocka_unit_test(
		    hostile_18_a_faster_copy_never_moves_a_living_path),
		cmocka_unit_test(a_response_proves_its_own_source_only),
		cmocka_unit_test(forged_sources_are_not_answered),
		cmocka_unit_test(a_flood_of_sources_is_asked_little),
		cmocka_unit_test(a_restless_contact_costs_little),
	};

	first_seed = test_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
