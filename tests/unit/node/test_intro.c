/* When a node asks others to pass to it what strangers send. [SPEC §8.3] */
#include "proto/node_int.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum {
	STEP_MS = 20,
	NODES = 2,
	KEEP_S = 28, /* at most between two datagrams [SPEC §8.3] */
};

/* One whom everybody reaches, and one who asks. */
enum { SERVER, ASKER };

struct net {
	struct test_rng dice[NODES];
	struct node *n[NODES];
	struct endpoint at[NODES];
	int lost; /* so many more arrive before one does not; -1: all do */
	struct now now;
	/* Of datagrams to the server. */
	size_t n_openers;
	uint64_t sent_ms, longest_ms;
};

/* The nodes borrow from t, which stays where it is. */
static void
begin(struct net *t)
{
	*t = (struct net){ .now = { 1000, UINT64_C(1796123323456) },
		.lost = -1 };
	for (unsigned i = 0; i < NODES; i++) {
		const uint8_t v4[4] = { 20, (uint8_t)(1 + i), 0, 1 };
		struct node_config cfg = { .policy = NODE_OVERLAY,
			.overlay_announce = true,
			.reachable = i == SERVER };

		t->at[i] = endpoint_v4(v4, 4000);
		test_rng_init(&t->dice[i], 1U + i);
		cfg.family[FAMILY_V4] = true;
		cfg.rng = &t->dice[i].rng;
		t->n[i] = node_new(&cfg, t->now);
		assert_non_null(t->n[i]);
		node_set_local(t->n[i], &t->at[i], 1, t->now);
	}
	node_bootstrap(t->n[ASKER], &t->at[SERVER], t->now);
}

static void
name(struct net *t, unsigned i)
{
	struct id_seed seed;

	memset(seed.b, (int)i + 1, sizeof(seed.b));
	assert_int_equal(
	    node_set_identity(t->n[i], &seed, span_of(NULL, 0), t->now),
	    ERR_OK);
}

static void
count(struct net *t, const struct effect *e)
{
	uint64_t gap_ms = t->now.mono_ms - t->sent_ms;

	t->n_openers += e->data.n == OPENER_SIZE;
	t->longest_ms = gap_ms > t->longest_ms ? gap_ms : t->longest_ms;
	t->sent_ms = t->now.mono_ms;
}

static void
carry(struct net *t, unsigned i, const struct effect *e)
{
	if (e->kind != EFFECT_SEND || !endpoint_eq(&e->to, &t->at[!i]))
		return;
	if (i == ASKER)
		count(t, e);
	if (t->lost < 0 || t->lost-- != 0)
		node_receive(t->n[!i], &t->at[i], e->data, t->now);
}

static void
run(struct net *t, uint64_t ms)
{
	for (uint64_t at = 0; at < ms; at += STEP_MS) {
		for (unsigned i = 0; i < NODES; i++) {
			struct effect e;

			if (node_deadline_ms(t->n[i]) <= t->now.mono_ms)
				node_tick(t->n[i], t->now);
			while (node_next_effect(t->n[i], &e))
				carry(t, i, &e);
		}
		t->now.mono_ms += STEP_MS;
		t->now.wall_ms += STEP_MS;
	}
}

static size_t
introducers(const struct net *t)
{
	struct node_stats s;

	node_get_stats(t->n[ASKER], &s);
	return s.introducers;
}

static void
end(struct net *t)
{
	for (unsigned i = 0; i < NODES; i++)
		node_free(t->n[i]);
}

static void
who_has_an_identity_asks_as_soon_as_the_dht_answers(void **state)
{
	struct net t;

	(void)state;
	begin(&t);
	name(&t, ASKER);
	run(&t, 5000);
	assert_int_equal(introducers(&t), 1);
	end(&t);
}

/* As everybody does at the first start. */
static void
who_gets_an_identity_later_asks_at_once(void **state)
{
	struct net t;

	(void)state;
	begin(&t);
	run(&t, 20000);
	assert_int_equal(introducers(&t), 0); /* nobody is to be reached */
	name(&t, ASKER);
	run(&t, 2000);
	assert_int_equal(introducers(&t), 1);
	end(&t);
}

/* The first cells wait a second and a half: that must be enough for one more
 * try. */
static void
a_registration_that_was_lost_is_repeated_soon(void **state)
{
	enum { LOST_MAX = 4, SOON_MS = 400 };

	(void)state;
	for (int i = 0; i < LOST_MAX; i++) {
		struct net t;

		begin(&t);
		run(&t, 20000);
		name(&t, ASKER);
		t.lost = i;
		run(&t, SOON_MS);
		assert_int_equal(t.lost, -1);
		assert_int_equal(introducers(&t), 1);
		end(&t);
	}
}

/* The handles of the old network are left, others are asked for. */
static void
who_moves_asks_at_once(void **state)
{
	struct net t;

	(void)state;
	begin(&t);
	name(&t, ASKER);
	run(&t, 5000);
	t.at[ASKER].port++;
	node_set_local(t.n[ASKER], &t.at[ASKER], 1, t.now);
	run(&t, 2000);
	assert_int_equal(introducers(&t), 1);
	end(&t);
}

/* Most of what does so is the least of all datagrams, which draws nothing. */
static void
a_router_is_kept_open_with_few_bytes(void **state)
{
	enum { MINUTES = 20 };
	struct net t;

	(void)state;
	begin(&t);
	name(&t, ASKER);
	run(&t, 10000);
	t.n_openers = 0;
	t.longest_ms = 0;
	run(&t, UINT64_C(60000) * MINUTES);
	assert_int_equal(introducers(&t), 1);
	assert_in_range(t.longest_ms, 0, 1000 * KEEP_S + STEP_MS);
	assert_in_range(t.n_openers, MINUTES * 60 / KEEP_S / 2, MINUTES * 2);
	end(&t);
}

/* So many as are needed, of a network each. */
static void
all_say_where_we_are(struct net *t, uint16_t port)
{
	for (unsigned i = 0; i < 2 * NAT_SAMPLES_MIN; i++) {
		uint8_t by[4] = { 30, (uint8_t)i, 1, 1 },
		        us[4] = { 40, 1, 1, 1 };
		struct dht_event e = { .kind = DHT_SEEN };

		e.by = endpoint_v4(by, 4000);
		e.address = endpoint_v4(us, port);
		intro_on_dht(t->n[ASKER], net_of(DHT_OVERLAY, FAMILY_V4), &e);
	}
}

/* The introducer would send to where our router was before it began anew. */
static void
who_is_seen_elsewhere_says_so_at_once(void **state)
{
	struct introducer *i;
	struct net t;

	(void)state;
	begin(&t);
	name(&t, ASKER);
	run(&t, 5000);
	all_say_where_we_are(&t, 4000);
	run(&t, 1000 * KEEP_S);
	i = &t.n[ASKER]->intro[0];
	assert_true(i->state == INTRO_SERVES && i->n_holds > 0);
	all_say_where_we_are(&t, 4000);
	assert_true(i->n_holds > 0 && i->next_ms > t.now.mono_ms);
	all_say_where_we_are(&t, 4001);
	assert_true(i->n_holds == 0 && i->next_ms <= t.now.mono_ms);
	/* Not again and again, whatever they say. */
	run(&t, 1000);
	assert_true(i->state == INTRO_SERVES && i->n_holds > 0);
	all_say_where_we_are(&t, 4002);
	assert_true(i->n_holds > 0 && i->next_ms > t.now.mono_ms);
	end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    who_has_an_identity_asks_as_soon_as_the_dht_answers),
		cmocka_unit_test(who_gets_an_identity_later_asks_at_once),
		cmocka_unit_test(a_registration_that_was_lost_is_repeated_soon),
		cmocka_unit_test(who_moves_asks_at_once),
		cmocka_unit_test(a_router_is_kept_open_with_few_bytes),
		cmocka_unit_test(who_is_seen_elsewhere_says_so_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
