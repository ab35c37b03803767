/* A mapping against a gateway of a few lines that answers, lies, reboots. */
#include "proto/nat/mapping.h"

#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PORT = 41641, OUTER = 1000 };

static struct test_rng rng;

/* What runs in each test: our side, the clock, and the last request. */
struct lab {
	struct mapping m;
	struct now now;
	uint8_t request[PCP_REQUEST_SIZE];
	size_t n;
	uint32_t epoch_s;
};

static struct lab
lab_new(void)
{
	const uint8_t us[4] = { 192, 168, 1, 7 };
	struct endpoint at = endpoint_v4(us, PORT);
	struct lab l = { .now = { 1000, 1000 }, .epoch_s = 5000 };

	mapping_init(&l.m, &rng.rng);
	mapping_start(&l.m, &at, l.now);
	return l;
}

/* The datagrams that are due; how many. The last one stays. */
static unsigned
pop(struct lab *l)
{
	struct writer w = wr_init(l->request, sizeof(l->request));
	unsigned n = 0;

	mapping_tick(&l->m, l->now);
	while (mapping_next(&l->m, &w)) {
		l->n = w.n;
		w = wr_init(l->request, sizeof(l->request));
		n++;
	}
	return n;
}

static void
forward(struct lab *l, uint64_t ms)
{
	l->now.mono_ms += ms;
	l->epoch_s += (uint32_t)(ms / 1000);
}

/* To the next thing that mapping wants to do. */
static void
forward_to_deadline(struct lab *l)
{
	uint64_t at = mapping_deadline_ms(&l->m);

	assert_true(at != NEVER && at >= l->now.mono_ms);
	forward(l, at - l->now.mono_ms);
}

struct answer {
	uint8_t result;
	uint32_t lifetime_s;
	uint8_t ip[4];
	uint16_t port;
};

static const struct answer good = { 0, 3600, { 203, 0, 113, 9 }, OUTER };

/* PCP's answer to the last request. */
static struct span
pcp_answer(struct lab *l, const struct answer *a, uint8_t buf[60])
{
	struct endpoint e = endpoint_v4(a->ip, a->port);
	struct writer w = wr_init(buf, 60);

	wr_u8(&w, 2);
	wr_u8(&w, 0x81);
	wr_u8(&w, 0);
	wr_u8(&w, a->result);
	wr_u32be(&w, a->lifetime_s);
	wr_u32be(&w, l->epoch_s);
	wr_zeros(&w, 12);
	wr_bytes(&w, l->request + 24, 18); /* nonce, protocol, inner port */
	wr_u16be(&w, e.port);
	wr_bytes(&w, e.addr, 16);
	assert_int_equal(w.n, 60);
	return wr_span_of(&w);
}

static void
answer(struct lab *l, const struct answer *a)
{
	uint8_t buf[60];

	mapping_receive(&l->m, pcp_answer(l, a, buf), l->now);
}

static void
answer_pmp_address(struct lab *l, const uint8_t ip[4])
{
	uint8_t buf[12];
	struct writer w = wr_init(buf, sizeof(buf));

	wr_u32be(&w, 0x00800000);
	wr_u32be(&w, l->epoch_s);
	wr_bytes(&w, ip, 4);
	mapping_receive(&l->m, wr_span_of(&w), l->now);
}

static void
answer_pmp_map(struct lab *l, uint16_t port, uint32_t lifetime_s)
{
	uint8_t buf[16];
	struct writer w = wr_init(buf, sizeof(buf));

	wr_u32be(&w, 0x00810000);
	wr_u32be(&w, l->epoch_s);
	wr_u16be(&w, PORT);
	wr_u16be(&w, port);
	wr_u32be(&w, lifetime_s);
	mapping_receive(&l->m, wr_span_of(&w), l->now);
}

static bool
has(const struct lab *l, const uint8_t ip[4], uint16_t port)
{
	struct endpoint want = endpoint_v4(ip, port);
	struct endpoint e;

	return mapping_endpoint(&l->m, &e) && endpoint_eq(&e, &want);
}

static bool
has_none(const struct lab *l)
{
	struct endpoint e;

	return !mapping_endpoint(&l->m, &e);
}

/* A lab that holds `good`. */
static struct lab
lab_mapped(void)
{
	struct lab l = lab_new();

	assert_int_equal(pop(&l), 1);
	answer(&l, &good);
	assert_true(has(&l, good.ip, OUTER));
	return l;
}

/* ---- tests ---- */

static void
a_mapping_is_had_and_renewed_with_the_same_nonce(void **state)
{
	struct lab l = lab_mapped();
	uint8_t nonce[PCP_NONCE_SIZE];

	(void)state;
	memcpy(nonce, l.request + 24, sizeof(nonce));
	for (int i = 0; i < 20; i++) {
		uint64_t before = l.now.mono_ms;

		forward_to_deadline(&l);
		assert_true(l.now.mono_ms - before >= MAPPING_CHECK_MS);
		assert_true(l.now.mono_ms - before <= MAPPING_CHECK_MS * 5 / 4);
		assert_int_equal(pop(&l), 1);
		assert_memory_equal(l.request + 24, nonce, sizeof(nonce));
		assert_int_equal(l.request[42] << 8 | l.request[43], OUTER);
		answer(&l, &good);
		assert_true(has(&l, good.ip, OUTER));
	}
}

static void
a_short_life_is_renewed_at_its_half(void **state)
{
	const struct answer brief = { 0, 120, { 203, 0, 113, 9 }, OUTER };
	struct lab l = lab_new();
	uint64_t before;

	(void)state;
	(void)pop(&l);
	answer(&l, &brief);
	before = l.now.mono_ms;
	forward_to_deadline(&l);
	assert_in_range(l.now.mono_ms - before, 60000, 75000);
}

/* [RFC 6887 §8.1.1]: 3 s, doubled, up to 1024 s, each 10 % off. */
static void
seconds_of_life_are_a_refusal(void **state)
{
	struct lab l = lab_new();
	struct answer brief = good;
	unsigned n = 0;

	(void)state;
	brief.lifetime_s = 1;
	(void)pop(&l);
	while (l.now.mono_ms < 3600 * 1000) {
		answer(&l, &brief);
		assert_int_not_equal(l.m.state, MAPPING_HELD);
		forward_to_deadline(&l);
		n += pop(&l);
	}
	assert_in_range(n, 1, 3600 / MAPPING_REFUSED_MIN_S * 2);
}

static void
only_what_was_asked_for_changes_the_address(void **state)
{
	struct lab l = lab_mapped();
	struct answer other = good;
	struct endpoint before, after;

	(void)state;
	assert_true(mapping_endpoint(&l.m, &before));
	for (uint16_t i = 1; i < 100; i++) {
		other.port = (uint16_t)(OUTER + i);
		answer(&l, &other);
		assert_true(mapping_endpoint(&l.m, &after));
		assert_true(endpoint_eq(&before, &after));
	}
}

static void
silence_is_met_by_ever_fewer_requests(void **state)
{
	struct lab l = lab_new();
	uint64_t want = MAPPING_FIRST_MS;
	unsigned n = 0;

	(void)state;
	for (int i = 0; i < 40; i++) {
		uint64_t before = l.now.mono_ms;
		uint64_t waited;

		n += pop(&l);
		forward_to_deadline(&l);
		waited = l.now.mono_ms - before;
		assert_true(waited * 100 >= want * 75);
		assert_true(waited <= (uint64_t)MAPPING_LAST_MS * 11 / 10);
		want =
		    waited * 2 < MAPPING_LAST_MS ? waited * 2 : MAPPING_LAST_MS;
	}
	assert_true(has_none(&l));
	assert_true(n <= 80 && l.now.mono_ms > 20000000);
}

static void
what_is_not_renewed_is_given_up(void **state)
{
	struct lab l = lab_mapped();
	uint64_t end = l.now.mono_ms + UINT64_C(3600000);
	unsigned n = 0;

	(void)state;
	while (!has_none(&l)) {
		forward_to_deadline(&l);
		n += pop(&l);
		assert_true(l.now.mono_ms <= end);
	}
	assert_true(l.now.mono_ms == end);
	assert_in_range(n, 3, 40);
	answer(&l, &good);
	assert_true(has(&l, good.ip, OUTER));
}

static void
a_wrong_nonce_or_port_is_not_our_answer(void **state)
{
	struct lab l = lab_new();
	uint8_t buf[60];

	(void)state;
	(void)pop(&l);
	for (size_t at = 24; at < 42; at++) {
		struct span a = pcp_answer(&l, &good, buf);

		if (at >= 37 && at < 40)
			continue; /* reserved */
		buf[at] ^= 1;
		mapping_receive(&l.m, a, l.now);
		assert_true(has_none(&l));
		assert_int_equal(l.m.state, MAPPING_ASKING);
	}
	answer(&l, &good);
	assert_true(has(&l, good.ip, OUTER));
}

static void
a_second_nat_outside_is_not_told_to_others(void **state)
{
	static const uint8_t inner[][4] = { { 10, 0, 0, 1 }, { 192, 168, 0, 2 },
		{ 172, 16, 9, 9 }, { 100, 64, 0, 1 }, { 100, 127, 255, 254 },
		{ 127, 0, 0, 1 }, { 0, 0, 0, 0 }, { 224, 0, 0, 1 },
		{ 169, 254, 1, 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++) {
		struct answer a = good;
		struct lab l = lab_new();

		(void)pop(&l);
		memcpy(a.ip, inner[i], 4);
		answer(&l, &a);
		assert_int_equal(l.m.state, MAPPING_HELD);
		assert_true(has_none(&l));
		assert_true(mapping_behind_nat(&l.m));
	}
}

static void
a_gateway_that_forgot_maps_anew(void **state)
{
	const struct answer other = { 0, 3600, { 203, 0, 113, 77 }, 2000 };
	struct lab l = lab_mapped();

	(void)state;
	forward_to_deadline(&l);
	assert_int_equal(pop(&l), 1);
	l.epoch_s = 3; /* rebooted; the renewal made a new one */
	answer(&l, &other);
	assert_int_equal(l.m.n_reboots, 1);
	assert_true(has(&l, other.ip, 2000));
	/* The clock goes on evenly: no reboot more. */
	forward_to_deadline(&l);
	(void)pop(&l);
	answer(&l, &other);
	assert_int_equal(l.m.n_reboots, 1);
}

static void
version_error_leads_to_nat_pmp_at_once(void **state)
{
	static const uint8_t pmp_no[8] = { 0, 0x81, 0, 1, 0, 0, 0, 9 };
	struct lab l = lab_new();

	(void)state;
	(void)pop(&l);
	mapping_receive(&l.m, span_of(pmp_no, sizeof(pmp_no)), l.now);
	assert_int_equal(pop(&l), 2); /* address and map, without waiting */
	assert_int_equal(l.n, 12);
	answer_pmp_map(&l, OUTER, 7200);
	assert_true(has_none(&l));
	answer_pmp_address(&l, good.ip);
	assert_true(has(&l, good.ip, OUTER));
	/* Reboot: an answer with an early epoch has it mapped anew at once. */
	forward(&l, 100000);
	l.epoch_s = 1;
	answer_pmp_address(&l, good.ip);
	assert_int_equal(l.m.n_reboots, 1);
	assert_int_equal(pop(&l), 2);
	answer_pmp_map(&l, 3000, 7200);
	assert_true(has(&l, good.ip, 3000));
	/* A clock that jumps with every answer gets no more for it. */
	for (int i = 0; i < 100; i++) {
		l.epoch_s = i % 2 ? 1 : 100000;
		answer_pmp_address(&l, good.ip);
		assert_int_equal(pop(&l), 0);
	}
}

static void
a_gateway_deaf_to_pcp_is_asked_in_the_old_way(void **state)
{
	struct lab l = lab_new();
	unsigned n = 0;

	(void)state;
	while (pop(&l) == 1) {
		assert_true(++n <= MAPPING_PCP_ALONE);
		forward_to_deadline(&l);
	}
	answer_pmp_address(&l, good.ip); /* the map was PCP's */
	assert_int_equal(pop(&l), 2);
	answer_pmp_address(&l, good.ip);
	answer_pmp_map(&l, OUTER, 7200);
	assert_true(has(&l, good.ip, OUTER));
}

static void
a_refusal_stands_for_its_time_and_not_longer(void **state)
{
	struct answer no = { 8, 60, { 0 }, 0 }; /* NO_RESOURCES */
	struct lab l = lab_new();
	uint64_t before;

	(void)state;
	(void)pop(&l);
	answer(&l, &no);
	assert_int_equal(l.m.state, MAPPING_REFUSED);
	before = l.now.mono_ms;
	forward_to_deadline(&l);
	assert_in_range(l.now.mono_ms - before, 54000, 66000);
	assert_int_equal(pop(&l), 1);
	no.lifetime_s = UINT32_MAX;
	answer(&l, &no);
	before = l.now.mono_ms;
	forward_to_deadline(&l);
	assert_true(
	    l.now.mono_ms - before <= UINT64_C(1100) * MAPPING_REFUSED_MAX_S);
}

static void
no_authority_under_pcp_is_tried_by_nat_pmp(void **state)
{
	struct answer no = { PCP_NOT_AUTHORIZED, 60, { 0 }, 0 };
	struct lab l = lab_new();

	(void)state;
	(void)pop(&l);
	answer(&l, &no);
	assert_int_equal(l.m.protocol, MAPPING_NATPMP);
	assert_int_equal(pop(&l), 2);
}

static void
a_clean_end_gives_the_mapping_back(void **state)
{
	struct lab l = lab_mapped();
	uint8_t nonce[PCP_NONCE_SIZE];

	(void)state;
	memcpy(nonce, l.request + 24, sizeof(nonce));
	mapping_release(&l.m);
	assert_int_equal(pop(&l), 1);
	assert_memory_equal(l.request + 4, "\0\0\0\0", 4); /* lifetime */
	assert_memory_equal(l.request + 24, nonce, sizeof(nonce));
	assert_int_equal(pop(&l), 0);
	assert_true(mapping_deadline_ms(&l.m) >= l.now.mono_ms);
	l = lab_new(); /* nothing held: nothing to give back */
	mapping_release(&l.m);
	assert_int_equal(pop(&l), 0);
}

static void
another_gateway_gets_another_nonce(void **state)
{
	const uint8_t us[4] = { 192, 168, 1, 8 };
	struct endpoint at = endpoint_v4(us, PORT);
	struct lab l = lab_mapped();
	uint8_t nonce[PCP_NONCE_SIZE];

	(void)state;
	memcpy(nonce, l.request + 24, sizeof(nonce));
	mapping_start(&l.m, &l.m.internal, l.now); /* the same: nothing */
	assert_true(has(&l, good.ip, OUTER));
	mapping_start(&l.m, &at, l.now);
	assert_true(has_none(&l));
	assert_int_equal(pop(&l), 1);
	assert_memory_not_equal(l.request + 24, nonce, sizeof(nonce));
	mapping_stop(&l.m);
	assert_true(has_none(&l));
	assert_true(mapping_deadline_ms(&l.m) == NEVER);
}

static void
a_pinhole_of_ipv6_is_a_map_to_itself(void **state)
{
	struct endpoint us = { { 0x20, 0x01, 0x0d, 0xb8, [15] = 7 }, PORT };
	struct lab l = { .now = { 1000, 1000 }, .epoch_s = 5000 };
	struct endpoint e;
	uint8_t buf[60];

	(void)state;
	mapping_init(&l.m, &rng.rng);
	mapping_start(&l.m, &us, l.now);
	assert_int_equal(pop(&l), 1);
	assert_memory_equal(l.request + 8, us.addr, 16);
	(void)pcp_answer(&l, &good, buf);
	memcpy(buf + 44, us.addr, 16);
	buf[42] = PORT >> 8;
	buf[43] = PORT & 0xff;
	mapping_receive(&l.m, span_of(buf, sizeof(buf)), l.now);
	assert_true(mapping_endpoint(&l.m, &e) && endpoint_eq(&e, &us));
}

/* ---- UPnP, by somebody else ---- */

static struct mapping_done
brought(const struct lab *l, uint16_t port)
{
	struct mapping_done d = { .internal = l->m.internal };

	d.external = endpoint_v4(good.ip, port);
	d.lifetime_s = 3600;
	return d;
}

/* A lab whose gateway answers nothing, with a job out. */
static struct lab
lab_asking_upnp(struct mapping_job *ret)
{
	struct lab l = lab_new();
	bool any = false;

	mapping_set_upnp(&l.m, true);
	for (int i = 0; i <= MAPPING_UPNP_AFTER; i++) {
		assert_false(any);
		(void)pop(&l);
		any = mapping_next_job(&l.m, ret);
		if (!any)
			forward_to_deadline(&l);
	}
	assert_true(any);
	/* PCP and NAT-PMP have had their time: 3, 6 and 12 s, or so. */
	assert_in_range(l.now.mono_ms, 1000 + 15000, 1000 + 30000);
	return l;
}

/* And what it brought. */
static struct lab
lab_by_upnp(void)
{
	struct mapping_job job;
	struct lab l = lab_asking_upnp(&job);
	struct mapping_done d = brought(&l, OUTER);

	mapping_job_done(&l.m, &d, l.now);
	assert_true(has(&l, good.ip, OUTER));
	return l;
}

static void
upnp_comes_when_nothing_else_was_answered(void **state)
{
	struct mapping_job job;
	struct lab l = lab_asking_upnp(&job);
	struct mapping_done d = brought(&l, OUTER);

	(void)state;
	assert_int_equal(job.external_port, PORT);
	assert_int_equal(job.internal.port, PORT);
	assert_int_equal(job.lifetime_s, MAPPING_LIFE_S);
	assert_false(mapping_next_job(&l.m, &job)); /* one at a time */
	mapping_job_done(&l.m, &d, l.now);
	assert_true(has(&l, good.ip, OUTER));
	assert_int_equal(l.m.protocol, MAPPING_UPNP);
	/* It is renewed in the same way, and by nothing else. */
	for (int i = 0; i < 5; i++) {
		forward_to_deadline(&l);
		assert_int_equal(pop(&l), 0);
		assert_true(mapping_next_job(&l.m, &job));
		assert_int_equal(job.external_port, OUTER);
		d = brought(&l, OUTER);
		mapping_job_done(&l.m, &d, l.now);
	}
}

static void
without_upnp_or_where_pcp_is_answered_no_job_comes(void **state)
{
	struct lab l = lab_mapped();
	struct endpoint us = { { 0x20, 0x01, 0x0d, 0xb8, [15] = 7 }, PORT };
	struct mapping_job job;

	(void)state;
	mapping_set_upnp(&l.m, true);
	for (int i = 0; i < 20; i++) {
		forward_to_deadline(&l);
		(void)pop(&l);
		assert_false(mapping_next_job(&l.m, &job));
		answer(&l, &good);
	}
	l = lab_new();
	for (int i = 0; i < 20; i++) {
		forward_to_deadline(&l);
		(void)pop(&l);
		assert_false(mapping_next_job(&l.m, &job));
	}
	mapping_set_upnp(&l.m, true);
	mapping_start(&l.m, &us, l.now); /* IPv6 knows nothing of it */
	for (int i = 0; i < 20; i++) {
		forward_to_deadline(&l);
		(void)pop(&l);
		assert_false(mapping_next_job(&l.m, &job));
	}
}

static void
a_clean_end_gives_back_what_upnp_brought(void **state)
{
	struct lab l = lab_by_upnp();
	struct mapping_job job;

	(void)state;
	forward_to_deadline(&l);
	(void)pop(&l);
	assert_true(mapping_next_job(&l.m, &job)); /* and while it is renewed */
	mapping_release(&l.m);
	assert_int_equal(pop(&l), 0);
	assert_true(mapping_next_job(&l.m, &job));
	assert_int_equal(job.lifetime_s, 0);
	assert_int_equal(job.external_port, OUTER);
	assert_false(mapping_next_job(&l.m, &job));
}

/* The gateway learns PCP while UPnP is spoken to it: one mapping too many, if
 * they are two. */
static void
pcp_that_is_answered_late_wins_over_upnp(void **state)
{
	struct mapping_job job;
	struct lab l = lab_asking_upnp(&job);
	struct mapping_done d = brought(&l, OUTER + 1);

	(void)state;
	answer(&l, &good);
	assert_true(has(&l, good.ip, OUTER));
	mapping_job_done(&l.m, &d, l.now);
	assert_true(has(&l, good.ip, OUTER));
	assert_int_equal(l.m.protocol, MAPPING_PCP);
	assert_true(mapping_next_job(&l.m, &job));
	assert_int_equal(job.lifetime_s, 0);
	assert_int_equal(job.external_port, OUTER + 1);
	l = lab_asking_upnp(&job);
	answer(&l, &good);
	d = brought(&l, OUTER); /* the same one: it stays */
	mapping_job_done(&l.m, &d, l.now);
	assert_false(mapping_next_job(&l.m, &job));
}

static void
what_upnp_brings_is_believed_as_little(void **state)
{
	const uint8_t cgn[4] = { 100, 64, 0, 9 };
	struct mapping_job job;
	struct lab l = lab_asking_upnp(&job);
	struct mapping_done d;

	(void)state;
	d = brought(&l, OUTER);
	d.internal.port++; /* of another job */
	mapping_job_done(&l.m, &d, l.now);
	assert_true(has_none(&l));
	d = brought(&l, 0);
	mapping_job_done(&l.m, &d, l.now);
	assert_true(has_none(&l));
	d = brought(&l, OUTER); /* not asked for any more */
	mapping_job_done(&l.m, &d, l.now);
	assert_true(has_none(&l));
	l = lab_asking_upnp(&job);
	d = brought(&l, OUTER);
	d.lifetime_s = MAPPING_LIFE_MIN_S - 1;
	mapping_job_done(&l.m, &d, l.now);
	assert_true(has_none(&l));
	l = lab_asking_upnp(&job);
	d = brought(&l, OUTER);
	d.external = endpoint_v4(cgn, OUTER);
	mapping_job_done(&l.m, &d, l.now);
	assert_true(has_none(&l) && mapping_behind_nat(&l.m));
	l = lab_asking_upnp(&job);
	d = brought(&l, OUTER);
	d.external = (struct endpoint){ { 0x20, 1 }, OUTER };
	mapping_job_done(&l.m, &d, l.now);
	assert_true(has_none(&l));
}

/* Then what it brought ends with its time, and PCP is tried again. */
static void
who_speaks_upnp_may_end(void **state)
{
	struct lab l = lab_by_upnp();
	struct mapping_job job;

	(void)state;
	mapping_set_upnp(&l.m, false);
	for (int i = 0; i < 100 && !has_none(&l); i++) {
		forward_to_deadline(&l);
		(void)pop(&l);
		assert_false(mapping_next_job(&l.m, &job));
	}
	assert_true(has_none(&l));
	assert_int_equal(l.m.protocol, MAPPING_PCP);
	l = lab_asking_upnp(&job); /* with a job that he had */
	mapping_set_upnp(&l.m, false);
	mapping_release(&l.m);
	assert_false(mapping_next_job(&l.m, &job));
}

static int
set_up(void **state)
{
	(void)state;
	test_rng_init(&rng, 1);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_mapping_is_had_and_renewed_with_the_same_nonce),
		cmocka_unit_test(a_short_life_is_renewed_at_its_half),
		cmocka_unit_test(seconds_of_life_are_a_refusal),
		cmocka_unit_test(only_what_was_asked_for_changes_the_address),
		cmocka_unit_test(silence_is_met_by_ever_fewer_requests),
		cmocka_unit_test(what_is_not_renewed_is_given_up),
		cmocka_unit_test(a_wrong_nonce_or_port_is_not_our_answer),
		cmocka_unit_test(a_second_nat_outside_is_not_told_to_others),
		cmocka_unit_test(a_gateway_that_forgot_maps_anew),
		cmocka_unit_test(version_error_leads_to_nat_pmp_at_once),
		cmocka_unit_test(a_gateway_deaf_to_pcp_is_asked_in_the_old_way),
		cmocka_unit_test(a_refusal_stands_for_its_time_and_not_longer),
		cmocka_unit_test(no_authority_under_pcp_is_tried_by_nat_pmp),
		cmocka_unit_test(a_clean_end_gives_the_mapping_back),
		cmocka_unit_test(another_gateway_gets_another_nonce),
		cmocka_unit_test(a_pinhole_of_ipv6_is_a_map_to_itself),
		cmocka_unit_test(upnp_comes_when_nothing_else_was_answered),
		cmocka_unit_test(
		    without_upnp_or_where_pcp_is_answered_no_job_comes),
		cmocka_unit_test(a_clean_end_gives_back_what_upnp_brought),
		cmocka_unit_test(pcp_that_is_answered_late_wins_over_upnp),
		cmocka_unit_test(what_upnp_brings_is_believed_as_little),
		cmocka_unit_test(who_speaks_upnp_may_end),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
