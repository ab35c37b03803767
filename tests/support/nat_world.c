#include "tests/support/nat_world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	FLOW_MS = 30 * 1000, /* unanswered, as Linux forgets it */
	ANSWERERS = 6,
	RESEND_MS = 300, /* of a lost offer */
	AGAIN_MS = 200,  /* between packets on the new path */
	AGAIN_MAX_MS = 2000,
};

/* ---- NATs ---- */

static bool
is_alive(const struct nat_world *w, const struct nat_entry *f)
{
	return w->now_ms - f->used_ms < FLOW_MS;
}

static struct nat_entry *
add_flow(struct nat_world *w, struct nat_box *b, const struct nat_entry *f)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		if (is_alive(w, &b->flow[i]))
			b->flow[n++] = b->flow[i];
	b->n = n;
	assert(b->n < NAT_WORLD_FLOWS_MAX);
	b->flow[b->n] = *f;
	b->flow[b->n].used_ms = w->now_ms;
	return &b->flow[b->n++];
}

/* Does the flow serve packets to this remote? */
static bool
is_for(const struct nat_box *b, const struct nat_entry *f,
    const struct endpoint *remote)
{
	switch (b->map) {
	case MAP_ANY:
		return true;
	case MAP_ADDRESS:
		return endpoint_same_addr(&f->remote, remote);
	case MAP_PORT:
		break;
	}
	return endpoint_eq(&f->remote, remote);
}

/* Linux: what differs in the remote may have the same port. */
static bool
is_taken(const struct nat_world *w, const struct nat_box *b, uint16_t port,
    const struct endpoint *remote)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->flow[i].port == port && is_alive(w, &b->flow[i]) &&
		    (!b->linux_like || endpoint_eq(&b->flow[i].remote, remote)))
			return true;
	return false;
}

static uint16_t
draw_port(struct nat_world *w, struct nat_box *b, uint16_t wish)
{
	switch (b->alloc) {
	case ALLOC_KEEP:
		return wish;
	case ALLOC_NEXT:
		b->next = (uint16_t)(b->next + b->step);
		return b->next;
	case ALLOC_BLOCK:
		return (uint16_t)(b->block + rng_below(&w->rng.rng, b->width));
	case ALLOC_RANDOM:
		break;
	}
	return (uint16_t)(1024 + rng_below(&w->rng.rng, 64512));
}

static uint16_t
alloc_port(struct nat_world *w, struct nat_box *b, uint16_t wish,
    const struct endpoint *remote)
{
	uint16_t port = draw_port(w, b, wish);

	for (int i = 0; i < 1000 && is_taken(w, b, port, remote); i++)
		port = b->alloc == ALLOC_KEEP
		           ? (uint16_t)(1024 + rng_below(&w->rng.rng, 64512))
		           : draw_port(w, b, wish);
	return port;
}

/* One endpoint inside may have several flows of one port, one for each whom the
 * filter lets in. */
static struct endpoint
go_out(struct nat_world *w, struct nat_box *b, const struct endpoint *from,
    const struct endpoint *to)
{
	struct nat_entry f = { .inside = *from, .remote = *to };
	struct endpoint ret = b->outside;

	for (size_t i = 0; i < b->n; i++) {
		struct nat_entry *old = &b->flow[i];

		if (old->strange || !is_alive(w, old) ||
		    !endpoint_eq(&old->inside, from))
			continue;
		if (endpoint_eq(&old->remote, to)) {
			old->used_ms = w->now_ms;
			ret.port = old->port;
			return ret;
		}
		if (is_for(b, old, to))
			f.port = old->port;
	}
	if (f.port == 0)
		f.port = alloc_port(w, b, from->port, to);
	else if (b->linux_like && is_taken(w, b, f.port, to))
		f.port = alloc_port(w, b, f.port, to);
	ret.port = add_flow(w, b, &f)->port;
	return ret;
}

static bool
lets_in(const struct nat_box *b, const struct nat_entry *f,
    const struct endpoint *from)
{
	switch (b->filter) {
	case FILTER_NONE:
		return true;
	case FILTER_ADDRESS:
		return endpoint_same_addr(&f->remote, from);
	case FILTER_PORT:
		break;
	}
	return endpoint_eq(&f->remote, from);
}

/* True: it goes on to *to, which is inside then. */
static bool
go_in(struct nat_world *w, struct nat_box *b, const struct endpoint *from,
    struct endpoint *to)
{
	struct nat_entry f = { .remote = *from, .port = to->port };

	for (size_t i = 0; i < b->n; i++) {
		struct nat_entry *old = &b->flow[i];

		if (old->port != to->port || !is_alive(w, old))
			continue;
		if (old->strange) {
			if (endpoint_eq(&old->remote, from)) {
				old->used_ms = w->now_ms;
				return false;
			}
			continue;
		}
		if (lets_in(b, old, from)) {
			old->used_ms = w->now_ms;
			*to = old->inside;
			return true;
		}
	}
	f.strange = true;
	if (b->linux_like && b->accepts)
		(void)add_flow(w, b, &f);
	return false;
}

/* ---- the way of a packet ---- */

static struct nat_flight *
new_flight(struct nat_world *w, uint64_t at_ms)
{
	struct nat_flight *f;
	enum err err;

	for (size_t i = 0; i < NAT_WORLD_FLIGHT_MAX; i++) {
		f = &w->flight[w->flight_at++ % NAT_WORLD_FLIGHT_MAX];
		if (f->used)
			continue;
		*f = (struct nat_flight){ .used = true };
		f->timer.owner = f;
		err = heap_set(&w->timers, &f->timer, at_ms);
		assert(!err);
		return f;
	}
	abort();
}

static struct nat_box *
outermost(struct nat_side *s)
{
	for (size_t i = NAT_WORLD_CHAIN_MAX; i-- > 0;)
		if (s->box[i].there)
			return &s->box[i];
	return NULL;
}

/* Routers up to and with the outermost NAT. */
static unsigned
depth(struct nat_side *s)
{
	const struct nat_box *b = outermost(s);

	return b ? b->hops : 0;
}

/* Up to where the world begins; false: it died before. *from becomes what the
 * world sees. */
static bool
leave(struct nat_world *w, struct nat_side *s, struct endpoint *from,
    const struct endpoint *to, unsigned hops)
{
	for (size_t i = 0; i < NAT_WORLD_CHAIN_MAX; i++) {
		if (!s->box[i].there)
			continue;
		if (hops <= s->box[i].hops)
			return false;
		*from = go_out(w, &s->box[i], from, to);
	}
	return true;
}

static void
send_packet(struct nat_world *w, unsigned who, unsigned socket,
    const struct endpoint *to, unsigned hops, enum nat_flight_kind kind)
{
	struct nat_side *s = &w->side[who];
	struct endpoint from = s->host;
	struct nat_flight *f;
	uint64_t way = w->one_way_ms;

	from.port = (uint16_t)(from.port + socket);
	nat_sent(&s->nat, to, socket, w->now_ms);
	if (hops == 0 || w->far_openers)
		hops = 64;
	if (!leave(w, s, &from, to, hops) ||
	    hops < depth(s) + w->hops_between + 1)
		return;
	if (rng_below(&w->rng.rng, 1000) < w->loss)
		return;
	if (w->jitter_ms)
		way += rng_below(&w->rng.rng, w->jitter_ms + 1);
	f = new_flight(w, w->now_ms + way);
	f->kind = kind;
	f->to = 1 - who;
	f->from = from;
	f->dest = *to;
	f->hops_left = hops - depth(s) - w->hops_between;
}

/* At the outermost NAT of its addressee; false: it comes no further. */
static bool
enter(struct nat_world *w, struct nat_flight *f)
{
	struct nat_side *s = &w->side[f->to];
	const struct nat_box *outer = outermost(s);
	const struct endpoint *door = outer ? &outer->outside : &s->host;

	if (!endpoint_same_addr(door, &f->dest))
		return false;
	for (size_t i = NAT_WORLD_CHAIN_MAX; i-- > 0;)
		if (s->box[i].there &&
		    !go_in(w, &s->box[i], &f->from, &f->dest))
			return false;
	return f->hops_left > depth(s) &&
	       endpoint_same_addr(&f->dest, &s->host);
}

/* ---- hosts ---- */

static void
send_says(struct nat_world *w, unsigned to, enum nat_flight_kind kind)
{
	struct nat_side *s = &w->side[1 - to];
	uint64_t way = w->detour_ms;
	struct nat_view view;
	struct nat_view theirs;
	struct nat_flight *f;

	while (rng_below(&w->rng.rng, 1000) < 2 * w->loss)
		way += RESEND_MS;
	f = new_flight(w, w->now_ms + way);
	f->kind = kind;
	f->to = to;
	nat_look(&s->nat, w->now_ms, &view);
	nat_look(&w->side[to].nat, w->now_ms, &theirs);
	for (size_t i = 0; i < theirs.n_seen; i++)
		nat_view_for(&s->nat, &theirs.seen[i], w->now_ms, &view);
	f->says.nat = view;
	f->says.candidate[f->says.n++] = s->host;
	for (size_t i = 0; i < view.n_seen; i++)
		f->says.candidate[f->says.n++] = view.seen[i];
}

static void
begin_plan(struct nat_world *w, unsigned who, bool answers,
    const struct plan_side *theirs, uint32_t attempt)
{
	struct nat_side *s = &w->side[who];
	struct plan_config c = { .rng = &w->rng.rng, .answers = answers };

	c.theirs = *theirs;
	c.rtt_ms = 2 * w->detour_ms;
	c.attempt = attempt;
	nat_look(&s->nat, w->now_ms, &c.own);
	plan_init(&s->plan, &c, w->now_ms);
	s->runs = true;
}

/* What the cell of the other says, as old as it may be: no ports of hard
 * ones. */
static struct plan_side
from_cell(const struct nat_world *w, const struct nat_side *s)
{
	struct plan_side p = { .n = 0 };
	struct nat_view view;

	if (w->no_cell)
		return p;
	nat_look(&s->nat, w->now_ms, &view);
	p.nat.kind = view.kind;
	p.candidate[p.n++] = s->host;
	for (size_t i = 0; i < view.n_seen; i++)
		p.candidate[p.n++] = view.seen[i];
	return p;
}

static void
on_packet(struct nat_world *w, struct nat_flight *f)
{
	struct nat_side *s = &w->side[f->to];
	unsigned socket = (unsigned)(f->dest.port - s->host.port);

	if (f->kind == FLIGHT_PROBE) {
		send_packet(w, f->to, socket, &f->from, 0, FLIGHT_ANSWER);
		if (!s->valid) /* challenged at once */
			send_packet(
			    w, f->to, socket, &f->from, 0, FLIGHT_PROBE);
	} else if (!s->valid) {
		s->valid = true;
		s->valid_ms = w->now_ms;
		s->path = f->from;
		s->path_socket = socket;
		s->again_ms = w->now_ms + AGAIN_MS;
		s->runs = false;
	}
}

static void
on_flight(struct nat_world *w, struct nat_flight *f, uint32_t attempt)
{
	struct nat_side *s = &w->side[f->to];

	switch (f->kind) {
	case FLIGHT_OFFER:
		begin_plan(w, f->to, true, &f->says, attempt);
		plan_agree(&s->plan);
		send_says(w, 1 - f->to, FLIGHT_REPLY);
		break;
	case FLIGHT_REPLY:
		plan_answered(&s->plan, &f->says, w->now_ms);
		plan_agree(&s->plan);
		break;
	case FLIGHT_PROBE:
	case FLIGHT_ANSWER:
		if (enter(w, f))
			on_packet(w, f);
		break;
	}
	f->used = false;
}

static void
go_on(struct nat_world *w, unsigned who)
{
	struct nat_side *s = &w->side[who];

	if (!s->valid || s->again_ms > w->now_ms)
		return;
	send_packet(w, who, s->path_socket, &s->path, 0, FLIGHT_PROBE);
	s->again_ms = w->now_ms < s->valid_ms + AGAIN_MAX_MS
	                  ? w->now_ms + AGAIN_MS
	                  : NEVER;
}

static void
shoot(struct nat_world *w, unsigned who)
{
	struct nat_side *s = &w->side[who];
	struct plan_shot shot;

	while (s->runs && plan_next(&s->plan, w->now_ms, &shot)) {
		s->shots++;
		s->openers += shot.hops > 0;
		if (s->plan.state == PLAN_HEAVY)
			s->heavy_shots++;
		else
			s->light_shots++;
		assert(shot.socket <= plan_sockets(&s->plan));
		send_packet(
		    w, who, shot.socket, &shot.to, shot.hops, FLIGHT_PROBE);
	}
	if (plan_is_over(&s->plan))
		s->runs = false;
}

/* ---- time ---- */

/* Others behind the NATs make flows to elsewhere. */
static void
make_noise(struct nat_world *w)
{
	const uint8_t where[4] = { 9, 9, 9, 9 };
	struct endpoint inside =
	    endpoint_v4((uint8_t[4]){ 192, 168, 1, 99 }, 1);
	struct endpoint remote = endpoint_v4(where, 0);

	inside.port = (uint16_t)(1024 + rng_below(&w->rng.rng, 60000));
	remote.port = (uint16_t)(1 + rng_below(&w->rng.rng, 60000));
	for (unsigned i = 0; i < 2; i++)
		if (outermost(&w->side[i]))
			(void)go_out(
			    w, outermost(&w->side[i]), &inside, &remote);
}

static uint64_t
next_ms(const struct nat_world *w)
{
	const struct heap_node *top = heap_top(&w->timers);
	uint64_t at = top ? top->at_ms : NEVER;

	for (unsigned i = 0; i < 2; i++) {
		const struct nat_side *side = &w->side[i];

		if (side->runs && plan_deadline_ms(&side->plan) < at)
			at = plan_deadline_ms(&side->plan);
		if (side->valid && side->again_ms < at)
			at = side->again_ms;
	}
	return at;
}

/* To the next thing, at most to end_ms; false: nothing came. */
static bool
step_to(struct nat_world *w, uint64_t end_ms, uint32_t attempt)
{
	uint64_t at = next_ms(w);
	struct heap_node *top;

	if (w->noise && w->noise_ms <= end_ms && w->noise_ms < at) {
		w->now_ms = w->noise_ms;
		w->noise_ms += 1 + rng_below(&w->rng.rng, 2000 / w->noise);
		make_noise(w);
		return true;
	}
	if (at > end_ms) {
		w->now_ms = end_ms;
		return false;
	}
	w->now_ms = at > w->now_ms ? at : w->now_ms;
	top = heap_top(&w->timers);
	if (top && top->at_ms <= w->now_ms) {
		struct nat_flight *f = top->owner;

		heap_remove(&w->timers, top);
		on_flight(w, f, attempt);
	}
	for (unsigned i = 0; i < 2; i++) {
		shoot(w, i);
		go_on(w, i);
	}
	return true;
}

void
nat_world_pass(struct nat_world *w, uint64_t ms)
{
	uint64_t end = w->now_ms + ms;

	while (step_to(w, end, 0))
		;
}

static void
sample(struct nat_world *w, struct nat_side *s, unsigned k)
{
	unsigned a = rng_below(&w->rng.rng, 256);
	uint8_t to_addr[4] = { 80, (uint8_t)(40 * k + a % 40), (uint8_t)a, 1 };
	struct endpoint to = endpoint_v4(to_addr, (uint16_t)(6881 + a));
	struct endpoint from = s->host;

	nat_sent(&s->nat, &to, 0, w->now_ms);
	if (!leave(w, s, &from, &to, 64))
		return;
	nat_sample_add(&s->nat, &to, &from, w->now_ms);
	if (s->knows_open)
		nat_unasked(&s->nat, w->now_ms);
}

void
nat_world_sample(struct nat_world *w)
{
	for (unsigned k = 0; k < ANSWERERS; k++)
		for (unsigned i = 0; i < 2; i++) {
			sample(w, &w->side[i], k);
			nat_world_pass(w, 1);
		}
}

/* Flows of the host itself, as of its DHT. */
void
nat_world_talk(struct nat_world *w, unsigned who, unsigned n)
{
	struct nat_side *s = &w->side[who];

	while (n-- > 0) {
		uint8_t a = (uint8_t)rng_below(&w->rng.rng, 256);
		uint8_t b = (uint8_t)rng_below(&w->rng.rng, 256);
		struct endpoint to =
		    endpoint_v4((const uint8_t[4]){ 90, a, b, 1 }, 6881);
		struct endpoint from = s->host;

		nat_sent(&s->nat, &to, 0, w->now_ms);
		(void)leave(w, s, &from, &to, 64);
	}
}

bool
nat_world_try(
    struct nat_world *w, unsigned offerer, uint32_t attempt, uint64_t *ret_ms)
{
	struct plan_side cell = from_cell(w, &w->side[1 - offerer]);
	uint64_t began = w->now_ms;
	uint64_t end = began + 60000;

	for (unsigned i = 0; i < 2; i++)
		w->side[i].valid = w->side[i].runs = false;
	begin_plan(w, offerer, false, &cell, attempt);
	for (size_t i = 0; w->early && i < cell.n; i++)
		send_packet(w, offerer, 0, &cell.candidate[i], 0, FLIGHT_PROBE);
	send_says(w, 1 - offerer, FLIGHT_OFFER);
	shoot(w, offerer);
	while (!(w->side[0].valid && w->side[1].valid) && next_ms(w) != NEVER &&
	       step_to(w, end, attempt))
		;
	*ret_ms = w->now_ms - began;
	for (unsigned i = 0; i < 2; i++) {
		w->side[i].runs = false;
		w->side[i].again_ms = NEVER;
	}
	return w->side[0].valid && w->side[1].valid;
}

/* ---- life ---- */

void
nat_world_init(struct nat_world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	test_rng_init(&w->rng, seed);
	w->now_ms = w->noise_ms = 1000000;
	w->hops_between = 8;
	w->one_way_ms = w->detour_ms = 40;
	for (unsigned i = 0; i < 2; i++)
		nat_init(&w->side[i].nat);
}

/* Addresses and memory. */
static void
build(struct nat_world *w, unsigned who)
{
	struct nat_side *s = &w->side[who];
	uint8_t n = (uint8_t)who;

	s->host = endpoint_v4(
	    (uint8_t[4]){ 192, 168, 1, (uint8_t)(10 + n) }, NAT_WORLD_PORT);
	if (!outermost(s))
		s->host =
		    endpoint_v4((uint8_t[4]){ 20, (uint8_t)(10 + n), 0, 1 },
		        NAT_WORLD_PORT);
	for (size_t i = 0; i < NAT_WORLD_CHAIN_MAX; i++) {
		struct nat_box *b = &s->box[i];

		if (!b->there)
			continue;
		b->flow = calloc(NAT_WORLD_FLOWS_MAX, sizeof(*b->flow));
		assert(b->flow);
		b->outside =
		    b == outermost(s)
		        ? endpoint_v4(
		              (uint8_t[4]){ 20, (uint8_t)(20 + n), 0, 1 }, 0)
		        : endpoint_v4((uint8_t[4]){ 100, 64, n, 1 }, 0);
		b->next = (uint16_t)(10000 + rng_below(&w->rng.rng, 40000));
		b->block = (uint16_t)(1024 + rng_below(&w->rng.rng, 60) * 1024);
	}
}

void
nat_world_start(struct nat_world *w)
{
	for (unsigned i = 0; i < 2; i++)
		build(w, i);
}

void
nat_world_clear(struct nat_world *w)
{
	for (unsigned i = 0; i < 2; i++)
		for (size_t k = 0; k < NAT_WORLD_CHAIN_MAX; k++)
			free(w->side[i].box[k].flow);
	heap_clear(&w->timers);
}

/* ---- the table ---- */

const char *
nat_sort_name(enum nat_sort s)
{
	static const char *const names[NAT_SORTS] = {
		[SORT_PUBLIC] = "public",
		[SORT_CONE] = "full-cone",
		[SORT_ADF] = "adf",
		[SORT_APDF] = "apdf",
		[SORT_LINUX] = "linux",
		[SORT_LINUX_ACCEPTS] = "linux-acc",
		[SORT_CGN] = "cgn-easy",
		[SORT_SEQUENTIAL] = "seq",
		[SORT_BLOCK] = "block",
		[SORT_RANDOM] = "random",
		[SORT_CGN_RANDOM] = "cgn-random",
	};

	return names[s];
}

static struct nat_box
box(enum nat_map map, enum nat_filter filter, enum nat_alloc alloc)
{
	struct nat_box b = { .there = true, .map = map, .filter = filter };

	b.alloc = alloc;
	b.step = 1;
	b.width = 1024;
	b.hops = 1;
	return b;
}

void
nat_side_set(struct nat_side *side, enum nat_sort sort)
{
	struct nat_box *b = side->box;

	switch (sort) {
	case SORT_PUBLIC:
		side->knows_open = true;
		break;
	case SORT_CONE:
		side->knows_open = true;
		b[0] = box(MAP_ANY, FILTER_NONE, ALLOC_RANDOM);
		break;
	case SORT_ADF:
		b[0] = box(MAP_ANY, FILTER_ADDRESS, ALLOC_RANDOM);
		break;
	case SORT_APDF:
		b[0] = box(MAP_ANY, FILTER_PORT, ALLOC_RANDOM);
		break;
	case SORT_LINUX:
	case SORT_LINUX_ACCEPTS:
		b[0] = box(MAP_PORT, FILTER_PORT, ALLOC_KEEP);
		b[0].linux_like = true;
		b[0].accepts = sort == SORT_LINUX_ACCEPTS;
		break;
	case SORT_CGN:
		b[0] = box(MAP_ANY, FILTER_PORT, ALLOC_KEEP);
		b[1] = box(MAP_ANY, FILTER_PORT, ALLOC_RANDOM);
		b[1].hops = 4;
		break;
	case SORT_SEQUENTIAL:
		b[0] = box(MAP_PORT, FILTER_PORT, ALLOC_NEXT);
		break;
	case SORT_BLOCK:
		b[0] = box(MAP_PORT, FILTER_PORT, ALLOC_BLOCK);
		break;
	case SORT_RANDOM:
		b[0] = box(MAP_PORT, FILTER_PORT, ALLOC_RANDOM);
		break;
	case SORT_CGN_RANDOM:
		b[0] = box(MAP_ANY, FILTER_PORT, ALLOC_KEEP);
		b[1] = box(MAP_PORT, FILTER_PORT, ALLOC_RANDOM);
		b[1].hops = 3;
		break;
	}
}
