/* Port mapping on the wire. */
#include "proto/nat/pcp.h"

#include <assert.h>
#include <string.h>

enum {
	VERSION_PMP = 0,
	VERSION_PCP = 2,
	OP_PMP_ADDRESS = 0,
	OP_PMP_MAP_UDP = 1,
	OP_PCP_MAP = 1,
	OP_REPLY = 0x80, /* set in every answer */
	REPLY_PMP_ADDRESS = 0x80,
	REPLY_PMP_MAP_UDP = 0x81,
	REPLY_PCP_MAP = 0x81,
	PROTOCOL_UDP = 17,
	HEAD_SIZE = 24, /* of PCP, both ways */
	PMP_REFUSED_SIZE = 8,
};

void
pcp_map_encode(const struct pcp_map *m, struct writer *ret)
{
	size_t before = ret->n;

	assert(m->internal.port != 0);
	wr_u8(ret, VERSION_PCP);
	wr_u8(ret, OP_PCP_MAP);
	wr_zeros(ret, 2);
	wr_u32be(ret, m->lifetime_s);
	wr_bytes(ret, m->internal.addr, sizeof(m->internal.addr));
	wr_bytes(ret, m->nonce, sizeof(m->nonce));
	wr_u8(ret, PROTOCOL_UDP);
	wr_zeros(ret, 3);
	wr_u16be(ret, m->internal.port);
	wr_u16be(ret, m->suggested.port);
	wr_bytes(ret, m->suggested.addr, sizeof(m->suggested.addr));
	assert(ret->bad || ret->n - before == PCP_REQUEST_SIZE);
}

void
pcp_pmp_address_encode(struct writer *ret)
{
	wr_u8(ret, VERSION_PMP);
	wr_u8(ret, OP_PMP_ADDRESS);
}

void
pcp_pmp_map_encode(const struct pcp_map *m, struct writer *ret)
{
	assert(m->internal.port != 0);
	assert(endpoint_family(&m->internal) == FAMILY_V4);
	wr_u8(ret, VERSION_PMP);
	wr_u8(ret, OP_PMP_MAP_UDP);
	wr_zeros(ret, 2);
	wr_u16be(ret, m->internal.port);
	/* The port must be zero in a deletion [RFC 6886 §3.4]. */
	wr_u16be(ret, m->lifetime_s > 0 ? m->suggested.port : 0);
	wr_u32be(ret, m->lifetime_s);
}

/* The rest of an answer of PCP; options behind a MAP are skipped. */
static enum err
decode_pcp(struct reader *r, size_t n, uint8_t op, struct pcp_reply *p)
{
	if (n > PCP_REPLY_MAX || n % 4 != 0)
		return ERR_MALFORMED;
	(void)rd_u8(r); /* reserved */
	p->result = rd_u8(r);
	p->lifetime_s = rd_u32be(r);
	p->epoch_s = rd_u32be(r);
	(void)rd_span(r, 12);
	p->kind = PCP_REPLY_REFUSED;
	if (n == HEAD_SIZE && p->result != PCP_SUCCESS)
		return r->bad ? ERR_MALFORMED : ERR_OK;
	if (op != REPLY_PCP_MAP)
		return ERR_MALFORMED;
	rd_bytes(r, p->nonce, sizeof(p->nonce));
	if (rd_u8(r) != PROTOCOL_UDP)
		return ERR_MALFORMED;
	(void)rd_span(r, 3);
	p->internal_port = rd_u16be(r);
	p->external.port = rd_u16be(r);
	rd_bytes(r, p->external.addr, sizeof(p->external.addr));
	p->kind = PCP_REPLY_MAP;
	return r->bad ? ERR_MALFORMED : ERR_OK;
}

static enum err
decode_pmp(struct reader *r, size_t n, uint8_t op, struct pcp_reply *p)
{
	uint8_t v4[4] = { 0 };

	p->result = rd_u16be(r);
	p->epoch_s = rd_u32be(r);
	if (p->result == PCP_UNSUPP_VERSION && n == PMP_REFUSED_SIZE) {
		p->kind = PCP_REPLY_PMP_REFUSED;
	} else if (op == REPLY_PMP_ADDRESS) {
		p->kind = PCP_REPLY_PMP_ADDRESS;
		/* An error may come without what it says nothing about. */
		if (p->result != PCP_SUCCESS && n == PMP_REFUSED_SIZE)
			return ERR_OK;
		rd_bytes(r, v4, sizeof(v4));
		p->external = endpoint_v4(v4, 0);
	} else if (op == REPLY_PMP_MAP_UDP) {
		p->kind = PCP_REPLY_PMP_MAP;
		p->internal_port = rd_u16be(r);
		p->external = endpoint_v4(v4, rd_u16be(r));
		p->lifetime_s = rd_u32be(r);
	}
	if (p->kind == PCP_REPLY_NONE || !rd_done(r))
		return ERR_MALFORMED;
	return ERR_OK;
}

enum err
pcp_reply_decode(struct span in, struct pcp_reply *ret)
{
	struct reader r = rd_init(in);
	struct pcp_reply p = { .kind = PCP_REPLY_NONE };
	uint8_t version = rd_u8(&r);
	uint8_t op = rd_u8(&r);
	enum err err;

	if (r.bad || !(op & OP_REPLY))
		return ERR_MALFORMED;
	/* A PCP gateway of another version says so under its own. */
	err = version == VERSION_PMP ? decode_pmp(&r, in.n, op, &p)
	                             : decode_pcp(&r, in.n, op, &p);
	if (err)
		return err;
	if (version != VERSION_PMP && version != VERSION_PCP &&
	    p.result != PCP_UNSUPP_VERSION)
		return ERR_MALFORMED;
	*ret = p;
	return ERR_OK;
}
