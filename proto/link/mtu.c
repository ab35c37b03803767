/* From the top of the table down: the first size that comes through is the
 * one, so that the common path costs one probe. */
#include "proto/link/mtu.h"

#include <assert.h>

/* Ethernet with IPv4 and IPv6, WireGuard or PPPoE within, and what most
 * tunnels leave. */
static const uint16_t sizes[] = { MTU_MAX, 1452, 1372, 1300 };

enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), MTU_MAX_V6 = 1452 };

_Static_assert((int)MTU_LEAST == (int)ROUTE_UDP_MAX, "one size for both");

static void
check(const struct mtu *m)
{
	assert(m->size >= MTU_LEAST && m->size <= MTU_MAX);
	assert(m->at <= SIZES && m->tries < MTU_TRIES);
	assert(m->n_lost < MTU_LOST && m->n_full <= MTU_FULL);
	assert(m->probing == 0 || m->base || m->at < SIZES);
}

/* Goes to the next size that is worth a probe, from m->at on. */
static void
skip(struct mtu *m)
{
	m->tries = 0;
	while (m->at < SIZES && sizes[m->at] > m->max)
		m->at++;
	if (m->at < SIZES && sizes[m->at] <= m->size)
		m->at = SIZES;
}

static uint16_t
base_of(const struct mtu *m)
{
	return m->max < MTU_BASE ? m->max : MTU_BASE;
}

void
mtu_init(
    struct mtu *m, const struct endpoint *to, uint16_t udp_max, bool proven)
{
	bool v4 = endpoint_family(to) == FAMILY_V4;

	assert(udp_max >= 1200);
	*m = (struct mtu){ .max = v4 ? MTU_MAX : MTU_MAX_V6 };
	if (m->max > udp_max)
		m->max = udp_max;
	if (endpoint_is_relayed(to))
		m->max = ROUTE_UDP_MAX;
	m->base = !proven && m->max > MTU_LEAST;
	m->size = proven ? base_of(m) : MTU_LEAST;
	skip(m);
	check(m);
}

uint16_t
mtu_due(const struct mtu *m, uint64_t now_ms)
{
	check(m);
	if (m->probing || now_ms < m->again_ms)
		return 0;
	if (m->base)
		return base_of(m);
	return m->at == SIZES || m->n_full < MTU_FULL ? 0 : sizes[m->at];
}

void
mtu_probed(struct mtu *m)
{
	assert(m->probing == 0 && (m->base || m->at < SIZES));
	m->probing = m->base ? base_of(m) : sizes[m->at];
}

/* The search has ended; perhaps the path is another one later. */
static void
rest(struct mtu *m, uint64_t now_ms)
{
	m->at = 0;
	skip(m);
	m->again_ms = now_ms + MTU_AGAIN_MS;
}

bool
mtu_acked(struct mtu *m, uint16_t bytes, bool probe)
{
	check(m);
	if (bytes >= m->size && m->n_full < MTU_FULL)
		m->n_full++;
	if (bytes > MTU_BASE)
		m->n_lost = 0;
	if (!probe || bytes != m->probing)
		return false;
	m->probing = 0;
	m->base = false;
	m->size = bytes;
	skip(m);
	check(m);
	return true;
}

/* The size that was under way does not come through. */
static void
probe_lost(struct mtu *m, uint64_t now_ms)
{
	m->probing = 0;
	if (++m->tries < MTU_TRIES)
		return;
	if (m->base) {
		m->tries = 0;
		m->again_ms = now_ms + MTU_AGAIN_MS;
		return;
	}
	m->at++;
	skip(m);
	if (m->at == SIZES)
		rest(m, now_ms);
}

bool
mtu_lost(struct mtu *m, uint16_t bytes, bool probe, uint64_t now_ms)
{
	check(m);
	if (probe) {
		if (bytes == m->probing)
			probe_lost(m, now_ms);
		return false;
	}
	if (bytes <= MTU_BASE || m->size <= MTU_BASE || ++m->n_lost < MTU_LOST)
		return false;
	m->n_lost = 0;
	m->size = MTU_BASE;
	rest(m, now_ms);
	check(m);
	return true;
}
