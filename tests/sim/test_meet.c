/*
 * How long it takes to meet: two people and sixteen DHT nodes on a wide-area
 * network, over many seeds. The figures are printed; that they meet at all,
 * and within bounds of virtual time, is asserted.
 */
#include "tests/sim/sim.h"
#include "tests/sim/want.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
	SEEDS = 2,
	SEEDS_LONG = 24,
	STRANGERS = 32,
	CROWD = 16,
	SETTLED_MS = 30000, /* the DHT has found itself */
	PATIENCE_MS = 15 * 60 * 1000,
};

static enum node_policy policy; /* of the worlds to come */

/* One run: what is waited for, and what came of it. */
struct meeting {
	struct sim *s;
	uint64_t from_ms; /* the clock of the figure starts here */
	size_t texts;     /* that must be delivered */
};

struct figures {
	uint64_t ms[SEEDS_LONG];
	uint32_t n;
};

static uint64_t
seeds(void)
{
	return getenv("BTCHAT_LONG") ? SEEDS_LONG : SEEDS;
}

static void
add_event(struct sim *s, const struct sim_event *e)
{
	assert_true(sim_add(s, e->who, e->whom));
}

static void
begin_world(struct meeting *m, uint64_t seed)
{
	struct sim_config cfg = { .seed = seed,
		.n_people = 2,
		.n_crowd = CROWD,
		.policy = policy,
		.trace = getenv("SIM_TRACE") != NULL };

	m->s = sim_new(&cfg);
	m->s->user = m;
	m->texts = 0;
	for (uint32_t i = 0; i < CROWD; i++)
		sim_at(m->s, 100 * i, sim_start_event, 2 + i, 0, 0);
}

static void
end_world(struct meeting *m, bool is_done, struct figures *f)
{
	want_done(m->s, is_done);
	f->ms[f->n++] = m->s->now_ms - m->from_ms;
	sim_free(m->s);
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void
print(const char *what, struct figures *f)
{
	assert_true(f->n > 0);
	qsort(f->ms, f->n, sizeof(f->ms[0]), compare);
	printf("%-44s p50 %7llu ms, p90 %7llu ms, max %7llu ms, n %u\n", what,
	    (unsigned long long)f->ms[f->n / 2],
	    (unsigned long long)f->ms[f->n * 9 / 10],
	    (unsigned long long)f->ms[f->n - 1], f->n);
}

static bool
are_delivered(struct sim *s)
{
	const struct meeting *m = (const struct meeting *)s->user;

	return s->check.n_messages == m->texts && check_missing(&s->check) == 0;
}

/* Both are up and in the DHT; b adds `delay_ms` after a. */
static void
meet_after(uint32_t delay_ms, uint64_t bound_ms, const char *what)
{
	struct figures f = { 0 };

	for (uint64_t seed = 1; seed <= seeds(); seed++) {
		struct meeting m;
		bool is_done;

		begin_world(&m, seed);
		sim_at(m.s, 2000, sim_start_event, 0, 0, 0);
		sim_at(m.s, 2500, sim_start_event, 1, 0, 0);
		sim_at(m.s, SETTLED_MS, add_event, 0, 1, 0);
		m.from_ms = SETTLED_MS + delay_ms;
		sim_at(m.s, m.from_ms, add_event, 1, 0, 0);
		is_done = sim_run(m.s, m.from_ms + PATIENCE_MS, sim_pair_ready);
		end_world(&m, is_done, &f);
	}
	print(what, &f);
	assert_true(f.ms[f.n - 1] <= bound_ms);
}

static void
two_who_add_each_other_meet(void **state)
{
	(void)state;
	meet_after(0, 60000, "both add at the same moment");
	meet_after(1000, 60000, "the second adds 1 s later");
	meet_after(30000, 60000, "the second adds 30 s later");
	meet_after(600000, 60000, "the second adds 10 min later");
}

/* From the start of two programs that know nothing but three addresses. */
static void
two_fresh_nodes_meet(void **state)
{
	struct figures f = { 0 };

	(void)state;
	for (uint64_t seed = 1; seed <= seeds(); seed++) {
		struct meeting m;
		bool is_done;

		begin_world(&m, seed);
		m.from_ms = SETTLED_MS;
		for (uint32_t i = 0; i < 2; i++) {
			sim_at(m.s, m.from_ms, sim_start_event, i, 0, 0);
			sim_at(m.s, m.from_ms, add_event, i, 1 - i, 0);
		}
		is_done = sim_run(m.s, m.from_ms + PATIENCE_MS, sim_pair_ready);
		end_world(&m, is_done, &f);
	}
	print("two fresh nodes, from their start", &f);
	assert_true(f.ms[f.n - 1] <= 60000);
}

static void
they_meet_in_the_overlay_too(void **state)
{
	want_plain_build(); /* mixed does both */
	policy = NODE_OVERLAY;
	meet_after(0, 60000, "overlay: both add at the same moment");
	meet_after(30000, 60000, "overlay: the second adds 30 s later");
	two_fresh_nodes_meet(state);
	policy = NODE_MAINLINE;
}

static void
they_meet_in_both_carriers(void **state)
{
	policy = NODE_MIXED;
	meet_after(0, 60000, "mixed: both add at the same moment");
	meet_after(30000, 60000, "mixed: the second adds 30 s later");
	two_fresh_nodes_meet(state);
	policy = NODE_MAINLINE;
}

static void
invite_event(struct sim *s, const struct sim_event *e)
{
	assert_true(sim_invite(s, e->who, 3600));
}

static void
accept_event(struct sim *s, const struct sim_event *e)
{
	assert_true(sim_accept(s, e->who, 0));
}

static void
an_invitation_makes_contacts(void **state)
{
	struct figures f = { 0 };

	(void)state;
	for (uint64_t seed = 1; seed <= seeds(); seed++) {
		struct meeting m;
		bool is_done;

		begin_world(&m, seed);
		sim_at(m.s, 2000, sim_start_event, 0, 0, 0);
		sim_at(m.s, 2500, sim_start_event, 1, 0, 0);
		sim_at(m.s, SETTLED_MS, invite_event, 0, 0, 0);
		m.from_ms = SETTLED_MS + 20000;
		sim_at(m.s, m.from_ms, accept_event, 1, 0, 0);
		is_done = sim_run(m.s, m.from_ms + PATIENCE_MS, sim_pair_ready);
		end_world(&m, is_done, &f);
	}
	print("from accepting an invitation to a session", &f);
	assert_true(f.ms[f.n - 1] <= 60000);
}

/* Two who are online; then something happens, and both write. */
static void
begin_online(struct meeting *m, uint64_t seed)
{
	begin_world(m, seed);
	sim_at(m->s, 2000, sim_start_event, 0, 0, 0);
	sim_at(m->s, 2500, sim_start_event, 1, 0, 0);
	sim_at(m->s, SETTLED_MS, add_event, 0, 1, 0);
	sim_at(m->s, SETTLED_MS, add_event, 1, 0, 0);
	want_done(m->s, sim_run(m->s, PATIENCE_MS, sim_pair_ready));
	/* A minute of silence: nothing is under way. */
	sim_run(m->s, m->s->now_ms + 60000, NULL);
	want_done(m->s, true);
}

static void
write_both(struct meeting *m)
{
	assert_true(sim_write(m->s, 0, 1, 100));
	assert_true(sim_write(m->s, 1, 0, 100));
	m->texts += 2;
	m->from_ms = m->s->now_ms;
}

static void
a_crash_is_healed(void **state)
{
	struct figures f = { 0 };

	(void)state;
	for (uint64_t seed = 1; seed <= seeds(); seed++) {
		struct meeting m;
		bool is_done;

		begin_online(&m, seed);
		sim_crash_for(m.s, 1, 5000);
		sim_run(m.s, m.s->now_ms + 5000, NULL);
		write_both(&m);
		is_done = sim_run(m.s, m.from_ms + PATIENCE_MS, are_delivered);
		end_world(&m, is_done, &f);
	}
	print("from a restart to both texts delivered", &f);
	assert_true(f.ms[f.n - 1] <= 60000);
}

static void
one_who_moves_is_found_again(void **state)
{
	struct figures f = { 0 };

	(void)state;
	for (uint64_t seed = 1; seed <= seeds(); seed++) {
		struct meeting m;
		bool is_done;

		begin_online(&m, seed);
		sim_move(m.s, 0, true);
		write_both(&m);
		is_done = sim_run(m.s, m.from_ms + PATIENCE_MS, are_delivered);
		end_world(&m, is_done, &f);
	}
	print("one has a new address, both texts delivered", &f);
	assert_true(f.ms[f.n - 1] <= 60000);
}

static void
two_who_both_move_find_each_other_again(void **state)
{
	struct figures f = { 0 };

	(void)state;
	for (uint64_t seed = 1; seed <= seeds(); seed++) {
		struct meeting m;
		bool is_done;

		begin_online(&m, seed);
		sim_move(m.s, 0, true);
		sim_move(m.s, 1, true);
		write_both(&m);
		is_done = sim_run(m.s, m.from_ms + PATIENCE_MS, are_delivered);
		end_world(&m, is_done, &f);
	}
	print("both have new addresses, both texts delivered", &f);
	assert_true(f.ms[f.n - 1] <= 10 * 60000);
}

static void
a_text_takes_a_round_trip(void **state)
{
	struct figures f = { 0 };

	(void)state;
	for (uint64_t seed = 1; seed <= seeds(); seed++) {
		struct meeting m;
		bool is_done;

		begin_online(&m, seed);
		write_both(&m);
		is_done = sim_run(m.s, m.from_ms + PATIENCE_MS, are_delivered);
		end_world(&m, is_done, &f);
	}
	print("online, both texts delivered", &f);
	assert_true(f.ms[f.n - 1] <= 1000);
}

/* It lets in only who was sent something just now. */
static const struct router_config home_router = { .filtering = DEPENDS_PORT };

static void
meet_behind_routers(uint32_t routers, uint32_t delay_ms, const char *what)
{
	struct figures f = { 0 };

	for (uint64_t seed = 1; seed <= seeds(); seed++) {
		struct meeting m;
		bool is_done;

		begin_world(&m, seed);
		for (uint32_t i = 0; i < routers; i++)
			net_router(&m.s->net, i, &home_router);
		sim_at(m.s, 2000, sim_start_event, 0, 0, 0);
		sim_at(m.s, 2500, sim_start_event, 1, 0, 0);
		sim_at(m.s, SETTLED_MS, add_event, 0, 1, 0);
		m.from_ms = SETTLED_MS + delay_ms;
		sim_at(m.s, m.from_ms, add_event, 1, 0, 0);
		is_done =
		    sim_run(m.s, m.from_ms + 2 * PATIENCE_MS, sim_pair_ready);
		end_world(&m, is_done, &f);
	}
	print(what, &f);
}

static void
routers_do_not_keep_people_apart(void **state)
{
	(void)state;
	meet_behind_routers(1, 1000, "one behind a router that filters");
	meet_behind_routers(2, 1000, "both behind routers that filter");
}

/* What an idle pair of contacts costs: an hour in datagrams and bytes. */
static void
idling_is_cheap(void **state)
{
	struct meeting m;
	uint64_t out;
	uint64_t bytes;

	(void)state;
	begin_online(&m, 1);
	out = m.s->nodes[0].n_out;
	bytes = m.s->net.bytes_sent;
	sim_run(m.s, m.s->now_ms + 3600000, NULL);
	want_done(m.s, true);
	printf("an idle hour: %.2f datagrams/s of a person, %.0f B/s of a "
	       "node on average\n",
	    (double)(m.s->nodes[0].n_out - out) / 3600,
	    (double)(m.s->net.bytes_sent - bytes) / 3600 / (CROWD + 2));
	assert_true(sim_pair_ready(m.s));
	sim_free(m.s);
}

/* Contacts who never come, in a net so small that looking for all of them at
 * the start is more than each node is asked; at home, so that nobody asks it
 * to introduce him, and what goes out is of its own making. */
static void
waiting_for_many_is_cheap(void **state)
{
	struct meeting m;
	uint64_t out;
	struct sim_node *n;

	(void)state;
	begin_world(&m, 1);
	net_router(&m.s->net, 0, &home_router);
	sim_at(m.s, 2000, sim_start_event, 0, 0, 0);
	sim_run(m.s, SETTLED_MS, NULL);
	n = &m.s->nodes[0];
	n->is_person = false; /* the checker knows no strangers */
	for (uint32_t i = 0; i < STRANGERS; i++) {
		struct id_seed seed = { { (uint8_t)i, 7 } };
		struct contact_id c;
		struct id_pk pk;
		struct id_sk sk;

		identity_from_seed(&seed, &pk, &sk);
		assert_int_equal(
		    node_contact_add(n->node, &pk, &c, sim_now(m.s, 0)),
		    ERR_OK);
		sim_settle(m.s, 0);
	}
	sim_run(m.s, m.s->now_ms + 3600000, NULL);
	out = n->n_out;
	sim_run(m.s, m.s->now_ms + 3600000, NULL);
	want_done(m.s, true);
	printf("an hour with %d absent contacts: %.1f datagrams/min\n",
	    STRANGERS, (double)(n->n_out - out) / 60);
	/* In the overlay two introducers are renewed every 25 s besides. */
	assert_true(n->n_out - out <
	            60 * (STRANGERS + (policy == NODE_MAINLINE ? 0 : 6)));
	sim_free(m.s);
}

static void
waiting_in_both_carriers_is_cheap_too(void **state)
{
	policy = NODE_MIXED;
	waiting_for_many_is_cheap(state);
	policy = NODE_MAINLINE;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_who_add_each_other_meet),
		cmocka_unit_test(two_fresh_nodes_meet),
		cmocka_unit_test(they_meet_in_the_overlay_too),
		cmocka_unit_test(they_meet_in_both_carriers),
		cmocka_unit_test(an_invitation_makes_contacts),
		cmocka_unit_test(a_text_takes_a_round_trip),
		cmocka_unit_test(a_crash_is_healed),
		cmocka_unit_test(one_who_moves_is_found_again),
		cmocka_unit_test(two_who_both_move_find_each_other_again),
		cmocka_unit_test(routers_do_not_keep_people_apart),
		cmocka_unit_test(idling_is_cheap),
		cmocka_unit_test(waiting_for_many_is_cheap),
		cmocka_unit_test(waiting_in_both_carriers_is_cheap_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
