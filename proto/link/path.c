/*
 * A challenge says a keyed hash of the address that it goes to, so nothing is
 * remembered of it, however many there are. An answer that fits its own source
 * proves that address, one that fits the path proves the path wherever it
 * comes from: who copies packets faster than they travel can make himself a
 * second way, but not take the first one away. [RFC 9000 §9.3.3]
 */
#include "proto/link/path.h"
#include "proto/link/attempt.h"
#include "proto/link/conn.h"
#include "proto/link/out.h"
#include "proto/link/peer.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { STRANGER_MS = 1000 / PATH_STRANGERS_S };

_Static_assert(crypto_shorthash_KEYBYTES == sizeof(((struct ways *)0)->key),
    "SipHash key");
_Static_assert(crypto_shorthash_BYTES == FRAME_PATH_SIZE, "SipHash size");

/* ---- tokens ---- */

static void
token_of(const struct conn *c, const struct endpoint *at, uint64_t epoch,
    uint8_t ret[FRAME_PATH_SIZE])
{
	uint8_t in[16 + 2 + 8];
	struct writer w = wr_init(in, sizeof(in));

	wr_bytes(&w, at->addr, sizeof(at->addr));
	wr_u16be(&w, at->port);
	wr_u64le(&w, epoch);
	assert(!w.bad && w.n == sizeof(in));
	crypto_shorthash(ret, in, sizeof(in), c->ways.key);
}

static bool
fits(const struct conn *c, const struct endpoint *at,
    const uint8_t data[FRAME_PATH_SIZE], uint64_t now_ms)
{
	uint64_t epoch = now_ms / PATH_TOKEN_MS;
	uint8_t token[FRAME_PATH_SIZE];

	token_of(c, at, epoch, token);
	if (sodium_memcmp(token, data, sizeof(token)) == 0)
		return true;
	if (epoch == 0)
		return false;
	token_of(c, at, epoch - 1, token);
	return sodium_memcmp(token, data, sizeof(token)) == 0;
}

static void
challenge(struct links *l, struct peer *p, const struct endpoint *to,
    uint8_t hops, struct now now)
{
	uint8_t token[FRAME_PATH_SIZE];
	struct conn_path say = { .to = to, .hops = hops, .challenge = token };

	token_of(p->conn, to, now.mono_ms / PATH_TOKEN_MS, token);
	conn_send_path(l, p, &say, now);
}

/* ---- state ---- */

/* A gateway keeps an answered flow longer if a packet comes two seconds after
 * its first one: conntrack. */
static void
keep_soon(struct links *l, struct conn *c, uint64_t now_ms)
{
	struct ways *w = &c->ways;

	w->began_ms = now_ms;
	w->keep_ms = NEVER;
	if (!path_on_route(c))
		w->keep_ms =
		    now_ms + PATH_KEEP_MIN_MS +
		    rng_below(l->rng, PATH_KEEP_MAX_MS - PATH_KEEP_MIN_MS);
}

void
path_begin(
    struct links *l, struct conn *c, const struct endpoint *at, struct now now)
{
	c->ways = (struct ways){
		.asked_ms = NEVER,
		.round_ms = NEVER,
		.spare_ms = NEVER,
	};
	rng_fill(l->rng, c->ways.key, sizeof(c->ways.key));
	c->path = *at;
	keep_soon(l, c, now.mono_ms);
}

bool
path_on_route(const struct conn *c)
{
	return endpoint_is_relayed(&c->path);
}

bool
path_has_room(const struct conn *c)
{
	return endpoint_rank(&c->path) > RANK_POOR;
}

void
path_check(const struct conn *c)
{
	const struct ways *w = &c->ways;

	assert(!w->spare.known || !endpoint_eq(&w->spare.at, &c->path));
	assert(!w->spare.known || !endpoint_is_relayed(&w->spare.at));
	assert(!w->route.known || endpoint_is_relayed(&w->route.at));
	assert(w->spare.known || w->spare_ms == NEVER);
	assert(w->rounds <= PATH_ROUNDS);
	assert(w->asked_ms != NEVER || w->round_ms == NEVER);
	assert(!w->is_from || !endpoint_eq(&w->from, &c->path));
	assert(w->calm_ms <= PATH_CALM_MAX_MS);
	assert(w->n_spare <= PATH_BACK_TRIES);
}

/* True if what is sent to this source of a packet cannot hurt: it is no
 * address of our own, nor one that nobody can have. */
static bool
is_source(const struct links *l, const struct endpoint *from)
{
	if (endpoint_is_route(from, NULL))
		return true;
	if (from->port == 0)
		return false;
	for (size_t i = 0; i < l->n_local; i++) {
		if (endpoint_eq(&l->local[i], from))
			return false;
	}
	switch (endpoint_scope(from)) {
	case SCOPE_UNUSABLE:
		return false;
	case SCOPE_LOOPBACK:
		return l->loopback;
	case SCOPE_LINK:
	case SCOPE_PRIVATE:
	case SCOPE_GLOBAL:
		return true;
	}
	return false;
}

/* Of the time that challenges to strangers have taken, what is left. */
static uint32_t
asked_lately(const struct ways *w, uint64_t now_ms)
{
	uint64_t gone = now_ms - w->ask_at_ms;

	assert(w->ask_at_ms <= now_ms);
	return gone >= w->ask_spent_ms ? 0 : w->ask_spent_ms - (uint32_t)gone;
}

/* Sources may be forged, so strangers are asked at a bounded rate. */
static bool
may_ask(const struct ways *w, uint64_t now_ms)
{
	return asked_lately(w, now_ms) + STRANGER_MS <=
	       STRANGER_MS * PATH_STRANGERS_BURST;
}

static void
ask_stranger(
    struct links *l, struct peer *p, const struct endpoint *at, struct now now)
{
	struct ways *w = &p->conn->ways;

	if (!may_ask(w, now.mono_ms))
		return;
	w->ask_spent_ms = asked_lately(w, now.mono_ms) + STRANGER_MS;
	w->ask_at_ms = now.mono_ms;
	challenge(l, p, at, 0, now);
}

/* ---- moving ---- */

/* Checks for the silence that goes on; an acknowledgement begins another. */
static uint8_t
silences(const struct conn *c)
{
	const struct ways *w = &c->ways;

	return c->recovery.acked_ms > w->ended_ms ? 0 : w->n_ended;
}

static void
check_end(struct conn *c, uint64_t now_ms)
{
	struct ways *w = &c->ways;

	w->n_ended = silences(c);
	if (w->n_ended < PATH_SILENT_MAX)
		w->n_ended++;
	w->ended_ms = now_ms;
	w->asked_ms = NEVER;
	w->round_ms = NEVER;
	w->all = false;
}

/* The path answered. Who speaks from elsewhere all the same has two addresses,
 * or is somebody who copies: every question is one more chance that an answer
 * is lost, so they become rare. */
static void
proven(struct conn *c, uint64_t now_ms)
{
	struct ways *w = &c->ways;

	if (w->asked_ms == NEVER)
		return;
	check_end(c, now_ms);
	if (!w->is_from)
		return;
	w->is_from = false;
	w->speaks = false;
	w->calm_ms = 2 * w->calm_ms;
	if (w->calm_ms == 0 || now_ms - w->calm_end_ms > PATH_CALM_MAX_MS)
		w->calm_ms = PATH_CALM_MIN_MS;
	if (w->calm_ms > PATH_CALM_MAX_MS)
		w->calm_ms = PATH_CALM_MAX_MS;
	w->calm_end_ms = now_ms + w->calm_ms;
}

/* The path that is left may be of use again: at once if it lived, else once
 * it answers. */
static void
leave(struct links *l, struct conn *c, bool dead, uint64_t now_ms)
{
	struct ways *w = &c->ways;

	if (path_on_route(c))
		return;
	w->spare = (struct way){
		.known = true,
		.at = c->path,
		.answered_ms = dead ? 0 : now_ms,
	};
	w->n_spare = 0;
	w->spare_ms = now_ms + PATH_BACK_MS +
	              (dead ? 0 : rng_below(l->rng, PATH_BACK_MS));
}

/* The link runs there from now on, under new keys as soon as it may renew
 * them. */
static void
move(struct links *l, struct peer *p, const struct endpoint *at, struct now now)
{
	struct conn *c = p->conn;
	struct ways *w = &c->ways;
	struct session *s = c->cur;
	struct endpoint to = *at; /* it may be the spare */
	bool dead = w->asked_ms != NEVER;

	assert(c->up && s && !endpoint_eq(&c->path, &to));
	if (w->spare.known && endpoint_eq(&w->spare.at, &to)) {
		w->spare.known = false;
		w->spare_ms = NEVER;
	}
	leave(l, c, dead, now.mono_ms);
	check_end(c, now.mono_ms);
	w->n_ended = 0;
	w->is_from = false;
	w->speaks = false;
	w->calm_ms = 0;
	w->calm_end_ms = 0;
	w->route.known = false;
	c->path = to;
	if (s->at_index + 1 < s->keys.n_send_index)
		s->at_index++;
	conn_new_mtu(c, false);
	recovery_new_path(&c->recovery, now.mono_ms);
	if (dead)
		recovery_give_up(&c->recovery);
	conn_settle(l, p);
	c->observed_due = true;
	keep_soon(l, c, now.mono_ms);
	c->renew_by_ms =
	    now.mono_ms + (peer_we_are_lower(l, p) ? 0 : LINK_REKEY_LATER_MS);
	(void)out_at(l, LINK_OUT_PATH, p->number, &to);
	peer_touch(l, p);
}

static uint32_t
step_of(const struct conn *c)
{
	uint64_t ms = recovery_answer_ms(&c->recovery);

	if (ms < PATH_GRACE_MIN_MS)
		ms = PATH_GRACE_MIN_MS;
	return (uint32_t)(ms < PATH_GRACE_MAX_MS ? ms : PATH_GRACE_MAX_MS) / 3;
}

/* Has it answered in the check under way? */
static bool
answered(const struct ways *w, const struct way *x)
{
	return x->known && x->answered_ms != 0 && x->answered_ms >= w->asked_ms;
}

/* Goes to what answered if the path owes its answer for too long: that to the
 * third challenge, in the end. */
static void
judge(struct links *l, struct peer *p, struct now now)
{
	struct conn *c = p->conn;
	struct ways *w = &c->ways;
	uint64_t rounds;

	if (w->asked_ms == NEVER ||
	    (!path_on_route(c) && now.mono_ms - w->began_ms < PATH_STAY_MS))
		return;
	rounds = (now.mono_ms - w->asked_ms) / w->step_ms;
	if (answered(w, &w->spare) &&
	    (rounds >= PATH_DIRECT || path_on_route(c)))
		move(l, p, &w->spare.at, now);
	else if (answered(w, &w->route) &&
	         rounds >= (path_on_route(c) ? PATH_DIRECT : PATH_ROUTE))
		move(l, p, &w->route.at, now);
}

/* ---- checks ---- */

static bool
has_others(const struct peer *p)
{
	const struct ways *w = &p->conn->ways;

	return w->spare.known || w->route.known || w->is_from ||
	       p->n_routes > 0;
}

static void
ask_routes(struct links *l, struct peer *p, struct now now)
{
	const struct conn *c = p->conn;

	for (uint8_t i = 0; i < p->n_routes; i++) {
		const struct endpoint *e = &p->routes[i];

		if (!endpoint_eq(e, &c->path) &&
		    !(c->ways.is_from && endpoint_eq(e, &c->ways.from)))
			challenge(l, p, e, 0, now);
	}
}

/* Where the peer speaks from: an address is a stranger until it answers, and
 * gets three times what came from it at most. */
static void
ask_from(struct links *l, struct peer *p, struct now now)
{
	struct ways *w = &p->conn->ways;

	if (!w->is_from ||
	    (w->spare.known && endpoint_eq(&w->spare.at, &w->from)))
		return;
	if (endpoint_is_relayed(&w->from)) {
		challenge(l, p, &w->from, 0, now);
		return;
	}
	if (w->from_out + CONN_PATH_SIZE > 3 * w->from_in)
		return;
	w->from_out += CONN_PATH_SIZE;
	ask_stranger(l, p, &w->from, now);
}

/* Asks all that may carry the link; routes cost their carrier, so they are
 * asked first in the second round, unless there is no direct path to hope
 * for. */
static void
ask_round(struct links *l, struct peer *p, struct now now)
{
	struct conn *c = p->conn;
	struct ways *w = &c->ways;

	assert(w->asked_ms != NEVER && w->rounds < PATH_ROUNDS);
	w->rounds++;
	w->round_ms = now.mono_ms + w->step_ms;
	if (!has_others(p) || w->rounds > PATH_ASKED)
		return;
	challenge(l, p, &c->path, 0, now);
	if (w->spare.known)
		challenge(l, p, &w->spare.at, 0, now);
	ask_from(l, p, now);
	if (w->all || w->rounds > 1 || path_on_route(c))
		ask_routes(l, p, now);
}

static void
ask_late(struct links *l, struct peer *p, struct now now)
{
	struct ways *w = &p->conn->ways;

	challenge(l, p, &p->conn->path, 0, now);
	ask_routes(l, p, now);
	w->round_ms = now.mono_ms + (uint64_t)PATH_LATE_STEPS * w->step_ms;
}

static void
check_begin(struct links *l, struct peer *p, struct now now)
{
	struct ways *w = &p->conn->ways;

	if (w->asked_ms != NEVER)
		return;
	w->asked_ms = now.mono_ms;
	w->step_ms = step_of(p->conn);
	w->rounds = 0;
	ask_round(l, p, now);
}

static void
check_tick(struct links *l, struct peer *p, struct now now)
{
	struct conn *c = p->conn;
	struct ways *w = &c->ways;

	if (now.mono_ms < w->round_ms)
		return;
	judge(l, p, now);
	if (w->asked_ms == NEVER)
		return; /* it has moved */
	if (w->rounds < PATH_ROUNDS)
		ask_round(l, p, now);
	else if (c->rescue || answered(w, &w->spare) || answered(w, &w->route))
		/* it stays in question: too young to be left, perhaps */
		w->round_ms = now.mono_ms + w->step_ms;
	else if (p->n_routes > 0 && now.mono_ms - w->asked_ms < PATH_LATE_MS)
		ask_late(l, p, now);
	else /* nobody answered: it goes on as it does */
		check_end(c, now.mono_ms);
}

/* ---- what came ---- */

static void
keep_spare(
    struct links *l, struct conn *c, const struct endpoint *at, uint64_t now_ms)
{
	struct ways *w = &c->ways;
	bool same = w->spare.known && endpoint_eq(&w->spare.at, at);
	bool good =
	    w->spare.known && w->spare.answered_ms != 0 && w->n_spare == 0;

	if (!same && good && !(w->is_from && endpoint_eq(&w->from, at)))
		return; /* one is enough */
	w->spare =
	    (struct way){ .known = true, .at = *at, .answered_ms = now_ms };
	w->n_spare = 0;
	w->spare_ms = now_ms + LINK_PING_MIN_MS +
	              rng_below(l->rng, LINK_PING_MAX_MS - LINK_PING_MIN_MS);
}

/* A way that a poorer route is left for, without any doubt about that. */
static bool
is_better(const struct conn *c, const struct endpoint *at)
{
	return path_on_route(c) && endpoint_rank(at) > endpoint_rank(&c->path);
}

/* The peer hears us at this address, which is not the path. */
static void
validated(
    struct links *l, struct peer *p, const struct endpoint *at, struct now now)
{
	struct conn *c = p->conn;
	struct ways *w = &c->ways;

	assert(!endpoint_eq(at, &c->path));
	address_answered(p, at, now.mono_ms);
	if (is_better(c, at)) {
		move(l, p, at, now);
	} else if (endpoint_is_relayed(at)) {
		w->route = (struct way){
			.known = true, .at = *at, .answered_ms = now.mono_ms
		};
		judge(l, p, now);
	} else {
		keep_spare(l, c, at, now.mono_ms);
		judge(l, p, now);
	}
}

void
path_on_response(struct links *l, struct peer *p, const struct endpoint *from,
    const uint8_t data[FRAME_PATH_SIZE], struct now now)
{
	struct conn *c = p->conn;

	if (!c->up)
		return;
	if (fits(c, &c->path, data, now.mono_ms))
		proven(c, now.mono_ms);
	else if (fits(c, from, data, now.mono_ms) && is_source(l, from))
		validated(l, p, from, now);
}

void
path_on_handshake(
    struct links *l, struct peer *p, const struct endpoint *at, struct now now)
{
	struct conn *c = p->conn;

	assert(c->up && c->cur);
	if (endpoint_eq(at, &c->path)) {
		proven(c, now.mono_ms);
		return;
	}
	validated(l, p, at, now);
	if (endpoint_eq(at, &c->path))
		return;
	/* Why did it not go where the link runs? */
	check_begin(l, p, now);
	judge(l, p, now);
}

/* ---- where packets come from ---- */

/* An address that answered, or a route: what comes from there may be but an
 * answer to what we asked. */
static bool
is_known(const struct ways *w, const struct endpoint *from)
{
	return endpoint_is_relayed(from) ||
	       (w->spare.known && endpoint_eq(&w->spare.at, from));
}

/* Is it worth a check that the peer speaks from there? After a move he may need
 * a while to follow. */
static bool
is_news(const struct ways *w, const struct path_packet *k, struct now now)
{
	if (!k->speaks || now.mono_ms < w->calm_end_ms)
		return false;
	if (is_known(w, k->from))
		return now.mono_ms - w->began_ms >= PATH_STAY_MS;
	return may_ask(w, now.mono_ms);
}

/* The peer is elsewhere. Perhaps he moved, perhaps his path to us is dead,
 * perhaps somebody was faster with a copy: ask both. Who does not speak from
 * there may only want to know whether it is a way. */
static void
heard_elsewhere(struct links *l, struct peer *p, const struct path_packet *k,
    struct now now)
{
	struct ways *w = &p->conn->ways;
	bool same = w->is_from && endpoint_eq(&w->from, k->from);

	if (!same && (!k->highest || (!k->speaks && is_known(w, k->from))))
		return;
	if (!same) {
		w->from = *k->from;
		w->from_in = 0;
		w->from_out = 0;
		w->is_from = true;
		w->speaks = false;
	}
	w->from_in += k->n;
	w->from_out += k->asked ? CONN_PATH_SIZE : 0;
	w->speaks |= k->speaks;
	if (w->asked_ms == NEVER && is_news(w, k, now))
		check_begin(l, p, now);
	else if (!same)
		ask_from(l, p, now);
}

void
path_on_packet(struct links *l, struct peer *p, const struct path_packet *k,
    struct now now)
{
	struct conn *c = p->conn;
	struct conn_path say = { .to = k->from, .response = k->asked };

	assert(c && c->cur && k->n >= CONN_PATH_SIZE);
	if (!is_source(l, k->from))
		return;
	if (k->asked)
		conn_send_path(l, p, &say, now);
	if (!c->up || endpoint_eq(k->from, &c->path))
		return;
	if (!path_on_route(c))
		heard_elsewhere(l, p, k, now);
	else if (endpoint_rank(k->from) > endpoint_rank(&c->path))
		ask_stranger(l, p, k->from, now);
}

const struct endpoint *
path_also(const struct conn *c)
{
	const struct ways *w = &c->ways;

	if (!w->is_from || !w->speaks)
		return NULL;
	if (endpoint_is_relayed(&w->from))
		return &w->from;
	if (w->spare.known && w->spare.answered_ms != 0 &&
	    endpoint_eq(&w->spare.at, &w->from))
		return &w->from;
	return NULL;
}

/* ---- what is asked ---- */

void
path_on_silence(struct links *l, struct peer *p, struct now now)
{
	assert(p->conn->up && p->conn->rescue);
	p->conn->ways.all = true;
	check_begin(l, p, now);
}

void
path_probe(struct links *l, struct peer *p, const struct endpoint *to,
    uint8_t hops, struct now now)
{
	assert(p->conn && p->conn->up);
	if (!address_usable(l, to) && !peer_has_route(p, to) &&
	    !(endpoint_is_route(to, NULL) && !endpoint_is_relayed(to)))
		return;
	challenge(l, p, to, hops, now);
	peer_touch(l, p);
}

void
path_upgrade(struct links *l, struct peer *p, struct now now)
{
	const struct attempt *a = p->attempt;

	if (!a || !path_on_route(p->conn))
		return;
	for (uint8_t i = 0; i < a->n_to; i++) {
		struct address *at = address_of(p, &a->to[i].at, now.mono_ms);

		if (!at || !a->to[i].sent || !address_may_send(at, now.mono_ms))
			continue;
		address_sent(at, now.mono_ms);
		challenge(l, p, &a->to[i].at, 0, now);
	}
}

void
path_doubt(struct links *l, struct peer *p)
{
	assert(p->conn && p->conn->up);
	p->conn->ways.check_due = true;
	p->conn->ping_due = true;
	peer_touch(l, p);
}

void
path_flush(struct links *l, struct peer *p, struct now now)
{
	struct ways *w = &p->conn->ways;

	if (!w->check_due)
		return;
	w->check_due = false;
	w->all = true;
	if (has_others(p))
		check_begin(l, p, now);
}

/* ---- time ---- */

/* A dead path is tried again for a minute while a route serves; a spare one is
 * kept alive in the NATs on the way while it might be missed. */
static void
tick_spare(struct links *l, struct peer *p, struct now now)
{
	struct conn *c = p->conn;
	struct ways *w = &c->ways;
	bool back = path_on_route(c);
	bool used = c->cur->data_ms != NEVER;

	if (now.mono_ms < w->spare_ms)
		return;
	if (w->n_spare >= (back ? PATH_BACK_TRIES : PATH_SPARE_TRIES) ||
	    (!back && !used)) {
		w->spare.known = false;
		w->spare_ms = NEVER;
		return;
	}
	challenge(l, p, &w->spare.at, 0, now);
	w->spare_ms =
	    now.mono_ms +
	    (back ? (uint64_t)PATH_BACK_MS << w->n_spare
	          : LINK_PING_MIN_MS +
	                rng_below(l->rng, LINK_PING_MAX_MS - LINK_PING_MIN_MS));
	w->n_spare++;
}

/* When nothing has been acknowledged for so long, not even the repetition after
 * a PTO, that the path is asked, if there is another; or NEVER. */
static uint64_t
silence_ms(const struct peer *p)
{
	const struct conn *c = p->conn;
	uint64_t since = recovery_silent_ms(&c->recovery);

	if (since == NEVER || c->ways.asked_ms != NEVER || !has_others(p))
		return NEVER;
	if (since < c->ways.ended_ms)
		since = c->ways.ended_ms;
	return since + ((recovery_pto_base_ms(&c->recovery) +
	                    recovery_answer_ms(&c->recovery))
	                   << silences(c));
}

void
path_tick(struct links *l, struct peer *p, struct now now)
{
	struct conn *c = p->conn;
	struct ways *w = &c->ways;

	assert(c->up && c->cur);
	if (now.mono_ms >= w->keep_ms) {
		w->keep_ms = NEVER;
		if (c->sent_ms < w->began_ms + PATH_KEEP_MIN_MS)
			c->ping_due = true;
	}
	if (now.mono_ms >= silence_ms(p))
		check_begin(l, p, now);
	check_tick(l, p, now);
	tick_spare(l, p, now);
}

uint64_t
path_deadline_ms(const struct peer *p)
{
	const struct ways *w = &p->conn->ways;
	uint64_t at = w->round_ms, silence = silence_ms(p);

	if (silence < at)
		at = silence;

	if (w->spare_ms < at)
		at = w->spare_ms;
	return w->keep_ms < at ? w->keep_ms : at;
}
