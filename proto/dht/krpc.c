/* Reading KRPC: a dictionary becomes a struct, or nothing at all. */
#include "proto/dht/krpc.h"

#include <assert.h>
#include <string.h>

static const char *const method_names[KRPC_METHODS] = {
	[KRPC_OTHER] = "",
	[KRPC_PING] = "ping",
	[KRPC_FIND_NODE] = "find_node",
	[KRPC_GET_PEERS] = "get_peers",
	[KRPC_ANNOUNCE_PEER] = "announce_peer",
	[KRPC_GET] = "get",
	[KRPC_PUT] = "put",
	[KRPC_SAMPLE] = "sample_infohashes",
	[KRPC_REGISTER] = "register",
	[KRPC_PASS] = "pass",
	[KRPC_HAND] = "hand",
};

_Static_assert(KRPC_HAND == KRPC_METHODS - 1, "all have names");

static bool
is_overlays(enum krpc_method method)
{
	return method == KRPC_REGISTER || method == KRPC_PASS ||
	       method == KRPC_HAND;
}

/* A key that is absent is fine, one of a wrong type or size is not. */
static void
read_bytes(const struct bencode *b, uint32_t at, void *ret, size_t n, bool *has)
{
	*has = bencode_bytes(b, at, ret, n);
}

static bool
wrong(const struct bencode *b, uint32_t dict, const char *key, bool has)
{
	return !has && bencode_get(b, dict, key) != BENCODE_ABSENT;
}

static void
read_want(const struct bencode *b, uint32_t a, struct krpc *m)
{
	uint32_t list = bencode_get(b, a, "want");
	uint32_t at;
	struct span s;

	if (bencode_type(b, list) != BENCODE_LIST)
		return;
	m->has_want = true;
	for (at = bencode_first(b, list); at != BENCODE_ABSENT;
	     at = bencode_next(b, list, at)) {
		if (!bencode_str(b, at, &s))
			continue;
		m->want[FAMILY_V4] |= span_eq(s, span_str("n4"));
		m->want[FAMILY_V6] |= span_eq(s, span_str("n6"));
	}
}

static bool
read_flag(const struct bencode *b, uint32_t dict, const char *key)
{
	int64_t v = 0;

	(void)bencode_int(b, bencode_get(b, dict, key), &v);
	return v != 0;
}

/* What a query and an answer have in common: who, and perhaps an item. */
static void
read_common(const struct bencode *b, uint32_t d, struct krpc *m)
{
	read_bytes(b, bencode_get(b, d, "N"), m->n.b, 32, &m->has_n);
	read_bytes(b, bencode_get(b, d, "id"), m->id.b, 20, &m->has_id);
	read_bytes(b, bencode_get(b, d, "k"), m->k, 32, &m->has_k);
	read_bytes(b, bencode_get(b, d, "sig"), m->sig, 64, &m->has_sig);
	m->has_seq = bencode_int(b, bencode_get(b, d, "seq"), &m->seq);
	m->keep = read_flag(b, d, "keep");
	(void)bencode_str(b, bencode_get(b, d, "token"), &m->token);
	if (bencode_get(b, d, "v") != BENCODE_ABSENT)
		m->v = bencode_raw(b, bencode_get(b, d, "v"));
}

/* The methods of BEP 5 that are about peers name their goal differently. */
static bool
names_hash(enum krpc_method method)
{
	return method == KRPC_GET_PEERS || method == KRPC_ANNOUNCE_PEER;
}

static bool
needs_goal(enum krpc_method method)
{
	return names_hash(method) || method == KRPC_FIND_NODE ||
	       method == KRPC_GET || method == KRPC_SAMPLE;
}

static const char *
fault_of(const struct bencode *b, uint32_t a, const struct krpc *m)
{
	bool writes = m->method == KRPC_PUT || m->method == KRPC_ANNOUNCE_PEER;

	if (!m->has_id)
		return "missing id";
	if (needs_goal(m->method) && !m->has_target)
		return names_hash(m->method) ? "missing info_hash"
		                             : "missing target";
	if (writes && !m->token.p)
		return "missing token";
	if (m->method == KRPC_ANNOUNCE_PEER && !m->implied_port && !m->port)
		return "invalid port";
	if (m->method == KRPC_PUT && !m->v.p)
		return "missing v";
	if (wrong(b, a, "k", m->has_k) || wrong(b, a, "sig", m->has_sig))
		return "invalid key";
	if (wrong(b, a, "seq", m->has_seq) || wrong(b, a, "cas", m->has_cas))
		return "invalid seq";
	if (wrong(b, a, "salt", m->salt.p != NULL))
		return "invalid salt";
	return NULL;
}

static enum krpc_method
method_of(struct span q)
{
	for (int i = KRPC_PING; i < KRPC_METHODS; i++)
		if (span_eq(q, span_str(method_names[i])))
			return (enum krpc_method)i;
	return KRPC_OTHER;
}

static void
read_peer(const struct bencode *b, uint32_t a, struct krpc *m)
{
	int64_t port = 0;

	(void)bencode_int(b, bencode_get(b, a, "port"), &port);
	if (port > 0 && port <= UINT16_MAX)
		m->port = (uint16_t)port;
	m->implied_port = read_flag(b, a, "implied_port");
	m->seed = read_flag(b, a, "seed");
	m->noseed = read_flag(b, a, "noseed");
}

/* An address and a port as they stand everywhere. */
static struct endpoint
read_endpoint(struct reader *r, enum family family)
{
	struct endpoint at;
	uint8_t v4[4];

	if (family == FAMILY_V4) {
		rd_bytes(r, v4, sizeof(v4));
		return endpoint_v4(v4, rd_u16be(r));
	}
	rd_bytes(r, at.addr, sizeof(at.addr));
	at.port = rd_u16be(r);
	return at;
}

static bool
read_address(struct span s, struct endpoint *ret)
{
	struct reader r = rd_init(s);

	if (s.n != 6 && s.n != 18)
		return false;
	*ret = read_endpoint(&r, s.n == 6 ? FAMILY_V4 : FAMILY_V6);
	return rd_done(&r);
}

/* Whom something is for, what it is, and who sends it. */
static void
read_passage(const struct bencode *b, uint32_t a, struct krpc *m)
{
	struct span s;

	read_bytes(b, bencode_get(b, a, "c"), m->cookie, KRPC_END_SIZE,
	    &m->has_cookie);
	read_bytes(b, bencode_get(b, a, "f"), m->circuit, KRPC_END_SIZE,
	    &m->has_circuit);
	read_bytes(b, bencode_get(b, a, "h"), m->handle, KRPC_END_SIZE,
	    &m->has_handle);
	(void)bencode_str(b, bencode_get(b, a, "d"), &m->datagram);
	if (bencode_str(b, bencode_get(b, a, "i"), &s))
		m->has_ip = read_address(s, &m->ip);
}

static bool
read_query(const struct bencode *b, struct krpc *m)
{
	uint32_t a = bencode_get(b, 0, "a");
	int64_t ro = 0;
	struct span q;

	if (!bencode_str(b, bencode_get(b, 0, "q"), &q))
		return false;
	m->method = method_of(q);
	(void)bencode_int(b, bencode_get(b, 0, "ro"), &ro);
	m->read_only = ro == 1;
	if (bencode_type(b, a) != BENCODE_DICT) {
		m->fault = "missing a";
		return true;
	}
	read_common(b, a, m);
	read_bytes(
	    b, bencode_get(b, a, "target"), m->target.b, 20, &m->has_target);
	if (names_hash(m->method) ||
	    ((m->method == KRPC_OTHER || is_overlays(m->method)) &&
	        !m->has_target))
		read_bytes(b, bencode_get(b, a, "info_hash"), m->target.b, 20,
		    &m->has_target);
	m->has_minute = bencode_int(b, bencode_get(b, a, "T"), &m->minute);
	m->has_cas = bencode_int(b, bencode_get(b, a, "cas"), &m->cas);
	(void)bencode_str(b, bencode_get(b, a, "salt"), &m->salt);
	read_want(b, a, m);
	read_peer(b, a, m);
	if (is_overlays(m->method))
		read_passage(b, a, m);
	m->fault = fault_of(b, a, m);
	return true;
}

static void
read_ip(const struct bencode *b, struct krpc *m)
{
	struct span s;

	if (bencode_str(b, bencode_get(b, 0, "ip"), &s))
		m->has_ip = read_address(s, &m->ip);
}

static bool
read_response(const struct bencode *b, struct krpc *m)
{
	uint32_t r = bencode_get(b, 0, "r");

	if (bencode_type(b, r) != BENCODE_DICT)
		return false;
	read_common(b, r, m);
	(void)bencode_str(b, bencode_get(b, r, "nodes"), &m->nodes[FAMILY_V4]);
	(void)bencode_str(b, bencode_get(b, r, "nodes6"), &m->nodes[FAMILY_V6]);
	if (bencode_type(b, bencode_get(b, r, "values")) == BENCODE_LIST)
		m->values = bencode_raw(b, bencode_get(b, r, "values"));
	(void)bencode_str(b, bencode_get(b, r, "samples"), &m->samples);
	(void)bencode_int(b, bencode_get(b, r, "num"), &m->num);
	(void)bencode_int(b, bencode_get(b, r, "interval"), &m->interval);
	(void)bencode_int(b, bencode_get(b, r, "e"), &m->life_s);
	read_ip(b, m);
	return m->has_id;
}

static bool
read_error(const struct bencode *b, struct krpc *m)
{
	uint32_t e = bencode_get(b, 0, "e");
	uint32_t at;

	if (bencode_type(b, e) != BENCODE_LIST)
		return false;
	at = bencode_first(b, e);
	if (!bencode_int(b, at, &m->code))
		return false;
	read_ip(b, m);
	return bencode_str(b, bencode_next(b, e, at), &m->text);
}

enum err
krpc_decode(struct span in, struct bencode *scratch, struct krpc *ret)
{
	struct krpc m = { .kind = KRPC_QUERY };
	struct span y;
	bool good = false;

	assert(scratch && ret);
	if (bencode_parse(in, scratch) ||
	    bencode_type(scratch, 0) != BENCODE_DICT)
		return ERR_MALFORMED;
	if (!bencode_str(scratch, bencode_get(scratch, 0, "y"), &y) ||
	    !bencode_str(scratch, bencode_get(scratch, 0, "t"), &m.t))
		return ERR_MALFORMED;
	if (y.n != 1 || m.t.n > KRPC_T_MAX)
		return ERR_MALFORMED;
	if (y.p[0] == 'q') {
		m.kind = KRPC_QUERY;
		good = read_query(scratch, &m);
	} else if (y.p[0] == 'r') {
		m.kind = KRPC_RESPONSE;
		good = read_response(scratch, &m);
	} else if (y.p[0] == 'e') {
		m.kind = KRPC_ERROR;
		good = read_error(scratch, &m);
	}
	if (!good)
		return ERR_MALFORMED;
	*ret = m;
	return ERR_OK;
}

void
krpc_plain(struct krpc *m)
{
	m->n = (struct node_key){ { 0 } };
	if (m->kind == KRPC_QUERY && is_overlays(m->method))
		m->method = KRPC_OTHER;
}

/* ---- writing; every dictionary in the order of its sorted keys ---- */

static void
put_str(struct writer *w, const char *key, struct span s)
{
	if (!s.p)
		return;
	be_key(w, key);
	be_str(w, s.p, s.n);
}

static void
put_int(struct writer *w, const char *key, int64_t v)
{
	be_key(w, key);
	be_int(w, v);
}

static void
put_raw(struct writer *w, const char *key, struct span raw)
{
	if (!raw.p)
		return;
	be_key(w, key);
	wr_span(w, raw);
}

static struct span
maybe(const uint8_t *p, size_t n, bool has)
{
	return has ? span_of(p, n) : span_of(NULL, 0);
}

static void
put_want(struct writer *w, const struct krpc *m)
{
	if (!m->has_want)
		return;
	be_key(w, "want");
	be_list(w);
	if (m->want[FAMILY_V4])
		be_str(w, "n4", 2);
	if (m->want[FAMILY_V6])
		be_str(w, "n6", 2);
	be_end(w);
}

static void
put_flag(struct writer *w, const char *key, bool v)
{
	if (v)
		put_int(w, key, 1);
}

/* An address and a port, in their own number of bytes. */
static void
put_address(struct writer *w, const char *key, const struct endpoint *at)
{
	uint8_t buf[18];
	struct writer a = wr_init(buf, sizeof(buf));

	wr_span(&a, endpoint_addr(at));
	wr_u16be(&a, at->port);
	assert(!a.bad);
	put_str(w, key, wr_span_of(&a));
}

static void
put_passage(struct writer *w, const struct krpc *m)
{
	put_str(w, "d", m->datagram);
	put_str(w, "f", maybe(m->circuit, KRPC_END_SIZE, m->has_circuit));
	put_str(w, "h", maybe(m->handle, KRPC_END_SIZE, m->has_handle));
	if (m->has_ip)
		put_address(w, "i", &m->ip);
}

static void
put_arguments(struct writer *w, const struct krpc *m)
{
	bool hash = names_hash(m->method);

	be_key(w, "a");
	be_dict(w);
	put_str(w, "N", maybe(m->n.b, sizeof(m->n.b), m->has_n));
	if (m->has_minute)
		put_int(w, "T", m->minute);
	if (is_overlays(m->method))
		put_str(w, "c", maybe(m->cookie, KRPC_END_SIZE, m->has_cookie));
	if (m->has_cas)
		put_int(w, "cas", m->cas);
	if (is_overlays(m->method))
		put_passage(w, m);
	put_str(w, "id", maybe(m->id.b, sizeof(m->id.b), m->has_id));
	put_flag(w, "implied_port", m->implied_port);
	if (hash)
		put_str(w, "info_hash",
		    maybe(m->target.b, sizeof(m->target.b), m->has_target));
	put_str(w, "k", maybe(m->k, sizeof(m->k), m->has_k));
	put_flag(w, "keep", m->keep);
	put_flag(w, "noseed", m->noseed);
	if (m->port)
		put_int(w, "port", m->port);
	put_str(w, "salt", m->salt);
	put_flag(w, "seed", m->seed);
	if (m->has_seq)
		put_int(w, "seq", m->seq);
	put_str(w, "sig", maybe(m->sig, sizeof(m->sig), m->has_sig));
	if (!hash)
		put_str(w, "target",
		    maybe(m->target.b, sizeof(m->target.b), m->has_target));
	put_str(w, "token", m->token);
	put_raw(w, "v", m->v);
	put_want(w, m);
	be_end(w);
}

static void
put_answer(struct writer *w, const struct krpc *m)
{
	be_key(w, "r");
	be_dict(w);
	put_str(w, "N", maybe(m->n.b, sizeof(m->n.b), m->has_n));
	if (m->life_s)
		put_int(w, "e", m->life_s);
	put_str(w, "id", maybe(m->id.b, sizeof(m->id.b), m->has_id));
	if (m->samples.p)
		put_int(w, "interval", m->interval);
	put_str(w, "k", maybe(m->k, sizeof(m->k), m->has_k));
	put_flag(w, "keep", m->keep);
	put_str(w, "nodes", m->nodes[FAMILY_V4]);
	put_str(w, "nodes6", m->nodes[FAMILY_V6]);
	if (m->samples.p)
		put_int(w, "num", m->num);
	if (m->port)
		put_int(w, "p", m->port);
	put_str(w, "samples", m->samples);
	if (m->has_seq)
		put_int(w, "seq", m->seq);
	put_str(w, "sig", maybe(m->sig, sizeof(m->sig), m->has_sig));
	put_str(w, "token", m->token);
	put_raw(w, "v", m->v);
	put_raw(w, "values", m->values);
	be_end(w);
}

void
krpc_encode(const struct krpc *m, struct writer *w)
{
	static const char *const kinds[] = {
		[KRPC_QUERY] = "q", [KRPC_RESPONSE] = "r", [KRPC_ERROR] = "e"
	};

	assert(m->kind >= KRPC_QUERY && m->kind <= KRPC_ERROR);
	assert(m->t.p && m->t.n <= KRPC_T_MAX);
	assert(m->kind != KRPC_ERROR || m->text.p);
	be_dict(w);
	if (m->kind == KRPC_QUERY)
		put_arguments(w, m);
	if (m->kind == KRPC_ERROR) {
		be_key(w, "e");
		be_list(w);
		be_int(w, m->code);
		be_str(w, m->text.p, m->text.n);
		be_end(w);
	}
	if (m->kind != KRPC_QUERY && m->has_ip)
		put_address(w, "ip", &m->ip);
	if (m->kind == KRPC_QUERY) {
		assert(m->method != KRPC_OTHER);
		put_str(w, "q", span_str(method_names[m->method]));
	}
	if (m->kind == KRPC_RESPONSE)
		put_answer(w, m);
	if (m->kind == KRPC_QUERY && m->read_only)
		put_int(w, "ro", 1);
	put_str(w, "t", m->t);
	put_str(w, "y", span_str(kinds[m->kind]));
	be_end(w);
}

/* ---- lists of nodes and peers ---- */

size_t
krpc_node_size(struct krpc_form form)
{
	size_t n = form.family == FAMILY_V4 ? 26 : 38;

	return form.keyed ? n + sizeof(struct node_key) : n;
}

size_t
krpc_nodes_read(
    struct span raw, struct krpc_form form, struct krpc_node *ret, size_t max)
{
	struct reader r = rd_init(raw);
	size_t n = raw.n / krpc_node_size(form);

	assert(ret && max <= KRPC_NODES_MAX);

	if (raw.n % krpc_node_size(form))
		return 0;
	n = n < max ? n : max;
	for (size_t i = 0; i < n; i++) {
		ret[i] = (struct krpc_node){ .at = { .port = 0 } };
		rd_bytes(&r, ret[i].id.b, sizeof(ret[i].id.b));
		ret[i].at = read_endpoint(&r, form.family);
		if (form.keyed)
			rd_bytes(&r, ret[i].n.b, sizeof(ret[i].n.b));
	}
	assert(!r.bad);
	return n;
}

void
krpc_nodes_write(const struct krpc_node *nodes, size_t n, struct krpc_form form,
    struct writer *w)
{
	for (size_t i = 0; i < n; i++) {
		assert(endpoint_family(&nodes[i].at) == form.family);
		wr_bytes(w, nodes[i].id.b, sizeof(nodes[i].id.b));
		wr_span(w, endpoint_addr(&nodes[i].at));
		wr_u16be(w, nodes[i].at.port);
		if (form.keyed)
			wr_bytes(w, nodes[i].n.b, sizeof(nodes[i].n.b));
	}
}

size_t
krpc_peers_read(struct span raw, enum family family, struct bencode *scratch,
    struct endpoint *ret, size_t max)
{
	size_t size = family == FAMILY_V4 ? 6 : 18;
	size_t n = 0;
	uint32_t at;

	assert(ret && max <= KRPC_PEERS_MAX);
	if (!raw.p || bencode_parse(raw, scratch))
		return 0;
	for (at = bencode_first(scratch, 0); at != BENCODE_ABSENT && n < max;
	     at = bencode_next(scratch, 0, at)) {
		struct reader r;
		struct span s;

		if (!bencode_str(scratch, at, &s) || s.n != size)
			continue;
		r = rd_init(s);
		ret[n++] = read_endpoint(&r, family);
		assert(rd_done(&r));
	}
	return n;
}

void
krpc_peers_write(const struct endpoint *peers, size_t n, struct writer *w)
{
	assert(n <= KRPC_PEERS_MAX);
	be_list(w);
	for (size_t i = 0; i < n; i++) {
		uint8_t buf[18];
		struct writer peer = wr_init(buf, sizeof(buf));

		wr_span(&peer, endpoint_addr(&peers[i]));
		wr_u16be(&peer, peers[i].port);
		assert(!peer.bad);
		be_str(w, buf, peer.n);
	}
	be_end(w);
}
