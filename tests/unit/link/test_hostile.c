/*
 * A hostile contact: it has the keys and says what it likes. The answer is a
 * CONNECTION_CLOSE with a code and an event, never a crash and never more
 * memory. Numbers are those of the list of hostile inputs.
 */
#include "proto/crypto/kdf.h"
#include "proto/link/link.h"
#include "proto/link/session.h"
#include "tests/support/link_raw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { VICTIM = 0, ENEMY = 1 };

static void
start(struct wire *w, struct raw *r)
{
	wire_init(w, test_seed(1), 3);
	wire_befriend(w, VICTIM, ENEMY);
	raw_init(r, w, ENEMY, VICTIM);
	assert_true(raw_up(r));
}

static void
stop(struct wire *w, struct raw *r)
{
	raw_clear(r);
	wire_clear(w);
}

/* The stream that the enemy sends on. */
static uint64_t
stream_of_enemy(const struct wire *w)
{
	return id_cmp(&w->node[ENEMY].id, &w->node[VICTIM].id) < 0 ? 2 : 3;
}

/* These frames close the session with this code, and say so to the owner. */
static void
closes(struct span frames, uint64_t code)
{
	struct wire w;
	struct raw r;
	uint64_t got = UINT64_MAX;

	start(&w, &r);
	raw_send(&r, frames);
	assert_true(raw_closed(&r, &got));
	assert_int_equal(got, code);
	assert_int_equal(w.node[VICTIM].refused[ENEMY], 1);
	assert_int_equal(w.node[VICTIM].downs[ENEMY], 1);
	/* The keys are gone: nothing more comes for anything. */
	raw_send(&r, frames);
	assert_int_equal(r.n_in, 0);
	stop(&w, &r);
}

static void
closes_w(const struct writer *w, uint64_t code)
{
	assert_false(w->bad);
	closes(wr_span_of(w), code);
}

static void
hostile_21_unknown_frames_close(void **state)
{
	static const uint8_t types[] = { 0x03, 0x06, 0x07, 0x14, 0x15, 0x16,
		0x17, 0x18, 0x19, 0x1d, 0x1e, 0x1f, 0x30, 0x31, 0x39, 0x3d,
		0x3e, 0x3f, 0x40, 0x80, 0xc0, 0xff };

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		uint8_t b[16] = { types[i], 1, 1, 1, 1, 1, 1, 1, 1 };

		closes(span_of(b, sizeof(b)), CLOSE_FRAME_ENCODING);
	}
}

static void
hostile_21_bad_lengths_close(void **state)
{
	/* STREAM with a length past the end; a long form of a short number;
	 * CONNECTION_CLOSE with a reason past the end. */
	static const uint8_t past[64] = { 0x0a, 0x03, 0x40, 0x80 };
	static const uint8_t longer[64] = { 0x10, 0x40, 0x05 };
	static const uint8_t reason[64] = { 0x1c, 0x00, 0x00, 0x7f, 0xff };
	static const uint8_t hello[64] = { 0x3a, 0x05 };

	(void)state;
	closes(span_of(past, sizeof(past)), CLOSE_FRAME_ENCODING);
	closes(span_of(longer, sizeof(longer)), CLOSE_FRAME_ENCODING);
	closes(span_of(reason, sizeof(reason)), CLOSE_FRAME_ENCODING);
	closes(span_of(hello, sizeof(hello)), CLOSE_FRAME_ENCODING);
}

static void
hostile_21_too_many_frames_close(void **state)
{
	uint8_t b[1024];

	(void)state;
	memset(b, FRAME_PING, sizeof(b));
	closes(span_of(b, sizeof(b)), CLOSE_PROTOCOL);
}

static void
hostile_22_data_over_the_window_closes(void **state)
{
	uint8_t buf[128];
	struct wire w;
	struct raw r;
	uint64_t stream;

	(void)state;
	start(&w, &r);
	stream = stream_of_enemy(&w);
	stop(&w, &r);
	for (unsigned i = 0; i < 2; i++) {
		struct writer b = wr_init(buf, sizeof(buf));
		uint64_t far[2] = { LINK_STREAM_WINDOW,
			(UINT64_C(1) << 62) - 100 };

		frame_write_stream(&b, stream, far[i], 1);
		wr_u8(&b, 'x');
		closes_w(&b, CLOSE_FLOW_CONTROL);
	}
}

static void
hostile_22_other_bytes_at_the_same_place_close(void **state)
{
	uint8_t buf[128];
	struct writer b = wr_init(buf, sizeof(buf));
	uint64_t code = 0, stream;
	struct wire w;
	struct raw r;

	(void)state;
	start(&w, &r);
	stream = stream_of_enemy(&w);
	frame_write_stream(&b, stream, 10, 3);
	wr_bytes(&b, "abc", 3);
	frame_write_stream(&b, stream, 11, 3);
	wr_bytes(&b, "bcd", 3);
	raw_send(&r, wr_span_of(&b));
	assert_false(raw_closed(&r, &code)); /* the same bytes are fine */
	b = wr_init(buf, sizeof(buf));
	frame_write_stream(&b, stream, 12, 2);
	wr_bytes(&b, "cX", 2);
	raw_send(&r, wr_span_of(&b));
	assert_true(raw_closed(&r, &code));
	assert_int_equal(code, CLOSE_PROTOCOL);
	stop(&w, &r);
}

static void
hostile_22_gaps_without_end_close(void **state)
{
	struct wire w;
	struct raw r;
	uint64_t code = 0;
	unsigned i;

	(void)state;
	start(&w, &r);
	for (i = 0; i < 100000 && w.node[VICTIM].up[ENEMY]; i++) {
		uint8_t buf[64];
		struct writer b = wr_init(buf, sizeof(buf));

		frame_write_stream(
		    &b, stream_of_enemy(&w), 2 + 2 * (i % 100000), 1);
		wr_u8(&b, 'x');
		raw_send(&r, wr_span_of(&b));
	}
	assert_true(raw_closed(&r, &code));
	assert_int_equal(code, CLOSE_PROTOCOL);
	assert_true(i < 10000);
	stop(&w, &r);
}

static void
hostile_22_final_sizes_must_agree(void **state)
{
	uint8_t buf[128];
	struct writer b = wr_init(buf, sizeof(buf));
	struct wire w;
	struct raw r;
	uint8_t stream;

	(void)state;
	start(&w, &r);
	stream = (uint8_t)stream_of_enemy(&w);
	stop(&w, &r);
	frame_write_stream(&b, stream, 10, 3);
	wr_bytes(&b, "abc", 3);
	wr_u8(&b, FRAME_RESET_STREAM); /* ends before what was sent */
	wr_varint(&b, stream);
	wr_varint(&b, 0);
	wr_varint(&b, 5);
	closes_w(&b, CLOSE_FINAL_SIZE);
	b = wr_init(buf, sizeof(buf));
	wr_u8(&b, FRAME_STREAM | 7); /* with FIN at 3 */
	wr_varint(&b, stream);
	wr_varint(&b, 0);
	wr_varint(&b, 3);
	wr_bytes(&b, "abc", 3);
	frame_write_stream(&b, stream, 3, 1); /* and a byte behind it */
	wr_u8(&b, 'd');
	closes_w(&b, CLOSE_FINAL_SIZE);
}

static void
hostile_23_an_ack_of_what_was_never_sent_closes(void **state)
{
	uint8_t buf[64];
	struct writer b = wr_init(buf, sizeof(buf));
	struct ranges ack = { 0 };

	(void)state;
	assert_int_equal(ranges_add(&ack, 0, 1000), ERR_OK);
	frame_write_ack(&b, &ack, 0);
	closes_w(&b, CLOSE_OPTIMISTIC_ACK);
}

/* Acknowledges everything up to the last number that came: sooner or later a
 * left-out one is among them. */
static void
hostile_23_an_ack_of_a_skipped_number_closes(void **state)
{
	struct wire w;
	struct raw r;
	uint64_t code = 0, top = 0;
	unsigned i;

	(void)state;
	start(&w, &r);
	for (i = 0; i < 600 && w.node[VICTIM].up[ENEMY]; i++) {
		uint8_t buf[64];
		struct writer b = wr_init(buf, sizeof(buf));
		struct ranges ack = { 0 };

		wr_u8(&b, FRAME_PING);
		if (r.n_in > 0)
			top = r.number;
		assert_int_equal(ranges_add(&ack, 0, top + 1), ERR_OK);
		frame_write_ack(&b, &ack, 0);
		raw_send(&r, wr_span_of(&b));
	}
	assert_true(raw_closed(&r, &code));
	assert_int_equal(code, CLOSE_OPTIMISTIC_ACK);
	stop(&w, &r);
}

static void
hostile_23_an_ack_of_too_many_ranges_closes(void **state)
{
	uint8_t buf[1024];
	struct writer b = wr_init(buf, sizeof(buf));

	(void)state;
	wr_u8(&b, FRAME_ACK);
	wr_varint(&b, 200);
	wr_varint(&b, 0);
	wr_varint(&b, 65535);
	closes_w(&b, CLOSE_PROTOCOL);
	b = wr_init(buf, sizeof(buf)); /* 33 real ones */
	wr_u8(&b, FRAME_ACK);
	wr_varint(&b, 200);
	wr_varint(&b, 0);
	wr_varint(&b, 32);
	for (unsigned i = 0; i < 65; i++)
		wr_u8(&b, 0);
	closes_w(&b, CLOSE_PROTOCOL);
}

/* The first of a million streams closes; none is ever made. */
static void
hostile_24_other_streams_close(void **state)
{
	const uint64_t ids[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1 << 20,
		4000000, (UINT64_C(1) << 62) - 1 };
	struct wire w;
	struct raw r;
	uint64_t theirs;

	(void)state;
	start(&w, &r);
	theirs = stream_of_enemy(&w);
	stop(&w, &r);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		uint64_t id = ids[i];
		uint8_t buf[64];
		struct writer b = wr_init(buf, sizeof(buf));

		if (id == theirs)
			continue;
		/* Bulk that nobody has allowed is over the limit. */
		frame_write_stream(&b, id, 0, 1);
		wr_u8(&b, 'x');
		closes_w(&b, id == theirs + 4 ? CLOSE_FLOW_CONTROL
		             : id == 5 - theirs || id == 9 - theirs
		                 ? CLOSE_STREAM_STATE
		                 : CLOSE_STREAM_LIMIT);
	}
}

static void
resets_and_stops_close(void **state)
{
	uint8_t buf[64];
	struct wire w;
	struct raw r;
	uint64_t theirs;
	struct writer b = wr_init(buf, sizeof(buf));

	(void)state;
	start(&w, &r);
	theirs = stream_of_enemy(&w);
	stop(&w, &r);
	wr_u8(&b, FRAME_RESET_STREAM);
	wr_varint(&b, theirs);
	wr_varint(&b, 0);
	wr_varint(&b, 5);
	closes_w(&b, CLOSE_PROTOCOL);
	b = wr_init(buf, sizeof(buf));
	wr_u8(&b, FRAME_STOP_SENDING);
	wr_varint(&b, 5 - theirs);
	wr_varint(&b, 0);
	closes_w(&b, CLOSE_PROTOCOL);
}

/* Everything before HELLO but the harmless waits for it, unacknowledged. */
static void
nothing_counts_before_hello(void **state)
{
	uint8_t buf[512];
	struct writer b = wr_init(buf, sizeof(buf));
	struct wire w;
	struct raw r;

	(void)state;
	wire_init(&w, test_seed(1), 2);
	wire_befriend(&w, VICTIM, ENEMY);
	raw_init(&r, &w, ENEMY, VICTIM);
	assert_true(raw_shake(&r));
	frame_write_max_data(&b, 1 << 21);
	raw_send(&r, wr_span_of(&b));
	wire_run(&w, 1000);
	assert_int_equal(r.n_in, 0);
	assert_false(w.node[VICTIM].up[ENEMY]);
	b = wr_init(buf, sizeof(buf));
	raw_hello(&r, &b);
	raw_send(&r, wr_span_of(&b));
	assert_true(w.node[VICTIM].up[ENEMY]);
	stop(&w, &r);
}

static void
hostile_17_counters_are_taken_once(void **state)
{
	static const uint8_t ping[] = { FRAME_PING };
	struct span p = span_of(ping, sizeof(ping));
	struct link_stats before, after;
	struct wire w;
	struct raw r;
	uint64_t far = UINT64_C(1) << 40, dropped[5], now;
	const uint64_t counter[5] = { 0, UINT64_C(1) << 60, far, far,
		far - 4096 };

	(void)state;
	start(&w, &r);
	links_stats(w.node[VICTIM].links, &before);
	for (unsigned i = 0; i < 5; i++) {
		raw_send_as(&r, p, counter[i], &r.at);
		links_stats(w.node[VICTIM].links, &after);
		now = after.n_dropped;
		dropped[i] = now - before.n_dropped;
		before = after;
	}
	assert_int_equal(dropped[0], 1); /* used by HELLO */
	assert_int_equal(dropped[1], 1); /* refused for ever */
	assert_int_equal(dropped[2], 0); /* far ahead: once */
	assert_int_equal(dropped[3], 1);
	assert_int_equal(dropped[4], 1); /* below the window */
	stop(&w, &r);
}

/* Somebody is faster with a copy from his own address: he gets a challenge,
 * not the traffic. */
static void
hostile_18_a_hijacker_gets_a_challenge_only(void **state)
{
	static const uint8_t news[] = { FRAME_MAX_DATA, 1 };
	struct link_info info;
	struct frame f;
	struct reader rd;
	struct wire w;
	struct raw r;
	size_t bytes = 0;

	(void)state;
	start(&w, &r);
	raw_send_as(&r, span_of(news, 2), r.next++, &w.node[2].at);
	assert_true(r.n_in >= 1 && endpoint_eq(&r.last_to, &w.node[2].at));
	rd = rd_init(r.frames);
	assert_int_equal(frame_decode(&rd, &f), ERR_OK);
	assert_int_equal(f.type, FRAME_PATH_CHALLENGE);
	bytes = r.bytes_in;
	assert_true(bytes <= 3 * 92);
	assert_true(links_info(w.node[VICTIM].links, ENEMY, &info));
	assert_true(endpoint_eq(&info.path, &w.node[ENEMY].at));
	r.n_in = 0;
	wire_write(&w, VICTIM, ENEMY, 100);
	assert_true(r.n_in == 1 && endpoint_eq(&r.last_to, &r.at));
	assert_int_equal(w.node[VICTIM].paths[ENEMY], 0);
	stop(&w, &r);
}

static uint64_t elsewhere; /* bytes to node 2 */

static void
count_elsewhere(struct raw *r, const struct endpoint *to, size_t n)
{
	if (endpoint_eq(to, &r->w->node[2].at))
		elsewhere += n;
}

/* He asks for an answer as well: both together are not more than three times
 * what he sent. Found by fuzz_session. */
static void
hostile_18_a_hijacker_draws_three_times_his_bytes(void **state)
{
	uint8_t buf[64];
	struct writer b = wr_init(buf, sizeof(buf));
	static const uint8_t data[FRAME_PATH_SIZE] = { 1 };
	struct wire w;
	struct raw r;

	(void)state;
	start(&w, &r);
	elsewhere = 0;
	r.seen = count_elsewhere;
	frame_write_path(&b, FRAME_PATH_CHALLENGE, data);
	raw_send_as(&r, wr_span_of(&b), r.next++, &w.node[2].at);
	assert_int_equal(r.n_in, 2);
	wire_run(&w, 20000);
	assert_in_range(elsewhere, 2 * 92, 3 * 92);
	stop(&w, &r);
}

static void
path_after_response(struct raw *r, struct wire *w)
{
	uint8_t buf[64];
	struct writer b = wr_init(buf, sizeof(buf));
	struct reader rd = rd_init(r->frames);
	struct frame f;

	assert_int_equal(frame_decode(&rd, &f), ERR_OK);
	frame_write_path(&b, FRAME_PATH_RESPONSE, f.path);
	raw_send_as(r, wr_span_of(&b), r->next++, &w->node[2].at);
}

/* Not at once: the path it has may answer, too. */
static void
a_proven_address_is_taken_if_the_path_is_silent(void **state)
{
	static const uint8_t news[] = { FRAME_MAX_DATA, 1 };
	struct link_info info;
	struct wire w;
	struct raw r;

	(void)state;
	start(&w, &r);
	raw_send_as(&r, span_of(news, 2), r.next++, &w.node[2].at);
	path_after_response(&r, &w);
	assert_true(links_info(w.node[VICTIM].links, ENEMY, &info));
	assert_true(endpoint_eq(&info.path, &w.node[ENEMY].at));
	assert_true(info.has_spare);
	assert_true(endpoint_eq(&info.spare, &w.node[2].at));
	wire_run(&w, 1200); /* a young path is kept for a second */
	assert_true(links_info(w.node[VICTIM].links, ENEMY, &info));
	assert_true(endpoint_eq(&info.path, &w.node[2].at));
	assert_int_equal(w.node[VICTIM].paths[ENEMY], 1);
	stop(&w, &r);
}

/* The index of a packet to the victim, which everybody on the way sees. */
static bool
tap_index(struct wire *w, struct wire_datagram *d)
{
	uint8_t *index = w->tap_ctx;

	if (endpoint_eq(&d->to, &w->node[VICTIM].at))
		memcpy(index, d->b, 4);
	return true;
}

static void
forge(struct wire *w, const uint8_t index[4], unsigned n)
{
	uint8_t b[PACKET_OVERHEAD + PACKET_PLAIN_MIN] = { 0 };

	memcpy(b, index, 4);
	for (unsigned i = 0; i < n; i++) {
		memcpy(b + 4, &i, sizeof(i));
		links_receive(w->node[VICTIM].links, &w->node[ENEMY].at,
		    span_of(b, sizeof(b)), wire_now(w, VICTIM));
	}
	links_flush(w->node[VICTIM].links, wire_now(w, VICTIM));
	wire_drain(w, VICTIM);
}

static uint32_t
renewals(const struct wire *w)
{
	struct link_info info;

	assert_true(links_info(w->node[VICTIM].links, ENEMY, &info));
	assert_true(info.up);
	return info.rekeys;
}

static void
hostile_19_what_does_not_open_renews_the_key(void **state)
{
	uint8_t index[4], before[4];
	struct wire w;

	(void)state;
	wire_init(&w, test_seed(1), 2);
	wire_befriend(&w, VICTIM, ENEMY);
	wire_connect(&w, VICTIM, ENEMY);
	assert_true(wire_until(&w, wire_both_up, 1000));
	w.tap = tap_index;
	w.tap_ctx = index;
	wire_write(&w, ENEMY, VICTIM, 1000);
	wire_run(&w, 11000);
	memcpy(before, index, sizeof(index));
	forge(&w, index, SESSION_FORGED_MAX - 1); /* none is a replay */
	wire_run(&w, 1000);
	assert_int_equal(renewals(&w), 0);
	forge(&w, index, 1);
	wire_run(&w, 100);
	assert_int_equal(renewals(&w), 1);
	wire_write(&w, ENEMY, VICTIM, 1000);
	wire_write(&w, VICTIM, ENEMY, 1000);
	assert_true(wire_until(&w, wire_all_read, 1000));
	assert_memory_not_equal(before, index, sizeof(index));
	forge(&w, before, 1000); /* it is nobody's soon */
	wire_run(&w, 100000);
	assert_int_equal(renewals(&w), 1);
	assert_int_equal(w.node[VICTIM].downs[ENEMY], 0);
	assert_int_equal(w.node[ENEMY].downs[VICTIM], 0);
	wire_clear(&w);
}

/* ---- HELLO ---- */

struct lie {
	bool other_id, other_s, expired, bent, own_id;
};

/* A HELLO that does not fit this handshake, or this contact. */
static void
lies(const struct lie *lie)
{
	uint8_t buf[512];
	struct writer b = wr_init(buf, sizeof(buf));
	struct cert cert = { .gen = 1 };
	struct wire_node *n;
	uint64_t code = 0;
	struct wire w;
	struct raw r;

	wire_init(&w, test_seed(1), 3);
	wire_befriend(&w, VICTIM, ENEMY);
	raw_init(&r, &w, ENEMY, VICTIM);
	assert_true(raw_shake(&r));
	n = &w.node[ENEMY];
	cert.s = lie->other_s ? w.node[2].self.s[0].pk : n->self.s[0].pk;
	cert.not_before_s = w.now.wall_ms / 1000 - 1000;
	cert.not_after_s = w.now.wall_ms / 1000 + 1000;
	if (lie->expired)
		cert.not_after_s -= 1500;
	cert_sign(
	    lie->other_id ? &w.node[2].sk : &n->sk, &cert, &n->self.s[0].cert);
	if (lie->bent)
		n->self.s[0].cert.b[100] ^= 1;
	if (lie->other_id)
		n->id = w.node[2].id;
	if (lie->own_id)
		n->id = w.node[VICTIM].id;
	raw_hello(&r, &b);
	raw_send(&r, wr_span_of(&b));
	assert_true(raw_closed(&r, &code));
	assert_int_equal(code, CLOSE_HELLO);
	assert_int_equal(w.node[VICTIM].refused[ENEMY], 1);
	assert_int_equal(w.node[VICTIM].ups[ENEMY], 0);
	assert_int_equal(w.node[VICTIM].downs[ENEMY], 0);
	stop(&w, &r);
}

static void
hostile_28_a_hello_that_does_not_fit_closes(void **state)
{
	const struct lie all[] = { { .other_id = true }, { .other_s = true },
		{ .expired = true }, { .bent = true }, { .own_id = true } };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		lies(&all[i]);
}

/* A longer HELLO is one of a later version. */
static void
a_longer_hello_is_taken(void **state)
{
	uint8_t buf[512], body[300] = { 0 };
	struct writer b = wr_init(buf, sizeof(buf));
	struct wire w;
	struct raw r;

	(void)state;
	wire_init(&w, test_seed(1), 2);
	wire_befriend(&w, VICTIM, ENEMY);
	raw_init(&r, &w, ENEMY, VICTIM);
	assert_true(raw_shake(&r));
	raw_hello(&r, &b);
	memcpy(body, buf + 3, FRAME_HELLO_SIZE);
	b = wr_init(buf, sizeof(buf));
	wr_u8(&b, FRAME_HELLO);
	wr_varint(&b, sizeof(body));
	wr_bytes(&b, body, sizeof(body));
	raw_send(&r, wr_span_of(&b));
	assert_true(w.node[VICTIM].up[ENEMY]);
	stop(&w, &r);
}

/* Another instance under new keys is another link; the same one goes on. */
static void
an_instance_names_a_link(void **state)
{
	struct wire w;
	struct raw r;

	(void)state;
	start(&w, &r);
	wire_run(&w, 1000);
	assert_true(raw_up(&r));
	assert_int_equal(w.node[VICTIM].ups[ENEMY], 1);
	wire_run(&w, 1000);
	r.instance[0] ^= 1;
	assert_true(raw_up(&r));
	assert_int_equal(w.node[VICTIM].ups[ENEMY], 2);
	assert_int_equal(w.node[VICTIM].downs[ENEMY], 1);
	stop(&w, &r);
}

/* ---- invitations ---- */

/* Shakes hands under the invitation that node 0 gave out as peer 1. */
static bool
shake_invited(struct raw *r, const struct link_peer *inv)
{
	static const struct id_pk nobody;
	struct wire *w = r->w;
	struct raw_m1 m = raw_m1_of(w, r->as, VICTIM);
	struct handshake_try keys = { .id_i = &nobody };
	struct handshake_payload_2 payload;
	uint8_t out[PACKET_MESSAGE_1_SIZE];
	struct handshake_attempt a;

	m.reach = inv->reach;
	m.cur = inv->rk0;
	m.prev = inv->rk0;
	m.flags = HANDSHAKE_INVITE;
	raw_m1_seal(w, &m, out, &a);
	w->tap_ctx = r;
	wire_inject(w, VICTIM, &r->at, span_of(out, sizeof(out)));
	keys.id_r = &w->node[VICTIM].id;
	keys.rk[KEY_CUR] = &m.cur;
	return r->n_in == 1 && handshake_2_open(&a, &keys, r->frames, &payload,
	                           &r->keys) == ERR_OK;
}

static void
say_hello(struct raw *r)
{
	uint8_t buf[512];
	struct writer b = wr_init(buf, sizeof(buf));

	r->w->tap_ctx = r;
	raw_hello(r, &b);
	raw_send(r, wr_span_of(&b));
}

/* Both get as far as a confirmed session; the first HELLO takes it. */
static void
hostile_71_two_at_once_make_one_contact(void **state)
{
	static const uint8_t ping[] = { FRAME_PING };
	struct link_peer inv = { .role = LINK_INVITER };
	static struct raw one, two;
	static struct wire w; /* large */

	(void)state;
	wire_init(&w, test_seed(1), 3);
	memset(inv.rk0.b, 7, sizeof(inv.rk0.b));
	memset(inv.reach.b, 8, sizeof(inv.reach.b));
	wire_set_peer(&w, VICTIM, 1, &inv);
	raw_init(&one, &w, 1, VICTIM);
	assert_true(shake_invited(&one, &inv));
	raw_send(&one, span_of(ping, 1));
	raw_init(&two, &w, 2, VICTIM);
	assert_true(shake_invited(&two, &inv));
	raw_send(&two, span_of(ping, 1));
	say_hello(&two);
	assert_int_equal(w.node[VICTIM].paired[1], 1);
	assert_true(two.n_in > 0);
	one.n_in = 0;
	say_hello(&one);
	assert_int_equal(one.n_in, 0); /* nothing */
	assert_int_equal(w.node[VICTIM].paired[1], 1);
	assert_int_equal(w.node[VICTIM].refused[1], 0);
	assert_memory_equal(
	    w.node[VICTIM].hello.id.b, w.node[2].id.b, sizeof(w.node[2].id.b));
	stop(&w, &two);
}

/* A session that is not in use. */
struct side {
	struct handshake_keys keys;
	uint64_t next;
};

static void
swap_keys(struct raw *r, struct side *other)
{
	struct side now = { r->keys, r->next };

	r->keys = other->keys;
	r->next = other->next;
	*other = now;
}

/* What comes late under a handshake from before the end of a link was said to
 * that link: it is no new one, or bytes of two streams would meet in it. */
static void
a_handshake_ends_with_the_link_beside_it(void **state)
{
	static struct side other; /* large */
	uint8_t buf[512];
	struct writer bye = wr_init(buf, sizeof(buf)), hello;
	struct wire w;
	struct raw r;

	(void)state;
	start(&w, &r);
	other = (struct side){ r.keys, r.next };
	assert_true(raw_shake(&r));
	assert_int_equal(w.node[VICTIM].ups[ENEMY], 1);
	frame_write_close(&bye, CLOSE_NONE);
	swap_keys(&r, &other);
	raw_send(&r, wr_span_of(&bye));
	assert_int_equal(w.node[VICTIM].downs[ENEMY], 1);
	swap_keys(&r, &other);
	hello = wr_init(buf, sizeof(buf));
	raw_hello(&r, &hello);
	raw_send(&r, wr_span_of(&hello));
	assert_int_equal(w.node[VICTIM].ups[ENEMY], 1);
	assert_int_equal(r.n_in, 0);
	/* Who begins anew is heard. */
	assert_true(raw_up(&r));
	assert_int_equal(w.node[VICTIM].ups[ENEMY], 2);
	stop(&w, &r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_21_unknown_frames_close),
		cmocka_unit_test(hostile_21_bad_lengths_close),
		cmocka_unit_test(hostile_21_too_many_frames_close),
		cmocka_unit_test(hostile_22_data_over_the_window_closes),
		cmocka_unit_test(
		    hostile_22_other_bytes_at_the_same_place_close),
		cmocka_unit_test(hostile_22_gaps_without_end_close),
		cmocka_unit_test(hostile_22_final_sizes_must_agree),
		cmocka_unit_test(
		    hostile_23_an_ack_of_what_was_never_sent_closes),
		cmocka_unit_test(hostile_23_an_ack_of_a_skipped_number_closes),
		cmocka_unit_test(hostile_23_an_ack_of_too_many_ranges_closes),
		cmocka_unit_test(hostile_24_other_streams_close),
		cmocka_unit_test(resets_and_stops_close),
		cmocka_unit_test(nothing_counts_before_hello),
		cmocka_unit_test(hostile_17_counters_are_taken_once),
		cmocka_unit_test(hostile_18_a_hijacker_gets_a_challenge_only),
		cmocka_unit_test(
		    hostile_18_a_hijacker_draws_three_times_his_bytes),
		cmocka_unit_test(
		    a_proven_address_is_taken_if_the_path_is_silent),
		cmocka_unit_test(hostile_19_what_does_not_open_renews_the_key),
		cmocka_unit_test(hostile_28_a_hello_that_does_not_fit_closes),
		cmocka_unit_test(a_longer_hello_is_taken),
		cmocka_unit_test(an_instance_names_a_link),
		cmocka_unit_test(hostile_71_two_at_once_make_one_contact),
		cmocka_unit_test(a_handshake_ends_with_the_link_beside_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
