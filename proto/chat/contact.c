/* Durable state of a pair. [SPEC §4.1] */
#include "proto/chat/contact.h"

#include "proto/base/bencode.h"
#include "proto/crypto/identity.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
	CONTACT_VERSION = 1,
	RATCHET_SIZE = 4 * 32 + 1 + 8,
	ENDPOINT_SIZE = 18,
	FLAG_VERIFIED = 1,
	FLAG_FALLBACK_SHIFT = 1,
	FLAG_FALLBACK_MASK = 3,
	FLAG_RELAY = 8,
	FLAG_BLOCKED = 16,
	FLAG_HIDES = 32,
	FLAG_QUIET = 64,
	FLAGS_MAX = 127,
};

/* ---- becoming ---- */

static void
set_root(struct contact *c, const struct pair_root *pr)
{
	c->pr = *pr;
	pair_disc(pr, &c->disc);
	pair_rk0(pr, &c->rk0);
	ratchet_init(&c->ratchet, &c->rk0);
}

enum err
contact_init_mutual(struct contact *c, const struct contact_id *id,
    const struct id_sk *mine, const struct id_pk *theirs)
{
	struct pair_root pr;
	enum err err = pair_root_mutual(mine, theirs, &pr);

	if (err)
		return err;
	*c = (struct contact){ .id = *id, .pk = *theirs };
	set_root(c, &pr);
	sodium_memzero(&pr, sizeof(pr));
	return ERR_OK;
}

enum err
contact_init_invited(struct contact *c, const struct contact_id *id,
    const struct id_pk *inviter, const struct invite_secret *inv)
{
	struct pair_root pr;
	enum err err = identity_check(inviter);

	if (err)
		return err;
	*c = (struct contact){ .id = *id, .pk = *inviter };
	pair_root_invite(inv, inviter, &pr);
	set_root(c, &pr);
	c->invited = true;
	c->inv = *inv;
	pair_invite_reach(inv, &c->reach);
	c->has_reach = true;
	sodium_memzero(&pr, sizeof(pr));
	return ERR_OK;
}

void
contact_set_root(struct contact *c, const struct pair_root *pr)
{
	set_root(c, pr);
	c->invited = false;
	sodium_memzero(&c->inv, sizeof(c->inv));
	c->n_s = 0;
	c->has_reach = false;
	c->gen = 0;
	c->cell_min = 0;
}

/* ---- learning ---- */

enum err
contact_learn(struct contact *c, const struct cert *cert,
    const struct reach_key *reach, bool *changed)
{
	*changed = false;
	if (c->n_s > 0 && cert->gen < c->gen)
		return ERR_REPLAY;
	if (c->n_s == 0 || memcmp(c->s[0].b, cert->s.b, 32) != 0) {
		/* Same generation, other key: two keys under one number. */
		if (c->n_s > 0 && cert->gen == c->gen)
			return ERR_CONFLICT;
		if (c->n_s > 0)
			c->s[1] = c->s[0];
		c->n_s = c->n_s > 0 ? 2 : 1;
		c->s[0] = cert->s;
		c->gen = cert->gen;
		*changed = true;
	}
	if (!c->has_reach ||
	    sodium_memcmp(c->reach.b, reach->b, sizeof(reach->b)) != 0) {
		c->reach = *reach;
		c->has_reach = true;
		*changed = true;
	}
	return ERR_OK;
}

bool
contact_learn_path(struct contact *c, const struct endpoint *e)
{
	uint8_t at = 0;

	if (endpoint_is_route(e, NULL))
		return false; /* a way of this process, not of the contact */
	while (at < c->n_candidates && !endpoint_eq(&c->candidates[at], e))
		at++;
	if (at == 0 && c->n_candidates > 0)
		return false;
	if (at == CELL_CANDIDATES_MAX)
		at--; /* the last one goes */
	else if (at == c->n_candidates)
		c->n_candidates++;
	memmove(&c->candidates[1], &c->candidates[0],
	    at * sizeof(c->candidates[0]));
	c->candidates[0] = *e;
	assert(c->n_candidates <= CELL_CANDIDATES_MAX);
	return true;
}

void
contact_wipe(struct contact *c)
{
	sodium_memzero(c, sizeof(*c));
}

/* ---- the record ---- */

void
endpoints_encode(const struct endpoint *e, size_t n, struct writer *ret)
{
	uint8_t buf[CELL_CANDIDATES_MAX * ENDPOINT_SIZE];
	struct writer w = wr_init(buf, sizeof(buf));

	for (size_t i = 0; i < n; i++) {
		wr_bytes(&w, e[i].addr, sizeof(e[i].addr));
		wr_u16be(&w, e[i].port);
	}
	assert(!w.bad);
	be_str(ret, buf, w.n);
}

enum err
endpoints_decode(struct span in, struct endpoint *ret, size_t max, uint8_t *n)
{
	struct reader r = rd_init(in);

	assert(max <= UINT8_MAX);
	if (in.n % ENDPOINT_SIZE != 0 || in.n / ENDPOINT_SIZE > max)
		return ERR_MALFORMED;
	for (*n = 0; *n < in.n / ENDPOINT_SIZE; (*n)++) {
		rd_bytes(&r, ret[*n].addr, sizeof(ret[*n].addr));
		ret[*n].port = rd_u16be(&r);
	}
	return rd_done(&r) ? ERR_OK : ERR_MALFORMED;
}

static void
ratchet_encode(const struct ratchet *r, struct writer *ret)
{
	uint8_t buf[RATCHET_SIZE];
	struct writer w = wr_init(buf, sizeof(buf));

	wr_bytes(&w, r->cur.b, 32);
	wr_bytes(&w, r->prev.b, 32);
	wr_bytes(&w, r->pending.b, 32);
	wr_bytes(&w, r->base.b, 32);
	wr_u8(&w, (uint8_t)r->role);
	wr_u64le(&w, r->advanced_s);
	assert(!w.bad && w.n == RATCHET_SIZE);
	be_str(ret, buf, sizeof(buf));
	sodium_memzero(buf, sizeof(buf));
}

static enum err
ratchet_decode(struct span in, struct ratchet *ret)
{
	struct reader r = rd_init(in);
	struct ratchet k = { 0 };
	enum err err = ERR_MALFORMED;
	uint8_t role;

	rd_bytes(&r, k.cur.b, 32);
	rd_bytes(&r, k.prev.b, 32);
	rd_bytes(&r, k.pending.b, 32);
	rd_bytes(&r, k.base.b, 32);
	role = rd_u8(&r);
	k.advanced_s = rd_u64le(&r);
	if (!rd_done(&r) || role > RATCHET_RESPONDER)
		goto out;
	k.role = (enum ratchet_pending)role;
	*ret = k;
	err = ERR_OK;
out:
	ratchet_wipe(&k);
	return err;
}

static void
key_str(struct writer *w, const char *key, const void *p, size_t n)
{
	be_key(w, key);
	be_str(w, p, n);
}

static void
key_int(struct writer *w, const char *key, uint64_t v)
{
	be_key(w, key);
	be_int(w, (int64_t)v);
}

static bool
get_u64(const struct bencode *b, const char *key, uint64_t *ret)
{
	int64_t v;

	if (!bencode_int(b, bencode_get(b, 0, key), &v) || v < 0)
		return false;
	*ret = (uint64_t)v;
	return true;
}

static bool
get_bytes(const struct bencode *b, const char *key, void *ret, size_t n)
{
	return bencode_bytes(b, bencode_get(b, 0, key), ret, n);
}

/* What people have decided about the contact. */
static uint64_t
flags_of(const struct contact *c)
{
	return (c->verified ? FLAG_VERIFIED : 0) | (c->relay ? FLAG_RELAY : 0) |
	       (c->blocked ? FLAG_BLOCKED : 0) | (c->hides ? FLAG_HIDES : 0) |
	       (c->quiet ? FLAG_QUIET : 0) |
	       (uint64_t)c->fallback << FLAG_FALLBACK_SHIFT;
}

static bool
take_flags(const struct bencode *b, struct contact *c)
{
	uint64_t flags = 0, fallback;

	if (get_u64(b, "f", &flags) && flags > FLAGS_MAX)
		return false;
	fallback = flags >> FLAG_FALLBACK_SHIFT & FLAG_FALLBACK_MASK;
	if (fallback > FALLBACK_DENY)
		return false;
	c->verified = flags & FLAG_VERIFIED;
	c->relay = flags & FLAG_RELAY;
	c->blocked = flags & FLAG_BLOCKED;
	c->hides = flags & FLAG_HIDES;
	c->quiet = flags & FLAG_QUIET;
	c->fallback = (enum contact_fallback)fallback;
	return true;
}

void
contact_encode(const struct contact *c, struct writer *ret)
{
	be_dict(ret);
	be_key(ret, "a");
	endpoints_encode(c->candidates, c->n_candidates, ret);
	key_str(ret, "d", c->disc.b, sizeof(c->disc.b));
	if (c->has_epoch)
		key_str(ret, "e", c->epoch, sizeof(c->epoch));
	if (flags_of(c) > 0)
		key_int(ret, "f", flags_of(c));
	key_int(ret, "g", c->gen);
	if (c->invited)
		key_str(ret, "i", c->inv.b, sizeof(c->inv.b));
	key_str(ret, "k", c->pk.b, sizeof(c->pk.b));
	key_int(ret, "l", c->last_ts_ms);
	key_int(ret, "m", c->cell_min);
	key_str(ret, "p", c->pr.b, sizeof(c->pr.b));
	be_key(ret, "q");
	ratchet_encode(&c->ratchet, ret);
	if (c->has_reach)
		key_str(ret, "r", c->reach.b, sizeof(c->reach.b));
	if (c->recv_anew)
		key_int(ret, "ra", 1);
	key_str(ret, "rh", c->recv_hash, sizeof(c->recv_hash));
	key_int(ret, "rn", c->recv_seq);
	if (c->read_seq > 0)
		key_int(ret, "rr", c->read_seq);
	key_str(ret, "s", c->s, c->n_s * sizeof(c->s[0]));
	key_str(ret, "sh", c->sent_hash, sizeof(c->sent_hash));
	key_int(ret, "sn", c->sent_seq);
	if (c->put_s > 0)
		key_int(ret, "u", c->put_s);
	key_int(ret, "v", CONTACT_VERSION);
	key_int(ret, "y", c->ready);
	if (!sodium_is_zero(c->renewed, sizeof(c->renewed)))
		key_str(ret, "z", c->renewed, sizeof(c->renewed));
	be_end(ret);
}

/* The fields that every contact has. */
static enum err
decode_fields(const struct bencode *b, struct contact *c)
{
	struct span list, ratchet, s;
	uint64_t gen, ready;

	if (!bencode_str(b, bencode_get(b, 0, "a"), &list) ||
	    !get_bytes(b, "d", c->disc.b, 32) || !get_u64(b, "g", &gen) ||
	    !get_bytes(b, "k", c->pk.b, 32) ||
	    !get_u64(b, "l", &c->last_ts_ms) ||
	    !get_u64(b, "m", &c->cell_min) || !get_bytes(b, "p", c->pr.b, 32) ||
	    !bencode_str(b, bencode_get(b, 0, "q"), &ratchet) ||
	    !get_bytes(b, "rh", c->recv_hash, 32) ||
	    !get_u64(b, "rn", &c->recv_seq) ||
	    !bencode_str(b, bencode_get(b, 0, "s"), &s) ||
	    !get_bytes(b, "sh", c->sent_hash, 32) ||
	    !get_u64(b, "sn", &c->sent_seq) || !get_u64(b, "y", &ready))
		return ERR_MALFORMED;
	if (s.n % 32 != 0 || s.n > sizeof(c->s) || gen > UINT32_MAX)
		return ERR_MALFORMED;
	if (s.n > 0)
		memcpy(c->s, s.p, s.n);
	c->n_s = (uint8_t)(s.n / 32);
	c->gen = (uint32_t)gen;
	c->ready = ready != 0;
	if (endpoints_decode(
	        list, c->candidates, CELL_CANDIDATES_MAX, &c->n_candidates))
		return ERR_MALFORMED;
	return ratchet_decode(ratchet, &c->ratchet);
}

enum err
contact_decode(struct span in, const struct contact_id *id, struct contact *ret)
{
	struct contact c = { .id = *id };
	struct bencode b;
	uint64_t version, anew;
	enum err err = bencode_parse(in, &b);

	if (err)
		return ERR_MALFORMED;
	if (!get_u64(&b, "v", &version))
		return ERR_MALFORMED;
	if (version != CONTACT_VERSION)
		return ERR_UNSUPPORTED;
	err = decode_fields(&b, &c);
	if (!err && !take_flags(&b, &c))
		err = ERR_MALFORMED;
	if (err)
		goto out;
	c.has_epoch = get_bytes(&b, "e", c.epoch, sizeof(c.epoch));
	c.invited = get_bytes(&b, "i", c.inv.b, sizeof(c.inv.b));
	c.has_reach = get_bytes(&b, "r", c.reach.b, sizeof(c.reach.b));
	if (!get_u64(&b, "u", &c.put_s))
		c.put_s = 0;
	(void)get_bytes(&b, "z", c.renewed, sizeof(c.renewed));
	if (!get_u64(&b, "rr", &c.read_seq) || c.read_seq > c.recv_seq)
		c.read_seq = 0;
	c.recv_anew = get_u64(&b, "ra", &anew) && anew != 0;
	pair_rk0(&c.pr, &c.rk0);
	*ret = c;
out:
	sodium_memzero(&c, sizeof(c));
	return err;
}
