/* The node, what it has sent, and the clock. */
#include "tests/support/dht_lab.h"

#include "tests/support/dht_item.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct lab lab;

void
lab_drain(void)
{
	struct dht_send s;
	struct dht_event e;
	struct krpc m;

	while (dht_next_event(lab.d, &e)) {
		if (e.kind == DHT_VALUE) {
			lab.n_values++;
			lab.value = *e.item;
		}
		if (e.kind == DHT_GET_DONE || e.kind == DHT_PUT_DONE) {
			lab.n_done++;
			lab.done = e;
		}
		if (e.kind == DHT_SEEN) {
			lab.n_seen++;
			lab.seen = e;
		}
		if (e.kind == DHT_UNSOLICITED) {
			lab.n_strangers++;
			lab.stranger = e;
		}
	}
	while (dht_next_send(lab.d, &s)) {
		assert_int_equal(krpc_decode(s.data, &lab.scratch, &m), ERR_OK);
		assert_true(m.kind != KRPC_QUERY || !m.fault);
		assert_true(s.data.n <= 1024 || m.v.p);
		assert_int_not_equal(s.to.port, 0);
		lab.bytes_sent += s.data.n;
		if (lab.n_sent < LAB_SENT_MAX) {
			struct lab_sent *to = &lab.sent[lab.n_sent];

			to->to = s.to;
			to->n = s.data.n;
			memcpy(to->data, s.data.p, s.data.n);
		}
		lab.n_sent++;
	}
}

void
lab_clear(void)
{
	lab.n_sent = lab.bytes_sent = 0;
}

int
lab_setup(void **state)
{
	struct dht_config cfg = { .rng = &lab.rng.rng };

	(void)state;
	memset(&lab, 0, sizeof(lab));
	test_rng_init(&lab.rng, test_seed(31));
	lab.now = (struct now){ 5000, UINT64_C(1800000000000) };
	lab.d = dht_new(&cfg, lab.now);
	return lab.d ? 0 : -1;
}

int
lab_teardown(void **state)
{
	(void)state;
	dht_free(lab.d);
	return 0;
}

void
lab_inject(const struct endpoint *from, struct span data)
{
	dht_receive(lab.d, from, data, lab.now);
	lab_drain();
}

void
lab_krpc(const struct endpoint *from, const struct krpc *m)
{
	static uint8_t buf[TEST_BUF];

	lab_inject(from, test_encode(m, buf));
}

void
lab_pass(uint64_t for_ms)
{
	uint64_t end_ms = lab.now.mono_ms + for_ms;

	while (dht_deadline_ms(lab.d) <= end_ms) {
		uint64_t at_ms = dht_deadline_ms(lab.d);

		if (at_ms > lab.now.mono_ms)
			lab.now.mono_ms = at_ms;
		dht_tick(lab.d, lab.now);
		lab_drain();
	}
	lab.now.mono_ms = end_ms;
}

const struct krpc *
lab_sent(size_t i)
{
	assert_true(i < lab.n_sent && i < LAB_SENT_MAX);
	assert_int_equal(krpc_decode(span_of(lab.sent[i].data, lab.sent[i].n),
	                     &lab.scratch, &lab.got),
	    ERR_OK);
	return &lab.got;
}

struct krpc
lab_query(enum krpc_method method)
{
	struct krpc m = { .kind = KRPC_QUERY, .method = method };

	m.t = span_str("abcd");
	m.has_id = true;
	memset(m.id.b, 0x3c, sizeof(m.id.b));
	m.has_target = method != KRPC_PING && method != KRPC_PUT;
	return m;
}

struct krpc_node
lab_peer(unsigned n)
{
	struct krpc_node node = { .at =
		                      test_addr(20 + n / 200, n % 200, 1, 1) };

	nodeid_make(&node.at, (uint8_t)n, &lab.rng.rng, &node.id);
	return node;
}

void
lab_reply(size_t i, const struct krpc_node *node, struct krpc *m)
{
	uint8_t t[KRPC_T_MAX];
	size_t n = lab_sent(i)->t.n;

	memcpy(t, lab.got.t.p, n);
	m->kind = KRPC_RESPONSE;
	m->t = span_of(t, n);
	m->has_id = true;
	m->id = node->id;
	lab_krpc(&node->at, m);
	m->t = span_of(NULL, 0);
}

void
lab_meet(struct krpc_node *nodes, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct krpc m = { .kind = KRPC_RESPONSE };

		nodes[i] = lab_peer(i);
		lab_clear();
		dht_candidate(lab.d, &nodes[i].at, lab.now);
		lab_drain();
		assert_int_equal(lab.n_sent, 1);
		lab_reply(0, &nodes[i], &m);
	}
	lab_clear();
}

size_t
lab_sent_to(const struct endpoint *at)
{
	for (size_t i = 0; i < lab.n_sent && i < LAB_SENT_MAX; i++)
		if (endpoint_eq(&lab.sent[i].to, at))
			return i;
	return LAB_SENT_MAX;
}

size_t
lab_n_to(const struct endpoint *at)
{
	size_t n = 0;

	assert_true(lab.n_sent <= LAB_SENT_MAX);
	for (size_t i = 0; i < lab.n_sent; i++)
		n += endpoint_eq(&lab.sent[i].to, at);
	return n;
}

int64_t
lab_put_code(const struct endpoint *from, struct krpc *m, bool good_token)
{
	static uint8_t token[64];
	struct krpc ask = lab_query(KRPC_GET);
	struct target target;

	items_target(m, &target);
	ask.target = target;
	lab_clear();
	lab_krpc(from, &ask);
	assert_int_equal(lab_sent(0)->token.n, TOKEN_SIZE);
	memcpy(token, lab.got.token.p, TOKEN_SIZE);
	token[3] ^= !good_token;
	m->token = span_of(token, TOKEN_SIZE);
	lab_clear();
	lab_krpc(from, m);
	assert_int_equal(lab.n_sent, 1);
	return lab_sent(0)->kind == KRPC_ERROR ? lab.got.code : 0;
}
