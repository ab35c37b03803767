/* Durable state of an invitation of ours. [SPEC §4.1] */
#include "proto/chat/invite.h"

#include "proto/base/bencode.h"

#include <assert.h>
#include <sodium.h>

enum {
	INVITE_VERSION = 2,
	INVITE_VERSION_OLD = 1, /* without callers */
	CALLER_SIZE = 32 + 8,   /* S, ts */
};

void
invite_init(struct invite *i, const struct message_id *id,
    const struct invite_secret *inv, uint64_t expires_s,
    const struct id_pk *inviter)
{
	*i = (struct invite){ .id = *id, .inv = *inv, .expires_s = expires_s };
	pair_root_invite(inv, inviter, &i->pr);
	pair_disc(&i->pr, &i->disc);
	pair_rk0(&i->pr, &i->rk0);
	pair_invite_reach(inv, &i->reach);
}

void
invite_wipe(struct invite *i)
{
	sodium_memzero(i, sizeof(*i));
}

static void
callers_encode(const struct callers *c, struct writer *ret)
{
	uint8_t buf[CALLERS_MAX * CALLER_SIZE];
	struct writer w = wr_init(buf, sizeof(buf));

	for (size_t i = 0; i < CALLERS_MAX && c->c[i].ts_ms != 0; i++) {
		wr_bytes(&w, c->c[i].s.b, sizeof(c->c[i].s.b));
		wr_u64le(&w, c->c[i].ts_ms);
	}
	assert(!w.bad && w.n % CALLER_SIZE == 0);
	be_str(ret, buf, w.n);
}

static enum err
callers_decode(struct span in, struct callers *ret)
{
	struct reader r = rd_init(in);

	if (in.n % CALLER_SIZE != 0 || in.n / CALLER_SIZE > CALLERS_MAX)
		return ERR_MALFORMED;
	for (size_t i = 0; i < in.n / CALLER_SIZE; i++) {
		rd_bytes(&r, ret->c[i].s.b, sizeof(ret->c[i].s.b));
		ret->c[i].ts_ms = rd_u64le(&r);
		if (ret->c[i].ts_ms == 0 || ret->c[i].ts_ms > INT64_MAX)
			return ERR_MALFORMED;
	}
	return rd_done(&r) ? ERR_OK : ERR_MALFORMED;
}

void
invite_encode(const struct invite *i, struct writer *ret)
{
	be_dict(ret);
	if (i->used) {
		be_key(ret, "c");
		be_str(ret, i->contact.b, sizeof(i->contact.b));
	}
	be_key(ret, "f");
	be_int(ret, (int64_t)i->callers.floor_ms);
	be_key(ret, "h");
	callers_encode(&i->callers, ret);
	be_key(ret, "i");
	be_str(ret, i->inv.b, sizeof(i->inv.b));
	if (i->used) {
		be_key(ret, "s");
		be_str(ret, i->s.b, sizeof(i->s.b));
	}
	be_key(ret, "t");
	be_int(ret, (int64_t)i->expires_s);
	if (i->put_s > 0) {
		be_key(ret, "u");
		be_int(ret, (int64_t)i->put_s);
	}
	be_key(ret, "v");
	be_int(ret, INVITE_VERSION);
	be_end(ret);
}

/* What a record of version 1 does not have. */
static enum err
decode_new(const struct bencode *b, struct invite *ret)
{
	struct span callers;
	int64_t floor_ms, put_s = 0;

	if (!bencode_int(b, bencode_get(b, 0, "f"), &floor_ms) ||
	    floor_ms < 0 || !bencode_str(b, bencode_get(b, 0, "h"), &callers))
		return ERR_MALFORMED;
	(void)bencode_int(b, bencode_get(b, 0, "u"), &put_s);
	if (put_s < 0)
		return ERR_MALFORMED;
	ret->put_s = (uint64_t)put_s;
	ret->callers.floor_ms = (uint64_t)floor_ms;
	return callers_decode(callers, &ret->callers);
}

enum err
invite_decode(struct span in, const struct message_id *id,
    const struct id_pk *inviter, struct invite *ret)
{
	struct invite_secret inv;
	struct invite i;
	struct bencode b;
	int64_t version, expires;
	enum err err = ERR_OK;

	if (bencode_parse(in, &b) ||
	    !bencode_int(&b, bencode_get(&b, 0, "v"), &version))
		return ERR_MALFORMED;
	if (version != INVITE_VERSION && version != INVITE_VERSION_OLD)
		return ERR_UNSUPPORTED;
	if (!bencode_bytes(&b, bencode_get(&b, 0, "i"), inv.b, sizeof(inv.b)) ||
	    !bencode_int(&b, bencode_get(&b, 0, "t"), &expires) || expires < 0)
		return ERR_MALFORMED;
	invite_init(&i, id, &inv, (uint64_t)expires, inviter);
	sodium_memzero(&inv, sizeof(inv));
	i.used =
	    bencode_bytes(&b, bencode_get(&b, 0, "c"), i.contact.b,
	        sizeof(i.contact.b)) &&
	    bencode_bytes(&b, bencode_get(&b, 0, "s"), i.s.b, sizeof(i.s.b));
	if (version != INVITE_VERSION_OLD)
		err = decode_new(&b, &i);
	if (!err)
		*ret = i;
	invite_wipe(&i);
	return err;
}
