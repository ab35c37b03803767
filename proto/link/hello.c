/* A straight line each way. */
#include "proto/link/hello.h"

#include <assert.h>

enum err
hello_decode(struct span body, struct link_hello *ret,
    uint8_t instance[HELLO_INSTANCE_SIZE])
{
	struct link_hello h = { 0 };
	uint8_t theirs[HELLO_INSTANCE_SIZE];
	struct reader r = rd_init(body);

	rd_bytes(&r, h.id.b, sizeof(h.id.b));
	rd_bytes(&r, h.cert.b, sizeof(h.cert.b));
	rd_bytes(&r, h.reach.b, sizeof(h.reach.b));
	h.time_ms = rd_u64le(&r);
	h.capabilities = rd_u32le(&r);
	rd_bytes(&r, theirs, sizeof(theirs));
	rd_bytes(&r, h.db_epoch, sizeof(h.db_epoch));
	if (r.bad)
		return ERR_MALFORMED;
	assert(body.n - r.n == FRAME_HELLO_MIN);
	/* Later than the rest: who does not say it has no overlay node. */
	if (r.n >= FRAME_HELLO_SIZE - FRAME_HELLO_MIN)
		for (int f = 0; f < FAMILY_COUNT; f++)
			rd_bytes(&r, h.node[f].b, sizeof(h.node[f].b));
	assert(!r.bad);
	for (size_t i = 0; i < sizeof(theirs); i++)
		instance[i] = theirs[i];
	*ret = h;
	return ERR_OK;
}

void
hello_encode(const struct link_hello *in,
    const uint8_t instance[HELLO_INSTANCE_SIZE], uint8_t ret[FRAME_HELLO_SIZE])
{
	struct writer w = wr_init(ret, FRAME_HELLO_SIZE);

	wr_bytes(&w, in->id.b, sizeof(in->id.b));
	wr_bytes(&w, in->cert.b, sizeof(in->cert.b));
	wr_bytes(&w, in->reach.b, sizeof(in->reach.b));
	wr_u64le(&w, in->time_ms);
	wr_u32le(&w, in->capabilities);
	wr_bytes(&w, instance, HELLO_INSTANCE_SIZE);
	wr_bytes(&w, in->db_epoch, sizeof(in->db_epoch));
	for (int f = 0; f < FAMILY_COUNT; f++)
		wr_bytes(&w, in->node[f].b, sizeof(in->node[f].b));
	assert(!w.bad && w.n == FRAME_HELLO_SIZE);
}
