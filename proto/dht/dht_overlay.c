/* What a node of the overlay does besides: seals, opens, proves its id. */
#include "proto/dht/dht_state.h"

#include <assert.h>
#include <string.h>

bool
overlay_honest(const struct dht *d, const struct krpc_node *node)
{
	return !d->carrier ||
	       (node_key_is_set(&node->n) &&
	           overlay_id_valid(node->n.b, &node->at, &node->id));
}

/* An address that BEP 42 leaves out binds nothing. */
void
overlay_own_id(struct dht *d, const struct endpoint *at)
{
	bool binds = at && endpoint_scope(at) == SCOPE_GLOBAL;

	assert(d->carrier);
	carrier_id(d->carrier, binds ? at : NULL, &d->id);
	d->bound = binds;
}

/* ---- out ---- */

static bool
gives_nodes(enum krpc_method method)
{
	switch (method) {
	case KRPC_FIND_NODE:
	case KRPC_GET_PEERS:
	case KRPC_SAMPLE:
	case KRPC_GET:
		return true;
	case KRPC_OTHER:
	case KRPC_PING:
	case KRPC_ANNOUNCE_PEER:
	case KRPC_PUT:
	case KRPC_REGISTER:
	case KRPC_PASS:
	case KRPC_HAND:
		break;
	}
	return false;
}

/* Where nobody waits six nodes are enough, and no value is expected: a query
 * pays for a third of its answer. */
static size_t
answer_max(const struct rpc_request *r, enum krpc_method method)
{
	if (!gives_nodes(method))
		return 0;
	return r->op && r->op->roomy ? OVERLAY_SIZE_MAX : OVERLAY_FEW;
}

bool
overlay_ask(struct dht *d, const struct rpc_request *r, struct krpc *m,
    struct writer *out, uint16_t *ret)
{
	bool introduction = r->use == RPC_INTRODUCE;
	struct now now = { d->now_ms, d->wall_ms };
	uint8_t plain[OVERLAY_KRPC_MAX];
	struct writer w = wr_init(plain, sizeof(plain));
	struct carrier_query q = { .to = r->to };

	assert(!introduction || m->method == KRPC_PING);
	if (!introduction && !node_key_is_set(r->n))
		return false;
	q.n = introduction ? NULL : r->n;
	q.answer_max = answer_max(r, m->method);
	m->read_only |= introduction; /* the day's key hides nothing */
	m->has_n = !m->read_only;
	carrier_key(d->carrier, &m->n);
	m->has_minute = true;
	m->minute = (int64_t)(d->wall_ms / 60000);
	krpc_encode(m, &w);
	if (w.bad) /* a value larger than ours are */
		return false;
	q.krpc = wr_span_of(&w);
	return carrier_ask(d->carrier, &q, now, out, ret) == ERR_OK;
}

size_t
overlay_encode(const struct dht *d, struct krpc *m, struct writer *ret)
{
	/* Nothing is compared with it, unless the caller says so. */
	if (!m->t.p)
		m->t = span_str("");
	m->has_minute = true;
	m->minute = (int64_t)(d->wall_ms / 60000);
	krpc_encode(m, ret);
	return ret->bad ? 0 : overlay_size(ret->n, 0);
}

bool
overlay_tell(struct dht *d, const struct endpoint *to, const struct node_key *n,
    struct span plain)
{
	struct now now = { d->now_ms, d->wall_ms };
	struct carrier_query q = { .to = to, .n = n, .krpc = plain };
	struct writer w;

	if (!out_begin(d, &w) || carrier_tell(d->carrier, &q, now, &w))
		return false;
	out_commit(d, &w, to);
	return true;
}

bool
overlay_answer(struct dht *d, struct writer *w)
{
	uint8_t plain[OVERLAY_KRPC_MAX];
	size_t n = w->n;

	assert(d->call && !w->bad && n <= sizeof(plain));
	memcpy(plain, w->p, n);
	w->n = 0;
	w->cap = OVERLAY_SIZE_MAX;
	return carrier_answer(d->carrier, d->call, span_of(plain, n), w) ==
	       ERR_OK;
}

/* ---- in ---- */

static bool
take_answer(struct dht *d, const struct endpoint *from, struct span datagram,
    uint16_t asked)
{
	uint8_t plain[OVERLAY_KRPC_MAX];
	struct writer w = wr_init(plain, sizeof(plain));
	struct node_key n;
	const struct rpc *found;
	struct krpc m;
	struct rpc rpc;

	if (carrier_read_answer(d->carrier, asked, datagram, &w, &n) ||
	    krpc_decode(wr_span_of(&w), &d->scratch, &m) ||
	    m.kind == KRPC_QUERY)
		return false;
	found = rpc_find(d, from, m.t);
	if (!found || found->asked != asked || !rpc_take(d, from, m.t, &rpc))
		return false;
	if (rpc.use == RPC_INTRODUCE) {
		care_introduced(d, &rpc, &m);
		return true;
	}
	m.has_n = true; /* proven, whatever the message says */
	m.n = n;
	dht_on_answer(d, &rpc, &m);
	return true;
}

/* What draws nothing whoever sends it, and may come often. */
static bool
is_mute(const struct krpc *m)
{
	return m->method == KRPC_HAND ||
	       (m->method == KRPC_PASS && !m->has_handle);
}

/* Opened; is it a message that deserves an answer? */
static bool
fits(struct dht *d, const struct carrier_call *call, const struct krpc *m)
{
	struct now now = { d->now_ms, d->wall_ms };

	if (m->kind != KRPC_QUERY || !m->has_minute)
		return false;
	if (call->introduction && m->method != KRPC_PING)
		return false;
	return carrier_take(d->carrier, call, is_mute(m), m->minute, now);
}

/* Only who can ask is charged for asking: forged junk would else make us deaf
 * to a whole network. What is passed has budgets of its own. */
static bool
serve(struct dht *d, const struct endpoint *from, struct krpc *m,
    struct span datagram)
{
	assert(d->call);
	if (m->method == KRPC_HAND)
		return ways_hand(d, from, m);
	if (m->method == KRPC_PASS)
		return introducer_pass(d, from, m, datagram.n);
	if (!dht_may_ask(d, from))
		return false;
	if (m->method == KRPC_REGISTER)
		return introducer_register(d, from, m);
	dht_on_query(d, from, m, datagram);
	return true;
}

static bool
take_query(struct dht *d, const struct endpoint *from, struct span datagram)
{
	struct now now = { d->now_ms, d->wall_ms };
	uint8_t plain[OVERLAY_KRPC_MAX];
	struct writer w = wr_init(plain, sizeof(plain));
	bool is_proven = guard_is_proven(&d->guard, from, now.mono_ms);
	struct carrier_call call;
	struct krpc m;
	bool taken = false;

	if (d->cfg.read_only || !care_allowed(d, from) ||
	    carrier_open(d->carrier, datagram, is_proven, now, &w, &call))
		return false;
	if (krpc_decode(wr_span_of(&w), &d->scratch, &m) || !fits(d, &call, &m))
		goto out;
	if (call.introduction || !m.has_n)
		m.n = (struct node_key){ { 0 } };
	d->call = &call;
	taken = serve(d, from, &m, datagram);
	d->call = NULL;
out:
	carrier_call_wipe(&call);
	return taken;
}

bool
overlay_take(struct dht *d, const struct endpoint *from, struct span datagram)
{
	uint16_t asked;

	assert(d->carrier && !d->call);
	if (carrier_is_answer(d->carrier, from, datagram, &asked))
		return take_answer(d, from, datagram, asked);
	return take_query(d, from, datagram);
}
