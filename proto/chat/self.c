/* Own long-term keys and their record. [SPEC §2] */
#include "proto/chat/self.h"

#include "proto/base/bencode.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { SELF_VERSION = 1, STATIC_SIZE = 32 + 4 + 8 };

/* Fills what follows from sk, gen and made_s. */
static void
static_derive(struct self *s, struct self_static *k)
{
	struct cert c = { .gen = k->gen };

	crypto_scalarmult_base(k->pk.b, k->sk.b);
	c.s = k->pk;
	c.not_before_s = k->made_s - SELF_SKEW_S;
	c.not_after_s = k->made_s + SELF_RENEW_S + SELF_KEEP_S;
	memcpy(c.device, s->device, sizeof(c.device));
	cert_sign(&s->sk, &c, &k->cert);
}

static void
add_static(struct self *s, const struct rng *rng, uint64_t now_s)
{
	uint64_t made_s =
	    now_s > SELF_CLOCK_FLOOR_S ? now_s : SELF_CLOCK_FLOOR_S;
	uint64_t gen = made_s - SELF_CLOCK_FLOOR_S + 1;

	/* By the clock, so that one who lost his store begins above what his
	 * contacts know of him; but never back. [SPEC §4.2] */
	if (s->n_s > 0 && gen <= s->s[0].gen)
		gen = (uint64_t)s->s[0].gen + 1;
	if (gen > UINT32_MAX)
		gen = UINT32_MAX;
	if (s->n_s == SELF_STATICS_MAX)
		s->n_s--;
	memmove(&s->s[1], &s->s[0], s->n_s * sizeof(s->s[0]));
	s->s[0] = (struct self_static){ .gen = (uint32_t)gen };
	s->s[0].made_s = made_s;
	rng_fill(rng, s->s[0].sk.b, sizeof(s->s[0].sk.b));
	static_derive(s, &s->s[0]);
	s->n_s++;
	assert(s->n_s <= SELF_STATICS_MAX);
}

void
self_init(struct self *s, const struct id_seed *seed, const struct rng *rng,
    uint64_t now_s)
{
	*s = (struct self){ 0 };
	identity_from_seed(seed, &s->id, &s->sk);
	rng_fill(rng, s->device, sizeof(s->device));
	rng_fill(rng, s->db_epoch, sizeof(s->db_epoch));
	rng_fill(rng, s->reach.b, sizeof(s->reach.b));
	add_static(s, rng, now_s);
}

void
self_wipe(struct self *s)
{
	sodium_memzero(s, sizeof(*s));
}

/* The newest S is fit to start handshakes with. */
static bool
newest_is_good(const struct self *s, uint64_t now_s)
{
	uint64_t made = s->s[0].made_s;

	return s->n_s > 0 && now_s + SELF_SKEW_S >= made &&
	       now_s < made + SELF_RENEW_S;
}

bool
self_refresh(struct self *s, const struct rng *rng, uint64_t now_s)
{
	bool changed = false;

	if (now_s < SELF_CLOCK_FLOOR_S)
		return false; /* a clock that cannot be right judges nothing */
	if (!newest_is_good(s, now_s)) {
		add_static(s, rng, now_s);
		changed = true;
	}
	while (s->n_s > 1 && now_s > s->s[s->n_s - 2].made_s + SELF_KEEP_S) {
		s->n_s--;
		sodium_memzero(&s->s[s->n_s], sizeof(s->s[0]));
		changed = true;
	}
	if (s->reach_prev_until_s != 0 && now_s >= s->reach_prev_until_s) {
		s->reach_prev_until_s = 0;
		sodium_memzero(&s->reach_prev, sizeof(s->reach_prev));
		changed = true;
	}
	return changed;
}

void
self_renew_reach(struct self *s, const struct rng *rng, uint64_t now_s)
{
	s->reach_prev = s->reach;
	s->reach_prev_until_s = now_s + SELF_REACH_KEEP_S;
	rng_fill(rng, s->reach.b, sizeof(s->reach.b));
}

static void
statics_encode(const struct self *s, struct writer *ret)
{
	uint8_t buf[SELF_STATICS_MAX * STATIC_SIZE];
	struct writer w = wr_init(buf, sizeof(buf));

	for (uint8_t i = 0; i < s->n_s; i++) {
		wr_bytes(&w, s->s[i].sk.b, sizeof(s->s[i].sk.b));
		wr_u32le(&w, s->s[i].gen);
		wr_u64le(&w, s->s[i].made_s);
	}
	assert(!w.bad);
	be_str(ret, buf, w.n);
	sodium_memzero(buf, sizeof(buf));
}

void
self_encode(const struct self *s, struct writer *ret)
{
	be_dict(ret);
	be_key(ret, "d");
	be_str(ret, s->device, sizeof(s->device));
	be_key(ret, "e");
	be_str(ret, s->db_epoch, sizeof(s->db_epoch));
	be_key(ret, "p");
	be_str(ret, s->reach_prev.b, sizeof(s->reach_prev.b));
	be_key(ret, "r");
	be_str(ret, s->reach.b, sizeof(s->reach.b));
	be_key(ret, "s");
	statics_encode(s, ret);
	be_key(ret, "t");
	be_int(ret, (int64_t)s->ts_floor_ms);
	be_key(ret, "u");
	be_int(ret, (int64_t)s->reach_prev_until_s);
	be_key(ret, "v");
	be_int(ret, SELF_VERSION);
	be_end(ret);
}

static bool
statics_decode(struct span in, struct self *s)
{
	struct reader r = rd_init(in);

	if (in.n == 0 || in.n % STATIC_SIZE != 0 ||
	    in.n / STATIC_SIZE > SELF_STATICS_MAX)
		return false;
	for (s->n_s = 0; s->n_s < in.n / STATIC_SIZE; s->n_s++) {
		struct self_static *k = &s->s[s->n_s];

		rd_bytes(&r, k->sk.b, sizeof(k->sk.b));
		k->gen = rd_u32le(&r);
		k->made_s = rd_u64le(&r);
		if (k->made_s < SELF_CLOCK_FLOOR_S ||
		    k->made_s > UINT32_MAX * UINT64_C(64))
			return false;
		static_derive(s, k);
	}
	return rd_done(&r);
}

static bool
fields_decode(const struct bencode *b, struct self *s)
{
	struct span statics;
	int64_t floor, until;

	if (!bencode_bytes(
	        b, bencode_get(b, 0, "d"), s->device, sizeof(s->device)) ||
	    !bencode_bytes(
	        b, bencode_get(b, 0, "e"), s->db_epoch, sizeof(s->db_epoch)) ||
	    !bencode_bytes(b, bencode_get(b, 0, "p"), s->reach_prev.b, 32) ||
	    !bencode_bytes(b, bencode_get(b, 0, "r"), s->reach.b, 32) ||
	    !bencode_str(b, bencode_get(b, 0, "s"), &statics) ||
	    !bencode_int(b, bencode_get(b, 0, "t"), &floor) || floor < 0 ||
	    !bencode_int(b, bencode_get(b, 0, "u"), &until) || until < 0)
		return false;
	s->ts_floor_ms = (uint64_t)floor;
	s->reach_prev_until_s = (uint64_t)until;
	return statics_decode(statics, s);
}

enum err
self_decode(struct span in, const struct id_seed *seed, struct self *ret)
{
	struct self s = { 0 };
	struct bencode b;
	int64_t version;
	enum err err = ERR_MALFORMED;

	if (bencode_parse(in, &b) ||
	    !bencode_int(&b, bencode_get(&b, 0, "v"), &version))
		return ERR_MALFORMED;
	if (version != SELF_VERSION)
		return ERR_UNSUPPORTED;
	identity_from_seed(seed, &s.id, &s.sk);
	if (!fields_decode(&b, &s))
		goto out;
	*ret = s;
	err = ERR_OK;
out:
	self_wipe(&s);
	return err;
}
