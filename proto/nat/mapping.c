/* The life of a port mapping. */
#include "proto/nat/mapping.h"

#include <assert.h>
#include <string.h>

#define BIT(x) (1U << (unsigned)(x))

static const unsigned may_follow[MAPPING_STATES] = {
	[MAPPING_OFF] = BIT(MAPPING_ASKING) | BIT(MAPPING_OFF),
	[MAPPING_ASKING] = BIT(MAPPING_ASKING) | BIT(MAPPING_HELD) |
	                   BIT(MAPPING_REFUSED) | BIT(MAPPING_OFF),
	[MAPPING_HELD] = BIT(MAPPING_ASKING) | BIT(MAPPING_HELD) |
	                 BIT(MAPPING_REFUSED) | BIT(MAPPING_OFF),
	[MAPPING_REFUSED] = BIT(MAPPING_ASKING) | BIT(MAPPING_HELD) |
	                    BIT(MAPPING_REFUSED) | BIT(MAPPING_OFF),
};

static void
move(struct mapping *m, enum mapping_state to)
{
	assert(may_follow[m->state] & BIT(to));
	m->state = to;
	if (to != MAPPING_HELD) {
		m->expire_ms = NEVER;
		m->has_address = false;
	}
}

void
mapping_init(struct mapping *m, const struct rng *rng)
{
	assert(rng != NULL);
	*m = (struct mapping){ .rng = rng };
	m->send_ms = NEVER;
	m->expire_ms = NEVER;
}

/* ---- asking ---- */

static void
request_now(struct mapping *m, uint64_t now_ms)
{
	m->send_ms = now_ms;
	m->wait_ms = 0;
	m->n_tries = 0;
}

void
mapping_start(
    struct mapping *m, const struct endpoint *internal, struct now now)
{
	assert(internal->port != 0);
	if (m->state != MAPPING_OFF && endpoint_eq(&m->internal, internal))
		return;
	mapping_stop(m);
	m->internal = *internal;
	rng_fill(m->rng, m->nonce, sizeof(m->nonce));
	move(m, MAPPING_ASKING);
	request_now(m, now.mono_ms);
}

void
mapping_stop(struct mapping *m)
{
	const struct rng *rng = m->rng;
	uint32_t n_reboots = m->n_reboots;
	bool has_upnp = m->has_upnp;

	move(m, MAPPING_OFF);
	mapping_init(m, rng);
	m->n_reboots = n_reboots;
	m->has_upnp = has_upnp;
}

static void
undo(struct mapping *m, uint16_t port)
{
	m->due_undo = m->has_upnp;
	m->undo_port = port;
}

void
mapping_release(struct mapping *m)
{
	bool upnp = m->protocol == MAPPING_UPNP;

	m->releasing = m->state == MAPPING_HELD;
	m->due_map = m->releasing && !upnp;
	m->due_job = false;
	m->job_out = false; /* he does one after the other */
	if (m->releasing && upnp)
		undo(m, m->external.port);
	m->due_address = false;
	m->send_ms = NEVER;
}

/* RT of [RFC 6887 §8.1.1]; what is held is asked for again in ever shorter
 * times, each half of what is left [RFC 6887 §11.2.1]. */
static uint64_t
next_wait(const struct mapping *m, uint64_t now_ms)
{
	uint64_t wait = m->wait_ms == 0 ? MAPPING_FIRST_MS : m->wait_ms * 2;

	if (wait > MAPPING_LAST_MS)
		wait = MAPPING_LAST_MS;
	if (m->state == MAPPING_HELD) {
		uint64_t left =
		    m->expire_ms > now_ms ? m->expire_ms - now_ms : 0;

		if (wait > left / 2)
			wait = left / 2;
		if (wait < MAPPING_RENEW_MIN_MS)
			wait = MAPPING_RENEW_MIN_MS;
	}
	assert(wait > 0 && wait <= MAPPING_LAST_MS);
	return rng_jitter(m->rng, wait, MAPPING_JITTER_PERCENT);
}

/* UPnP, where nothing else was answered, and what it brought. */
static bool
wants_job(const struct mapping *m)
{
	if (!m->has_upnp || m->job_out)
		return false;
	return m->protocol == MAPPING_UPNP ||
	       (m->protocol == MAPPING_PCP && m->state == MAPPING_ASKING &&
	           m->n_tries >= MAPPING_UPNP_AFTER);
}

static void
request(struct mapping *m, uint64_t now_ms)
{
	bool v4 = endpoint_family(&m->internal) == FAMILY_V4;
	bool pmp = m->protocol == MAPPING_NATPMP;

	assert(m->state != MAPPING_OFF && !m->releasing);
	assert(v4 || !pmp);
	if (m->state == MAPPING_REFUSED) /* its time is over: all anew */
		move(m, MAPPING_ASKING);
	if (m->state == MAPPING_ASKING && pmp &&
	    m->n_tries >= MAPPING_PMP_MAX) {
		m->protocol = MAPPING_PCP;
		m->n_tries = 0;
		pmp = false;
	}
	m->sent_ms = now_ms;
	m->due_map = m->protocol != MAPPING_UPNP;
	m->due_job = v4 && wants_job(m);
	m->due_address = v4 && (pmp || (m->state == MAPPING_ASKING &&
	                                   m->n_tries >= MAPPING_PCP_ALONE));
	m->wait_ms = next_wait(m, now_ms);
	m->send_ms = now_ms + m->wait_ms;
	if (m->n_tries < UINT32_MAX)
		m->n_tries++;
}

void
mapping_tick(struct mapping *m, struct now now)
{
	if (m->state == MAPPING_OFF || m->releasing)
		return;
	if (m->state == MAPPING_HELD && now.mono_ms >= m->expire_ms) {
		/* Nobody answers: perhaps another gateway than before. */
		move(m, MAPPING_ASKING);
		m->protocol = MAPPING_PCP;
		request_now(m, now.mono_ms);
	}
	if (now.mono_ms >= m->send_ms)
		request(m, now.mono_ms);
}

uint64_t
mapping_deadline_ms(const struct mapping *m)
{
	assert(m->state != MAPPING_OFF || m->send_ms == NEVER);
	assert(m->state == MAPPING_HELD || m->expire_ms == NEVER);
	return m->send_ms < m->expire_ms ? m->send_ms : m->expire_ms;
}

bool
mapping_next(struct mapping *m, struct writer *ret)
{
	struct pcp_map map = { .internal = m->internal };

	assert(ret->cap >= PCP_REQUEST_SIZE);
	if (m->due_address) {
		m->due_address = false;
		pcp_pmp_address_encode(ret);
		return true;
	}
	if (!m->due_map)
		return false;
	m->due_map = false;
	map.lifetime_s = m->releasing ? 0 : MAPPING_LIFE_S;
	memcpy(map.nonce, m->nonce, sizeof(map.nonce));
	if (m->state == MAPPING_HELD)
		map.suggested = m->external;
	else if (endpoint_family(&m->internal) == FAMILY_V4)
		map.suggested = endpoint_v4((const uint8_t[4]){ 0 }, 0);
	if (m->state != MAPPING_HELD)
		map.suggested.port = m->internal.port;
	if (m->protocol == MAPPING_NATPMP)
		pcp_pmp_map_encode(&map, ret);
	else
		pcp_map_encode(&map, ret);
	return true;
}

/* ---- the gateway's clock ---- */

/* [RFC 6887 §8.5]: did it go backwards, or otherwise than ours? */
static bool
epoch_is_sound(const struct mapping *m, uint32_t epoch_s, uint64_t now_ms)
{
	uint64_t client = (now_ms - m->epoch_at_ms) / 1000;
	uint64_t server;

	assert(m->has_epoch && now_ms >= m->epoch_at_ms);
	if (epoch_s + UINT64_C(1) < m->epoch_s)
		return false;
	server = epoch_s > m->epoch_s ? epoch_s - m->epoch_s : 0;
	return client + 2 >= server - server / 16 &&
	       server + 2 >= client - client / 16;
}

/* True if the gateway has lost what it knew. */
static bool
take_epoch(struct mapping *m, uint32_t epoch_s, uint64_t now_ms)
{
	bool lost = m->has_epoch && !epoch_is_sound(m, epoch_s, now_ms);

	m->has_epoch = true;
	m->epoch_s = epoch_s;
	m->epoch_at_ms = now_ms;
	if (lost && m->n_reboots < UINT32_MAX)
		m->n_reboots++;
	return lost;
}

/* ---- answers ---- */

static void
hold(struct mapping *m, uint32_t lifetime_s, uint64_t now_ms)
{
	uint64_t life_ms =
	    (lifetime_s < MAPPING_LIFE_MAX_S ? lifetime_s
	                                     : (uint32_t)MAPPING_LIFE_MAX_S) *
	    UINT64_C(1000);
	uint64_t renew_ms = life_ms / 2;

	if (renew_ms > MAPPING_CHECK_MS)
		renew_ms = MAPPING_CHECK_MS;
	if (renew_ms < MAPPING_RENEW_MIN_MS)
		renew_ms = MAPPING_RENEW_MIN_MS;
	assert(lifetime_s >= MAPPING_LIFE_MIN_S);
	assert(renew_ms <= MAPPING_CHECK_MS);
	move(m, MAPPING_HELD);
	m->expire_ms = now_ms + life_ms;
	/* Later, never earlier: up to 5/8 of the life [RFC 6887 §11.2.1]. */
	m->send_ms =
	    now_ms + renew_ms + rng_below(m->rng, (uint32_t)(renew_ms / 4) + 1);
	m->wait_ms = 0;
	m->n_tries = 0;
}

static void
refuse(struct mapping *m, uint32_t for_s, uint64_t now_ms)
{
	uint64_t wait_s = for_s;

	if (wait_s > MAPPING_REFUSED_MAX_S)
		wait_s = MAPPING_REFUSED_MAX_S;
	if (wait_s < MAPPING_REFUSED_MIN_S)
		wait_s = MAPPING_REFUSED_MIN_S;
	assert(m->state != MAPPING_OFF);
	move(m, MAPPING_REFUSED);
	m->protocol = MAPPING_PCP;
	request_now(m,
	    now_ms + rng_jitter(m->rng, wait_s * 1000, MAPPING_JITTER_PERCENT));
}

/* PCP does not get us there; the older protocol may. */
static void
step_down(struct mapping *m, uint32_t for_s, uint64_t now_ms)
{
	if (endpoint_family(&m->internal) != FAMILY_V4 ||
	    m->state != MAPPING_ASKING) {
		refuse(m, for_s, now_ms);
		return;
	}
	m->protocol = MAPPING_NATPMP;
	m->has_epoch = false;
	request_now(m, now_ms);
}

/* For an answer to a request. Others are not heard, or the gateway could
 * change our address as often as it likes. */
static bool
is_waiting(const struct mapping *m)
{
	return m->n_tries > 0;
}

static void
on_map(struct mapping *m, const struct pcp_reply *r, uint64_t now_ms)
{
	if (m->protocol != MAPPING_PCP || !is_waiting(m) ||
	    memcmp(r->nonce, m->nonce, sizeof(m->nonce)) != 0 ||
	    r->internal_port != m->internal.port)
		return;
	(void)take_epoch(m, r->epoch_s, now_ms); /* it is mapped anew by this */
	if (r->result == PCP_SUCCESS && r->lifetime_s >= MAPPING_LIFE_MIN_S &&
	    r->external.port != 0) {
		hold(m, r->lifetime_s, now_ms);
		m->external = r->external;
		m->has_address = true;
	} else if (r->result == PCP_UNSUPP_VERSION ||
	           r->result == PCP_UNSUPP_OPCODE ||
	           r->result == PCP_NOT_AUTHORIZED) {
		/* Not authorized: also for a mapping of our last life, under
		 * another nonce. NAT-PMP has none. */
		step_down(m, r->lifetime_s, now_ms);
	} else {
		refuse(m, r->lifetime_s, now_ms);
	}
}

static void
on_pmp_map(struct mapping *m, const struct pcp_reply *r, uint64_t now_ms)
{
	bool lost;

	if (m->protocol != MAPPING_NATPMP || !is_waiting(m) ||
	    (r->result == PCP_SUCCESS && r->internal_port != m->internal.port))
		return;
	lost = take_epoch(m, r->epoch_s, now_ms);
	if (r->result != PCP_SUCCESS || r->lifetime_s < MAPPING_LIFE_MIN_S ||
	    r->external.port == 0) {
		refuse(m, 0, now_ms);
		return;
	}
	if (lost)
		m->has_address = false; /* may be another one now */
	hold(m, r->lifetime_s, now_ms);
	m->external.port = r->external.port;
	m->due_address = m->due_address || !m->has_address;
}

static void
on_pmp_address(struct mapping *m, const struct pcp_reply *r, uint64_t now_ms)
{
	uint16_t port = m->external.port;

	if (m->protocol == MAPPING_PCP) {
		/* Asked beside a PCP that nobody answers. */
		if (m->state == MAPPING_ASKING && r->result == PCP_SUCCESS)
			step_down(m, 0, now_ms);
		return;
	}
	if (m->protocol != MAPPING_NATPMP || r->result != PCP_SUCCESS)
		return;
	if (take_epoch(m, r->epoch_s, now_ms)) {
		uint64_t next_ms = m->sent_ms + MAPPING_RENEW_MIN_MS;

		/* A clock that goes wild makes us no fountain. */
		request_now(m, now_ms > next_ms ? now_ms : next_ms);
	}
	m->external = r->external;
	m->external.port = port;
	m->has_address = true;
	m->due_address = false;
}

void
mapping_receive(struct mapping *m, struct span datagram, struct now now)
{
	struct pcp_reply r;

	if (m->state == MAPPING_OFF || m->state == MAPPING_REFUSED ||
	    m->releasing || pcp_reply_decode(datagram, &r))
		return;
	switch (r.kind) {
	case PCP_REPLY_NONE:
		break;
	case PCP_REPLY_MAP:
		on_map(m, &r, now.mono_ms);
		break;
	case PCP_REPLY_REFUSED: /* without our nonce it ends nothing */
	case PCP_REPLY_PMP_REFUSED:
		if (m->state == MAPPING_ASKING && m->protocol == MAPPING_PCP)
			step_down(m, r.lifetime_s, now.mono_ms);
		break;
	case PCP_REPLY_PMP_ADDRESS:
		on_pmp_address(m, &r, now.mono_ms);
		break;
	case PCP_REPLY_PMP_MAP:
		on_pmp_map(m, &r, now.mono_ms);
		break;
	}
}

/* ---- jobs ---- */

void
mapping_set_upnp(struct mapping *m, bool has)
{
	m->has_upnp = has;
	if (!has)
		m->due_job = m->due_undo = m->job_out = false;
}

bool
mapping_next_job(struct mapping *m, struct mapping_job *ret)
{
	if (m->job_out || !(m->due_undo || m->due_job))
		return false;
	assert(m->has_upnp && m->state != MAPPING_OFF);
	*ret = (struct mapping_job){ .internal = m->internal };
	ret->external_port = m->internal.port;
	if (m->due_undo) {
		ret->external_port = m->undo_port;
	} else {
		ret->lifetime_s = MAPPING_LIFE_S;
		if (m->protocol == MAPPING_UPNP)
			ret->external_port = m->external.port;
	}
	m->job_out = true;
	*(m->due_undo ? &m->due_undo : &m->due_job) = false;
	return true;
}

void
mapping_job_done(
    struct mapping *m, const struct mapping_done *done, struct now now)
{
	bool good = done->lifetime_s >= MAPPING_LIFE_MIN_S &&
	            done->external.port != 0 &&
	            endpoint_family(&done->external) == FAMILY_V4;

	/* Of another gateway, of before. */
	if (!m->job_out || !endpoint_eq(&done->internal, &m->internal))
		return;
	m->job_out = false;
	if (!good || m->releasing)
		return;
	if (m->protocol != MAPPING_UPNP && m->state != MAPPING_ASKING) {
		/* Another was answered; of one port they keep one mapping. */
		if (m->state != MAPPING_HELD ||
		    m->external.port != done->external.port)
			undo(m, done->external.port);
		return;
	}
	if (m->protocol == MAPPING_NATPMP) /* is being asked for that port */
		return;
	m->protocol = MAPPING_UPNP;
	m->has_epoch = false;
	hold(m, done->lifetime_s, now.mono_ms);
	m->external = done->external;
	m->has_address = true;
}

/* ---- looking ---- */

bool
mapping_endpoint(const struct mapping *m, struct endpoint *ret)
{
	if (m->state != MAPPING_HELD || !m->has_address ||
	    m->external.port == 0 ||
	    endpoint_family(&m->external) != endpoint_family(&m->internal) ||
	    endpoint_scope(&m->external) != SCOPE_GLOBAL)
		return false;
	*ret = m->external;
	return true;
}

bool
mapping_behind_nat(const struct mapping *m)
{
	return m->state == MAPPING_HELD && m->has_address &&
	       endpoint_scope(&m->external) != SCOPE_GLOBAL;
}
