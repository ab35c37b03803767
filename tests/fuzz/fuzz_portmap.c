/*
 * Answers of a gateway, any bytes. The first byte chooses IPv4 or IPv6, and
 * whether somebody speaks UPnP; then each datagram is a length, a wait in 16 s
 * and its bytes; 0xff as first byte of a PCP datagram is made the true nonce,
 * which a fuzzer cannot guess. While a job is out, the bytes are also what came
 * of it.
 */
#include "daemon/upnp.h"
#include "proto/nat/mapping.h"

#include "tests/fuzz/fuzz.h"
#include "tests/support/rng.h"

#include <assert.h>
#include <string.h>

static void
check_decode(struct span in)
{
	struct pcp_reply r = { .epoch_s = 77 };

	if (pcp_reply_decode(in, &r)) {
		assert(r.kind == PCP_REPLY_NONE && r.epoch_s == 77);
		return;
	}
	assert(r.kind != PCP_REPLY_NONE);
	assert(in.n >= 8 && in.n <= PCP_REPLY_MAX);
	assert(in.p[1] & 0x80);
}

static void
check_state(struct mapping *m, struct now now)
{
	uint8_t buf[PCP_REQUEST_SIZE];
	struct writer w = wr_init(buf, sizeof(buf));
	struct endpoint e;
	unsigned n = 0;

	mapping_tick(m, now);
	while (mapping_next(m, &w)) {
		n++;
		assert(!w.bad && n <= 2);
		assert(w.n == 2 || w.n == 12 || w.n == PCP_REQUEST_SIZE);
		w = wr_init(buf, sizeof(buf));
	}
	/* It sleeps at least this long, whatever is said to it. */
	assert(n == 0 || mapping_deadline_ms(m) > now.mono_ms);
	if (!mapping_endpoint(m, &e))
		return;
	assert(m->state == MAPPING_HELD);
	assert(e.port != 0 && endpoint_scope(&e) == SCOPE_GLOBAL);
	assert(m->expire_ms > now.mono_ms);
}

/* Both directions between daemon and helper: what is read is written alike. */
static void
check_upnp(struct span in)
{
	uint8_t buf[UPNP_JOB_SIZE];
	struct writer w = wr_init(buf, sizeof(buf));
	struct upnp_job j;
	struct upnp_done d;

	if (!upnp_job_decode(in, &j)) {
		upnp_job_encode(&j, &w);
		assert(span_eq(in, wr_span_of(&w)));
	} else if (!upnp_done_decode(in, &d)) {
		upnp_done_encode(&d, &w);
		assert(span_eq(in, wr_span_of(&w)));
	}
}

static void
check_job(struct mapping *m, struct span in, bool *out, struct now now)
{
	struct mapping_job job;
	struct upnp_done d;

	if (mapping_next_job(m, &job)) {
		assert(m->has_upnp && m->state != MAPPING_OFF);
		assert(job.internal.port != 0 && job.external_port != 0);
		assert(!mapping_next_job(m, &job));
		*out = true;
	}
	if (*out && !upnp_done_decode(in, &d)) {
		d.done.internal = m->internal;
		mapping_job_done(m, &d.done, now);
		*out = false;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct endpoint v6 = { { 0x20, 1, [15] = 7 }, 4000 };
	const uint8_t us[4] = { 10, 0, 0, 7 };
	struct endpoint v4 = endpoint_v4(us, 4000);
	struct reader r = rd_init(span_of(data, size));
	struct now now = { 1000, 1000 };
	struct test_rng rng;
	struct mapping m;
	bool out = false;
	uint8_t how = rd_u8(&r);

	check_decode(span_of(data, size));
	check_upnp(span_of(data, size));
	test_rng_init(&rng, 1);
	mapping_init(&m, &rng.rng);
	mapping_set_upnp(&m, how & 2);
	mapping_start(&m, how & 1 ? &v6 : &v4, now);
	check_state(&m, now);
	while (r.n > 2) {
		uint8_t n = rd_u8(&r);
		uint8_t buf[UINT8_MAX] = { 0 };

		now.mono_ms += rd_u8(&r) * UINT64_C(16000);
		if (n > r.n)
			n = (uint8_t)r.n;
		rd_bytes(&r, buf, n);
		if (n >= 60 && buf[24] == 0xff)
			memcpy(buf + 24, m.nonce, sizeof(m.nonce));
		check_state(&m, now);
		check_job(&m, span_of(buf, n), &out, now);
		check_state(&m, now);
		mapping_receive(&m, span_of(buf, n), now);
		check_state(&m, now);
	}
	return 0;
}
