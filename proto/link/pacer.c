#include "proto/link/pacer.h"

#include <assert.h>

/* Rates and times beyond these change nothing and cannot overflow. */
#define RATE_MAX UINT64_C(100000000000)
enum { FILL_MAX_MS = 60000 };

void
pacer_init(struct pacer *p, uint32_t datagram)
{
	assert(datagram > 0);
	*p = (struct pacer){ .credit = (int64_t)PACER_BURST * datagram };
}

void
pacer_fill(struct pacer *p, uint64_t rate, uint32_t datagram, uint64_t now_ms)
{
	uint64_t ms = now_ms - p->at_ms;
	int64_t most = (int64_t)PACER_BURST * datagram, lump;

	assert(now_ms >= p->at_ms);
	if (rate > RATE_MAX)
		rate = RATE_MAX;
	if (ms > FILL_MAX_MS)
		ms = FILL_MAX_MS;
	lump = (int64_t)(rate * PACER_BURST_MS / 1000);
	if (most < lump)
		most = lump;
	p->credit += (int64_t)(rate * ms / 1000);
	if (p->credit > most)
		p->credit = most;
	p->at_ms = now_ms;
}

/* Below this nothing leaves. */
static int64_t
floor_of(uint32_t datagram, bool urgent)
{
	return urgent ? -(int64_t)PACER_DEBT * datagram : 0;
}

bool
pacer_ready(const struct pacer *p, uint32_t datagram, bool urgent)
{
	return p->credit > floor_of(datagram, urgent);
}

void
pacer_take(struct pacer *p, uint32_t bytes)
{
	p->credit -= bytes;
}

uint64_t
pacer_ready_ms(
    const struct pacer *p, uint64_t rate, uint32_t datagram, bool urgent)
{
	int64_t lacks = floor_of(datagram, urgent) + 1 - p->credit;

	assert(rate > 0);
	if (lacks <= 0)
		return p->at_ms + 1;
	if (rate > RATE_MAX)
		rate = RATE_MAX;
	return p->at_ms + ((uint64_t)lacks * 1000 + rate - 1) / rate;
}
