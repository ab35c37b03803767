/* From a route to a direct path, when the contact says what he likes: many
 * packets and sockets are for once in a long time, and for him alone. */
#include "tests/support/node_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { STEP_MS = 10, SECOND_MS = 1000, MINUTE_MS = 60 * 1000 };

static const uint32_t easy[] = { 9, 9, 9, 9 };
static const uint32_t hard[] = { 900, 30000, 9000, 19000 };

static const uint8_t his[4] = { 90, 1, 0, 1 };
static const uint8_t others[4] = { 91, 1, 0, 1 };

static struct peer *
peer(const struct node_pair *w)
{
	return w->n[0]->peers[0];
}

/* Strangers see us at these ports. */
static void
be_seen(struct node *n, const uint32_t port[4])
{
	for (uint8_t k = 0; k < 4; k++) {
		struct endpoint by =
		    endpoint_v4((uint8_t[4]){ 80, k, 0, 1 }, 6881);
		struct endpoint us =
		    endpoint_v4((uint8_t[4]){ 20, 7, 0, 1 }, (uint16_t)port[k]);

		nat_sample_add(&n->nat[FAMILY_V4], &by, &us, n->now.mono_ms);
	}
}

/* The session of 0 runs by an introducer, who sees 1 at `his` address. */
static void
begin_routed(struct node_pair *w, const uint32_t port[4])
{
	struct cell_introducer by = { .n = { { 1 } }, .handle = { 1 } };
	struct node *n;

	node_pair_begin_online(w);
	n = w->n[0];
	n->sockets_max = NODE_SOCKETS_MAX;
	by.at = endpoint_v4((uint8_t[4]){ 127, 0, 0, 1 }, 6000);
	assert_true(route_by_introducer(n, &by, &peer(w)->path));
	for (size_t i = 0; i < ROUTES_MAX; i++)
		if (n->routes[i].kind == ROUTE_INTRODUCER)
			n->routes[i].seen = endpoint_v4(his, 7);
	n->n_routed = 1;
	be_seen(n, port);
}

static void
says(struct node_pair *w, enum nat_class class, const uint8_t address[4],
    bool wants_answer)
{
	struct link_candidates o = {
		.class = class, .n = 1, .wants_answer = wants_answer
	};

	o.endpoint[0] = endpoint_v4(address, 7);
	cross_on_offer(w->n[0], peer(w), &o);
}

/* The one try there can be; NULL: none is on. */
static const struct crossing *
crossing(const struct node_pair *w)
{
	const struct crossing *c = NULL;

	for (size_t i = 0; i < CROSSINGS_MAX; i++)
		if (w->n[0]->crossings[i].used)
			c = &w->n[0]->crossings[i];
	return c;
}

struct tally {
	unsigned n_sweeps, n_opened; /* many packets, or sockets, began */
	uint64_t taken_ms;           /* nobody else may have them */
	bool was_heavy;
	uint64_t opened_ms; /* by the try of that time */
};

/* Time passes; what is many goes to nobody but him. */
static void
pass(struct node_pair *w, uint64_t ms, struct tally *t)
{
	struct node *n = w->n[0];
	const struct endpoint him = endpoint_v4(his, 7);

	for (uint64_t end_ms = n->now.mono_ms + ms; n->now.mono_ms < end_ms;) {
		const struct crossing *c;
		bool heavy;

		n->now.mono_ms += STEP_MS;
		cross_tick(n);
		c = crossing(w);
		heavy = c != NULL && c->plan.state == PLAN_HEAVY;
		if (heavy)
			assert_true(endpoint_same_addr(&c->plan.outside, &him));
		t->n_sweeps += heavy && !t->was_heavy;
		t->n_opened += c != NULL && c->n_sockets > 0 &&
		               c->began_ms != t->opened_ms;
		if (c != NULL && c->n_sockets > 0)
			t->opened_ms = c->began_ms;
		t->taken_ms += c != NULL && c->heavy ? STEP_MS : 0;
		t->was_heavy = heavy;
	}
}

/* Our offer knows where he was; his answer aims at somebody else. */
static void
an_answer_does_not_aim_us_at_others(void **state)
{
	(void)state;
	for (unsigned honest = 0; honest < 2; honest++) {
		for (unsigned we = 0; we < 2; we++) {
			enum nat_class class = we ? NAT_EASY : NAT_RANDOM;
			struct node_pair w;
			struct tally t = { 0 };

			begin_routed(&w, we ? hard : easy);
			says(&w, class, his, false);
			peer(&w)->cross_ms = w.n[0]->now.mono_ms;
			pass(&w, 2 * STEP_MS, &t);
			assert_non_null(crossing(&w));
			says(&w, class, honest ? his : others, false);
			pass(&w, 5 * SECOND_MS, &t);
			assert_int_equal(t.n_sweeps, honest);
			assert_int_equal(t.n_opened > 0, honest && we);
			node_pair_end(&w);
		}
	}
}

/* Each offer tells of another address besides, as often as one is heard. */
static void
offers_without_end_bring_no_more(void **state)
{
	const unsigned minutes = 40;

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		bool changes = i & 1, we = i & 2, slowly = i & 4;
		enum nat_class class = we ? NAT_EASY : NAT_RANDOM;
		uint64_t every_ms = slowly ? 2500 : SECOND_MS;
		struct node_pair w;
		struct tally t = { 0 };

		begin_routed(&w, we ? hard : easy);
		for (unsigned k = 0; k < minutes * MINUTE_MS / every_ms; k++) {
			struct link_candidates o = {
				.class = class, .n = 2, .wants_answer = true
			};

			o.endpoint[0] = endpoint_v4(his, 7);
			o.endpoint[1] = endpoint_v4(
			    his, (uint16_t)(changes ? 1000 + k : 1000));
			be_seen(w.n[0], we ? hard : easy);
			cross_on_offer(w.n[0], peer(&w), &o);
			pass(&w, every_ms, &t);
		}
		assert_true(t.n_sweeps <= minutes / 10);
		assert_true(t.n_opened <= minutes / 10);
		assert_true(t.taken_ms * 10 < minutes * MINUTE_MS);
		node_pair_end(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_does_not_aim_us_at_others),
		cmocka_unit_test(offers_without_end_bring_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
