/* Who may use us as a relay, and whom we use: what contacts may say of it. */
#include "proto/node_int.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { CONTACTS = DHT_TRUSTED_MAX + 8 };

static struct test_rng dice;
static const struct now now = { 1000, UINT64_C(1796123323456) };
static struct node *n;
static struct peer *p[CONTACTS];

static void
begin(bool relays)
{
	struct node_config cfg = { .rng = &dice.rng,
		.loopback = true,
		.policy = NODE_OVERLAY,
		.relay_contacts = relays };
	struct id_seed seed = { { 1 } };

	test_rng_init(&dice, 5);
	cfg.family[FAMILY_V4] = true;
	n = node_new(&cfg, now);
	assert_non_null(n);
	assert_int_equal(
	    node_set_identity(n, &seed, span_of(NULL, 0), now), ERR_OK);
	for (unsigned i = 0; i < CONTACTS; i++) {
		struct self other;
		struct contact_id id;

		memset(seed.b, 2, sizeof(seed.b));
		memcpy(seed.b, &i, sizeof(i));
		self_init(&other, &seed, &dice.rng, now.wall_ms / 1000);
		assert_int_equal(
		    node_contact_add(n, &other.id, &id, now), ERR_OK);
		p[i] = peer_by_id(n, &id);
	}
}

/* It is here, at an address, and says that in its HELLO. */
static void
comes(unsigned i, uint32_t capabilities, uint8_t key)
{
	static const uint8_t here[4] = { 127, 0, 0, 1 };
	struct link_hello h = { .capabilities = capabilities };

	if (key)
		memset(h.node[FAMILY_V4].b, key, sizeof(h.node[0].b));
	else
		memcpy(h.node[FAMILY_V4].b, &i, sizeof(i));
	p[i]->online = true;
	p[i]->has_node = true;
	p[i]->path = endpoint_v4(here, (uint16_t)(2000 + i));
	relay_on_up(n, p[i], &h);
	p[i]->node = (struct dht_node){ p[i]->path, p[i]->keys[FAMILY_V4] };
	relays_changed(n);
}

static bool
is_trusted(unsigned i)
{
	return memcmp(&p[i]->trusted[FAMILY_V4], &p[i]->keys[FAMILY_V4],
	           sizeof(p[i]->trusted[0])) == 0;
}

/* One more; false: there is no room. */
static bool
has_room(void)
{
	struct dht *d = n->dht[net_of(DHT_OVERLAY, FAMILY_V4)];
	struct node_key key;

	memset(&key, 0xfe, sizeof(key));
	if (dht_set_trusted(d, &key, 1) != ERR_OK)
		return false;
	assert_int_equal(dht_set_trusted(d, &key, 0), ERR_OK);
	return true;
}

static void
decide(unsigned i, bool relay)
{
	struct node_decision what = { .relay = relay };

	assert_int_equal(
	    node_contact_decide(n, &p[i]->c.id, &what, now), ERR_OK);
}

/* Only who wants to, and then for every contact, but never for more than there
 * is room for: who is away makes it. */
static void
a_relay_trusts_those_who_are_there(void **state)
{
	(void)state;
	begin(false);
	comes(1, 0, 0);
	assert_false(is_trusted(1));
	node_free(n);
	begin(true);
	for (unsigned i = 1; i <= DHT_TRUSTED_MAX; i++) {
		comes(i, 0, 0);
		assert_true(is_trusted(i));
	}
	assert_false(has_room());
	comes(DHT_TRUSTED_MAX + 1, 0, 0);
	assert_false(is_trusted(DHT_TRUSTED_MAX + 1));
	p[7]->online = false;
	comes(DHT_TRUSTED_MAX + 2, 0, 0);
	assert_true(is_trusted(DHT_TRUSTED_MAX + 2));
	assert_false(is_trusted(7));
	/* Who begins anew has another N, and takes one place all the same. */
	comes(8, 0, 99);
	assert_true(is_trusted(8));
	assert_false(has_room());
	relay_forget(n, p[8]);
	assert_true(has_room());
	node_free(n);
}

/* Hostile input 95: a contact names the N of another, and goes. */
static void
hostile_95_nobody_takes_away_what_another_was_given(void **state)
{
	(void)state;
	begin(true);
	for (unsigned i = 1; i < DHT_TRUSTED_MAX; i++)
		comes(i, 0, 0);
	comes(0, 0, 50);
	assert_false(has_room());
	comes(CONTACTS - 1, 0, 50); /* it costs no second place */
	assert_true(is_trusted(CONTACTS - 1));
	relay_forget(n, p[CONTACTS - 1]);
	assert_true(is_trusted(0));
	assert_false(has_room());
	relay_forget(n, p[0]);
	assert_true(has_room());
	node_free(n);
}

/* It offers, we choose, it is there: all three. */
static void
only_who_offers_and_is_chosen_relays(void **state)
{
	struct dht_node at;

	(void)state;
	begin(false);
	comes(0, 0, 40);
	comes(1, LINK_CAPABILITY_RELAY, 41);
	comes(2, UINT32_MAX, 42);
	assert_false(relay_choose(n, 0, &at));
	decide(0, true);
	assert_false(relay_choose(n, 0, &at));
	assert_null(relay_of(n, &p[0]->keys[FAMILY_V4]));
	assert_null(relay_of(n, &p[1]->keys[FAMILY_V4]));
	decide(2, true);
	assert_true(relay_choose(n, 0, &at));
	assert_true(endpoint_eq(&at.at, &p[2]->path));
	assert_ptr_equal(relay_of(n, &p[2]->keys[FAMILY_V4]), p[2]);
	/* Over a route he is none: there is no route over a route. */
	p[2]->path = endpoint_route(77);
	p[2]->has_node = false;
	assert_false(relay_choose(n, 0, &at));
	comes(2, LINK_CAPABILITY_RELAY, 42);
	assert_true(relay_choose(n, 0, &at));
	decide(2, false);
	assert_false(relay_choose(n, 0, &at));
	assert_null(relay_of(n, &p[2]->keys[FAMILY_V4]));
	node_free(n);
}

static bool
by_introducer(const struct cell_introducer *i, struct endpoint *ret)
{
	return route_by_introducer(n, i, ret);
}

/* Where a cell says that he is does not matter, if we know better; and what we
 * did not choose is a route like any other. */
static void
a_relay_is_met_where_we_meet_him(void **state)
{
	struct cell_introducer i = { .handle = { 1 } };
	struct endpoint e, before;
	struct route r;

	(void)state;
	begin(false);
	comes(1, LINK_CAPABILITY_RELAY, 41);
	i.n = p[1]->keys[FAMILY_V4];
	i.at = endpoint_v4((const uint8_t[4]){ 10, 0, 0, 1 }, 99);
	assert_false(by_introducer(&i, &e)); /* inside our network */
	i.at = endpoint_v4((const uint8_t[4]){ 9, 9, 9, 9 }, 99);
	assert_true(by_introducer(&i, &before));
	assert_int_equal(endpoint_rank(&before), RANK_POOR);
	decide(1, true);
	assert_true(by_introducer(&i, &e));
	assert_int_equal(endpoint_rank(&e), RANK_ROOMY);
	assert_true(route_look(n, &e, &r));
	assert_true(endpoint_eq(&r.way.introducer.at, &p[1]->path));
	assert_false(endpoint_eq(&e, &before));
	/* No longer chosen: what ran by him is over. */
	decide(1, false);
	assert_false(route_look(n, &e, &r));
	decide(1, true);
	assert_true(by_introducer(&i, &e));
	p[1]->online = false;
	assert_true(by_introducer(&i, &e)); /* perhaps he is there for us */
	assert_true(route_look(n, &e, &r));
	assert_true(endpoint_eq(&r.way.introducer.at, &i.at));
	assert_int_equal(node_contact_delete(n, &p[1]->c.id, now), ERR_OK);
	assert_false(route_look(n, &e, &r));
	node_free(n);
}

/* He knew our N, and is asked for nothing: neither where he was, nor under his
 * key elsewhere; and what ran by him is over. */
static void
nothing_goes_by_who_is_shut_out(void **state)
{
	struct cell_introducer i = { .handle = { 1 } };
	struct node_decision hide = { .hides = true };
	struct node_key before, after;
	struct dht_node beside;
	struct endpoint e;
	struct route r;

	(void)state;
	for (int blocks = 0; blocks < 2; blocks++) {
		begin(false);
		comes(1, LINK_CAPABILITY_RELAY, 41);
		comes(2, 0, 42);
		p[1]->c.ready = true;
		assert_true(contact_learn_path(&p[1]->c, &p[1]->path));
		i.n = p[1]->keys[FAMILY_V4];
		i.at = endpoint_v4((const uint8_t[4]){ 9, 9, 9, 9 }, 99);
		beside = (struct dht_node){ p[1]->path, { { 77 } } };
		assert_true(by_introducer(&i, &e));
		assert_false(presence_avoids(n, &beside));
		node_key(n, FAMILY_V4, &before);
		if (blocks) {
			assert_int_equal(
			    node_contact_block(n, &p[1]->c.id, true, now),
			    ERR_OK);
		} else {
			assert_int_equal(
			    node_contact_decide(n, &p[1]->c.id, &hide, now),
			    ERR_OK);
			assert_true(presence_run(n, p[1]));
		}
		node_key(n, FAMILY_V4, &after);
		assert_false(node_key_eq(&before, &after));
		assert_false(route_look(n, &e, &r));
		assert_false(by_introducer(&i, &e));
		assert_true(presence_avoids(n, &beside));
		i.n = p[2]->keys[FAMILY_V4];
		assert_true(by_introducer(&i, &e));
		/* At another address there is another node. */
		node_set_local(n, &i.at, 1, now);
		node_key(n, FAMILY_V4, &before);
		assert_false(node_key_eq(&before, &after));
		assert_int_equal(
		    node_contact_block(n, &p[1]->c.id, false, now), ERR_OK);
		node_free(n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_relay_trusts_those_who_are_there),
		cmocka_unit_test(
		    hostile_95_nobody_takes_away_what_another_was_given),
		cmocka_unit_test(only_who_offers_and_is_chosen_relays),
		cmocka_unit_test(a_relay_is_met_where_we_meet_him),
		cmocka_unit_test(nothing_goes_by_who_is_shut_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
