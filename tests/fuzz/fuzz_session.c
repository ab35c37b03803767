/*
 * A hostile contact after AEAD, with a memory: each input is a row of
 * packets under real keys, handshakes both ways, moves, routes, pauses.
 * Whatever it does, the node neither crashes nor sends more than three times
 * what came to an address that has proven nothing; it tells its owner UP and
 * DOWN in turns (the wire asserts that), and the contact can always come back.
 * Input: a byte for what to do, a byte of length, the bytes.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/support/link_raw.h"
#include "tests/support/rng.h"

#include <assert.h>
#include <string.h>

enum { VICTIM = 0, ENEMY = 1, STEPS_MAX = 48, CHUNK_MAX = 200 };
enum { PLACES = 5, ROUTE = 4 /* the last place is one */ };

enum action {
	DO_SEND,    /* these frames */
	DO_HELLO,   /* HELLO, and these frames */
	DO_SHAKE,   /* a handshake: instance, flags */
	DO_WAIT,    /* squares of milliseconds */
	DO_WRITE,   /* the node writes chat */
	DO_MOVED,   /* frames from elsewhere */
	DO_NUMBER,  /* numbers are left out */
	DO_CONNECT, /* the node calls */
	DO_ANSWER,  /* its last call is answered */
	DO_STREAM,  /* a STREAM frame that fits, or nearly */
	DO_ACK,     /* of ranges below the last number that came */
	DO_OLD,     /* go on under the keys before these */
	DO_RESPOND, /* the last PATH_CHALLENGE, from where it went */
	DO_BULK,    /* the node takes and writes bulk */
	DO_JUNK,    /* a live index, and nothing else */
	DO_SELF,    /* the node moves, restarts, forgets us, probes, ... */
};

/* One run. */
struct play {
	struct wire w;
	struct raw r;
	struct handshake_keys old; /* keys before those of r */
	uint64_t old_next;
	struct test_rng others, keys; /* what is drawn */
	uint64_t offset[2];           /* of our two streams */
	uint8_t challenge[FRAME_PATH_SIZE];
	struct endpoint challenged;
	bool has_challenge;
	struct {
		struct endpoint at;
		uint64_t in, out;
		bool proven;
	} place[PLACES]; /* addresses of ours */
};

static struct play play;

static unsigned
place_of(const struct endpoint *e)
{
	unsigned i = 0;

	while (i < PLACES && !endpoint_eq(&play.place[i].at, e))
		i++;
	return i;
}

static void
count_in(unsigned place, size_t n)
{
	play.place[place].in += n;
}

/* The law against aiming the node at a third party. [SPEC §6.5] */
static void
seen(struct raw *r, const struct endpoint *to, size_t n)
{
	unsigned i = place_of(to);

	(void)r;
	assert(i < PLACES);
	play.place[i].out += n;
	assert(i == 0 || play.place[i].proven ||
	       play.place[i].out <= 3 * play.place[i].in);
}

/* Sends from a place, and keeps the challenge that comes back. */
static void
say_from(unsigned place, struct span frames)
{
	struct raw *r = &play.r;
	size_t n = frames.n < PACKET_PLAIN_MIN ? PACKET_PLAIN_MIN : frames.n;
	struct reader in;
	struct frame f;

	count_in(place, n + PACKET_OVERHEAD);
	raw_send_as(r, frames, r->next++, &play.place[place].at);
	in = rd_init(r->frames);
	if (in.n == 0 || frame_decode(&in, &f) != ERR_OK ||
	    f.type != FRAME_PATH_CHALLENGE)
		return;
	memcpy(play.challenge, f.path, sizeof(play.challenge));
	play.challenged = r->last_to;
	play.has_challenge = true;
}

static void
do_hello(struct span extra)
{
	uint8_t buf[600];
	struct writer w = wr_init(buf, sizeof(buf));

	raw_hello(&play.r, &w);
	wr_span(&w, extra);
	say_from(0, wr_span_of(&w));
}

/* The keys of before are kept, as a peer may who is late. */
static void
keep_keys(const struct handshake_keys *keys, uint64_t next)
{
	play.old = *keys;
	play.old_next = next;
	play.offset[0] = play.offset[1] = 0;
}

static void
do_shake(struct span arg)
{
	struct handshake_keys keys = play.r.keys;
	uint64_t next = play.r.next;

	if (arg.n > 0)
		play.r.instance[0] = arg.p[0];
	if (raw_shake_with(&play.r, arg.n > 1 ? arg.p[1] : 0))
		keep_keys(&keys, next);
	else
		play.r.keys = keys; /* silence: go on as before */
	if (play.r.next == 0)
		play.r.next = next;
}

static void
do_answer(void)
{
	struct handshake_keys keys = play.r.keys;
	uint64_t next = play.r.next;

	if (raw_answer(&play.r))
		keep_keys(&keys, next);
}

/* arg: which stream, how far from its end, FIN, bytes. */
static void
do_stream(struct span arg)
{
	uint8_t buf[CHUNK_MAX + 64];
	struct writer w = wr_init(buf, sizeof(buf));
	struct reader in = rd_init(arg);
	unsigned bulk = rd_u8(&in) & 1;
	uint64_t at = play.offset[bulk], stream;
	uint8_t shift = rd_u8(&in);
	size_t n = in.n < CHUNK_MAX ? in.n : CHUNK_MAX;

	at = shift < 128 ? at + shift : at - (256U - shift);
	if (at >= FRAME_VALUE_END - CHUNK_MAX)
		at = 0;
	stream =
	    id_cmp(&play.w.node[ENEMY].id, &play.w.node[VICTIM].id) < 0 ? 2 : 3;
	frame_write_stream(&w, stream + 4 * bulk, at, n);
	wr_span(&w, rd_span(&in, n));
	play.offset[bulk] = at + n;
	say_from(0, wr_span_of(&w));
}

/* arg: gap and length of each range, downwards from the last number. */
static void
do_ack(struct span arg)
{
	uint8_t buf[600];
	struct writer w = wr_init(buf, sizeof(buf));
	struct reader in = rd_init(arg);
	struct ranges ack = { 0 };
	uint64_t hi = play.r.number + 1;

	while (in.n > 1 && hi > 0) {
		uint64_t gap = rd_u8(&in) % 8U, n = 1 + rd_u8(&in) % 64U;

		hi = hi > gap ? hi - gap : 0;
		n = n < hi ? n : hi;
		if (n > 0 && ranges_add(&ack, hi - n, hi))
			break;
		hi -= n;
	}
	if (ack.n == 0)
		return;
	frame_write_ack(&w, &ack, arg.n);
	say_from(0, wr_span_of(&w));
}

static void
do_old(void)
{
	struct handshake_keys keys = play.r.keys;
	uint64_t next = play.r.next;

	if (play.old.n_send_index == 0)
		return;
	play.r.keys = play.old;
	play.r.next = play.old_next;
	play.r.at_index = 0;
	play.old = keys;
	play.old_next = next;
}

static void
do_respond(void)
{
	uint8_t buf[64];
	struct writer w = wr_init(buf, sizeof(buf));
	unsigned place = place_of(&play.challenged);

	if (!play.has_challenge)
		return;
	play.has_challenge = false;
	play.place[place].proven = true;
	frame_write_path(&w, FRAME_PATH_RESPONSE, play.challenge);
	say_from(place, wr_span_of(&w));
}

static void
do_bulk(struct span arg)
{
	struct wire_node *v = &play.w.node[VICTIM];

	if (!v->up[ENEMY])
		return;
	if (links_bulk_open(v->links, ENEMY) == ERR_OK)
		wire_write_bulk(&play.w, VICTIM, ENEMY, 50 * arg.n);
}

static void
do_junk(struct span arg)
{
	unsigned place = arg.n > 0 ? arg.p[0] % PLACES : 0;
	size_t n = PACKET_OVERHEAD + PACKET_PLAIN_MIN + 3 * arg.n;

	if (arg.n > 1)
		play.r.at_index = arg.p[1] % play.r.keys.n_send_index;
	count_in(place, n);
	raw_send_junk(&play.r, n, &play.place[place].at);
}

/* What its owner orders is his to count. */
static void
do_probe(unsigned place)
{
	struct wire_node *v = &play.w.node[VICTIM];

	play.place[place].in += PACKET_OVERHEAD + PACKET_PLAIN_MIN;
	links_probe(v->links, ENEMY, &play.place[place].at, 0,
	    wire_now(&play.w, VICTIM));
	wire_drain(&play.w, VICTIM);
}

static void
do_self(struct span arg)
{
	struct wire *w = &play.w;
	struct wire_node *v = &w->node[VICTIM];
	struct link_peer cfg = v->disk[ENEMY].peer;
	struct link_candidates offer = { .n = (uint8_t)(arg.n % 9) };

	switch (arg.n > 0 ? arg.p[0] % 7 : 0) {
	case 0:
		v->at.port ^= 1;
		links_set_local(v->links, &v->at, 1, false);
		break;
	case 1:
		wire_crash(w, VICTIM);
		wire_restart(w, VICTIM);
		break;
	case 2:
		links_remove_peer(v->links, ENEMY, wire_now(w, VICTIM));
		wire_drain(w, VICTIM);
		wire_set_peer(w, VICTIM, ENEMY, &cfg);
		break;
	case 3:
		links_set_routes(v->links, ENEMY, &play.place[ROUTE].at,
		    arg.n % 2, wire_now(w, VICTIM));
		break;
	case 4:
		do_probe((unsigned)arg.n % PLACES);
		break;
	case 5:
		if (links_offer(v->links, ENEMY, &offer))
			return; /* no link */
		break;
	default:
		links_shun(v->links, ENEMY, w->now.mono_ms + 1000,
		    wire_now(w, VICTIM));
		wire_drain(w, VICTIM);
		break;
	}
	links_flush(v->links, wire_now(w, VICTIM));
	wire_drain(w, VICTIM);
}

static void
act(enum action what, struct span arg)
{
	struct wire *w = &play.w;

	switch (what) {
	case DO_SEND:
		say_from(0, arg);
		return;
	case DO_HELLO:
		do_hello(arg);
		return;
	case DO_SHAKE:
		do_shake(arg);
		return;
	case DO_WAIT:
		wire_run(
		    w, arg.n > 0 ? (arg.p[0] & 127U) * (arg.p[0] & 127U) : 1);
		return;
	case DO_WRITE:
		wire_write(w, VICTIM, ENEMY, 10 * arg.n);
		return;
	case DO_MOVED:
		say_from(1 + (unsigned)arg.n % (PLACES - 1), arg);
		return;
	case DO_NUMBER:
		play.r.next += 1 + arg.n * 100;
		say_from(0, arg);
		return;
	case DO_CONNECT:
		wire_connect(w, VICTIM, ENEMY);
		return;
	case DO_ANSWER:
		do_answer();
		return;
	case DO_STREAM:
		do_stream(arg);
		return;
	case DO_ACK:
		do_ack(arg);
		return;
	case DO_OLD:
		do_old();
		return;
	case DO_RESPOND:
		do_respond();
		return;
	case DO_BULK:
		do_bulk(arg);
		return;
	case DO_JUNK:
		do_junk(arg);
		return;
	case DO_SELF:
		do_self(arg);
		return;
	}
}

/* The third key of a run is the same in every run, whatever else was drawn
 * before: so its handshake is remembered (tests/fuzz/memo.c). */
static void
draw(void *ctx, void *buf, size_t n)
{
	(void)ctx;
	rng_fill(n == 32 ? &play.keys.rng : &play.others.rng, buf, n);
}

static void
begin(void)
{
	struct raw *r = &play.r;

	memset(&play, 0, sizeof(play));
	test_rng_init(&play.others, 1);
	test_rng_init(&play.keys, 2);
	wire_init(&play.w, 1, 2);
	play.w.rng.rng.fill = draw;
	wire_befriend(&play.w, VICTIM, ENEMY);
	play.w.any_data = true;
	for (unsigned i = 0; i < PLACES; i++) {
		play.place[i].at = play.w.node[ENEMY].at;
		play.place[i].at.port = (uint16_t)(play.place[i].at.port + i);
	}
	wire_add_route(&play.w, VICTIM, ENEMY, 0);
	play.place[ROUTE].at = play.w.route[0].end[0];
	play.place[ROUTE].proven = true; /* its carrier counts */
	raw_init(r, &play.w, ENEMY, VICTIM);
	r->seen = seen;
	assert(raw_up(r));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader in = rd_init(span_of(data, size));

	begin();
	for (unsigned i = 0; i < STEPS_MAX && in.n > 0; i++) {
		uint8_t what = rd_u8(&in);
		size_t n = rd_u8(&in);

		act((enum action)(what & 15),
		    rd_span(&in, n < in.n ? n : in.n));
	}
	/* However it was left, a new handshake of the contact works; that is
	 * half the time of a run, so not always tried. */
	if (size % 16 == 0) {
		wire_run(&play.w, 100000);
		play.r.ts_ms += 100000;
		assert(raw_up(&play.r));
	}
	raw_clear(&play.r);
	wire_clear(&play.w);
	return 0;
}
