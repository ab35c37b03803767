/*
 * The DHT at scale: real nodes, churn, loss, NATs, dead nodes, and one kind
 * of adversary at a time. Prints the figures of each case.
 *
 *   DHT_CASE=name   only cases that match; * and ?
 *   DHT_SEED=n      DHT_NODES=n     DHT_MINUTES=n   DHT_READS=n
 *   DHT_TRACE=1     prints each read that did not find the newest value
 */
#include "tests/sim/again.h"
#include "tests/sim/compare.h"
#include "tests/sim/dht/world.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* How large a case is in make check, and in make check-long. */
struct size {
	uint32_t nodes, minutes, reads;
};
static const struct size whole[2] = { { 1000, 10, 1200 },
	{ 10000, 90, 10000 } };
static const struct size attacked[2] = { { 300, 8, 500 }, { 1000, 60, 3000 } };

static void
choose(const char *name, enum world_attack attack, const struct size size[2],
    struct world_config *ret)
{
	const struct size *z = &size[getenv("BTCHAT_LONG") != NULL];
	uint64_t minutes = again_number("DHT_MINUTES", z->minutes);

	world_defaults(ret, again_number("DHT_SEED", 1),
	    (uint32_t)again_number("DHT_NODES", z->nodes));
	ret->attack = attack;
	ret->measure_ms = minutes * 60 * 1000;
	ret->n_reads = (uint32_t)again_number("DHT_READS", z->reads);
	ret->trace = getenv("DHT_TRACE") != NULL;
	again_set("DHT_CASE=%s DHT_SEED=%llu DHT_NODES=%u DHT_MINUTES=%llu "
	          "DHT_READS=%u DHT_TRACE=1",
	    name, (unsigned long long)ret->seed, ret->n_nodes,
	    (unsigned long long)minutes, ret->n_reads);
}

static bool
holds(const struct world_sum *gets, uint64_t per_mille)
{
	return gets->good * 1000 >= gets->n * per_mille;
}

/* Runs a case; per_mille of the reads must find the newest value. */
static void
run(const char *name, enum world_attack attack, const struct size size[2],
    uint64_t per_mille)
{
	struct world_config cfg;
	struct world_figures f;
	bool good;

	choose(name, attack, size, &cfg);
	world_run(&cfg, &f);
	world_figures_print(&cfg, &f);
	good = !f.why[0] && f.get.n > 0 && holds(&f.get, per_mille) &&
	       holds(&f.aimed, per_mille) && f.replays_taken == 0 &&
	       f.attack_out <= 3 * f.attack_in;
	world_figures_clear(&f);
	if (!good)
		printf("%s", again_command());
	assert_true(good);
}

static void
every_cell_is_found_under_churn_and_loss(void **state)
{
	(void)state;
	run(__func__, ATTACK_NONE, whole, 999);
}

static void
sybils_with_a_third_of_the_ids_hide_nothing(void **state)
{
	(void)state;
	run(__func__, ATTACK_SYBIL, attacked, 990);
}

static void
an_eclipse_of_64_nodes_hides_no_cell(void **state)
{
	(void)state;
	run(__func__, ATTACK_ECLIPSE, attacked, 990);
}

static void
replayed_tokens_and_puts_change_nothing(void **state)
{
	(void)state;
	run(__func__, ATTACK_REPLAY, attacked, 990);
}

static void
a_victim_gets_three_bytes_for_one_at_most(void **state)
{
	(void)state;
	run(__func__, ATTACK_REFLECT, attacked, 990);
}

static void
lying_answers_lead_nobody_astray(void **state)
{
	(void)state;
	run(__func__, ATTACK_LIE, attacked, 990);
}

static void
nodes_that_change_their_ids_harm_nobody(void **state)
{
	(void)state;
	run(__func__, ATTACK_CHANGE, attacked, 990);
}

static void
digest_of(uint64_t seed, enum world_attack attack, char ret[17])
{
	struct world_config cfg;
	struct world_figures f;

	world_defaults(&cfg, seed, 64);
	cfg.attack = attack;
	cfg.measure_ms = 2 * 60 * 1000;
	cfg.n_reads = 100;
	world_run(&cfg, &f);
	sodium_bin2hex(ret, 17, f.digest, sizeof(f.digest));
	world_figures_clear(&f);
}

static void
a_seed_gives_the_same_packets_from_every_compiler(void **state)
{
	char text[WORLD_ATTACKS * 20] = "", hex[17], again[17];

	(void)state;
	for (int i = 0; i < WORLD_ATTACKS; i++) {
		digest_of(1, (enum world_attack)i, hex);
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    "%d %s\n", i, hex);
	}
	printf("%s", text);
	digest_of(1, ATTACK_CHANGE, again);
	assert_string_equal(hex, again);
	digest_of(2, ATTACK_CHANGE, again);
	assert_string_not_equal(hex, again);
	assert_true(compare_keep(again_program(), text));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_seed_gives_the_same_packets_from_every_compiler),
		cmocka_unit_test(every_cell_is_found_under_churn_and_loss),
		cmocka_unit_test(sybils_with_a_third_of_the_ids_hide_nothing),
		cmocka_unit_test(an_eclipse_of_64_nodes_hides_no_cell),
		cmocka_unit_test(replayed_tokens_and_puts_change_nothing),
		cmocka_unit_test(a_victim_gets_three_bytes_for_one_at_most),
		cmocka_unit_test(lying_answers_lead_nobody_astray),
		cmocka_unit_test(nodes_that_change_their_ids_harm_nobody),
	};
	const char *which = getenv("DHT_CASE");

	(void)argc;
	again_begin(argv[0]);
	if (which)
		cmocka_set_test_filter(which);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
