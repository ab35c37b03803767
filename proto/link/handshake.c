/* Sealing and opening of handshake messages. The Noise part is the engine's;
 * here are the masks, macs, cookies and payloads round it. [SPEC §6.1] */
#include "proto/link/handshake.h"

#include "proto/crypto/kdf.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
	E_SIZE = 32,
	PAYLOAD_1_SIZE = 40,
	PAYLOAD_1_SPARE = 8,
	PAYLOAD_2_SIZE = 20,
	/* Message 1: e, S, payload, mac1, mac2. */
	M1_E = 0,
	M1_MAC1 = 136,
	M1_MAC2 = 152,
	/* Message 2: receiver index, e, payload, mac1, mac2. */
	M2_INDEX_SIZE = 4,
	M2_E = 4,
	M2_MAC1 = 72,
	M2_MAC2 = 88,
	DAY_MS = 86400 * 1000,
};

_Static_assert(M1_MAC1 == E_SIZE + 32 + 16 + PAYLOAD_1_SIZE + 16, "message 1");
_Static_assert(PACKET_MESSAGE_1_SIZE == M1_MAC2 + HANDSHAKE_MAC_SIZE, "mac2");
_Static_assert(M2_MAC1 == M2_E + E_SIZE + PAYLOAD_2_SIZE + 16, "message 2");
_Static_assert(PACKET_MESSAGE_2_SIZE == M2_MAC2 + HANDSHAKE_MAC_SIZE, "mac2");
_Static_assert(
    PACKET_COOKIE_REPLY_SIZE == PACKET_NONCE_SIZE + HANDSHAKE_COOKIE_SIZE +
                                    crypto_aead_xchacha20poly1305_ietf_ABYTES,
    "cookie reply");

static const char prologue[] = "btchat/1 noise"; /* with its NUL */

/* ---- guards, masks, macs ---- */

uint32_t
handshake_day(uint64_t wall_ms)
{
	uint64_t day = wall_ms / DAY_MS;

	return day > UINT32_MAX ? UINT32_MAX : (uint32_t)day;
}

static void
derive_guard(const struct reach_key *r, const char *label,
    const struct static_pk *s, uint32_t day, uint8_t ret[32])
{
	uint8_t le[4];
	struct writer w = wr_init(le, sizeof(le));
	const struct span parts[] = {
		span_str(label),
		span_of(s->b, sizeof(s->b)),
		span_of(le, sizeof(le)),
	};

	wr_u32le(&w, day);
	assert(!w.bad && w.n == sizeof(le));
	kdf_b2(span_of(r->b, sizeof(r->b)), parts, 3, ret, 32);
}

void
handshake_guard_derive(const struct reach_key *r, const struct static_pk *s,
    uint32_t day, struct handshake_guard *ret)
{
	assert(r && s && ret);
	derive_guard(r, "btchat/1 mac1", s, day, ret->mac1);
	derive_guard(r, "btchat/1 cookie", s, day, ret->cookie);
	derive_guard(r, "btchat/1 mask", s, day, ret->mask);
}

/* e XOR B2(mask, 32, number || what follows e, without the macs). */
static void
mask_e(const struct handshake_guard *g, const char *number, uint8_t e[E_SIZE],
    struct span after)
{
	const struct span parts[] = { span_str(number), after };
	uint8_t mask[E_SIZE];

	kdf_b2(span_of(g->mask, sizeof(g->mask)), parts, 2, mask, sizeof(mask));
	for (int i = 0; i < E_SIZE; i++)
		e[i] ^= mask[i];
	sodium_memzero(mask, sizeof(mask));
}

static void
make_mac(struct span key, struct span covered, uint8_t ret[HANDSHAKE_MAC_SIZE])
{
	kdf_b2(key, &covered, 1, ret, HANDSHAKE_MAC_SIZE);
}

static bool
mac_ok(struct span key, struct span covered, const uint8_t *mac)
{
	uint8_t want[HANDSHAKE_MAC_SIZE];

	make_mac(key, covered, want);
	return sodium_memcmp(want, mac, sizeof(want)) == 0;
}

static struct span
mac1_key(const struct handshake_guard *g)
{
	return span_of(g->mac1, sizeof(g->mac1));
}

/* Puts mac1 at `at` and mac2 behind it. */
static void
put_macs(const struct handshake_guard *g, const uint8_t *cookie,
    const uint8_t *mac2, uint8_t *out, size_t at)
{
	size_t end = at + HANDSHAKE_MAC_SIZE;

	assert(cookie || mac2);
	make_mac(mac1_key(g), span_of(out, at), out + at);
	if (cookie)
		make_mac(span_of(cookie, HANDSHAKE_COOKIE_SIZE),
		    span_of(out, end), out + end);
	else
		memcpy(out + end, mac2, HANDSHAKE_MAC_SIZE);
}

/* ---- payloads ---- */

static void
write_payload_1(
    const struct handshake_payload_1 *p, uint8_t ret[PAYLOAD_1_SIZE])
{
	struct writer w = wr_init(ret, PAYLOAD_1_SIZE);

	assert(packet_index_usable(p->index));
	assert(p->udp_max >= HANDSHAKE_UDP_MIN);
	wr_u64le(&w, p->ts_ms);
	wr_bytes(&w, p->rid_cur.b, sizeof(p->rid_cur.b));
	wr_bytes(&w, p->rid_prev.b, sizeof(p->rid_prev.b));
	wr_u32le(&w, p->index);
	wr_u16le(&w, p->flags);
	wr_u16le(&w, p->udp_max);
	wr_zeros(&w, PAYLOAD_1_SPARE);
	assert(!w.bad && w.n == PAYLOAD_1_SIZE);
}

static enum err
read_payload_1(struct span in, struct handshake_payload_1 *ret)
{
	struct reader r = rd_init(in);
	struct handshake_payload_1 p;
	uint8_t spare[PAYLOAD_1_SPARE];

	p.ts_ms = rd_u64le(&r);
	rd_bytes(&r, p.rid_cur.b, sizeof(p.rid_cur.b));
	rd_bytes(&r, p.rid_prev.b, sizeof(p.rid_prev.b));
	p.index = rd_u32le(&r);
	p.flags = rd_u16le(&r);
	p.udp_max = rd_u16le(&r);
	rd_bytes(&r, spare, sizeof(spare));
	if (!rd_done(&r) || !sodium_is_zero(spare, sizeof(spare)))
		return ERR_MALFORMED;
	if (!packet_index_usable(p.index) || p.udp_max < HANDSHAKE_UDP_MIN)
		return ERR_MALFORMED;
	*ret = p;
	return ERR_OK;
}

static void
write_payload_2(
    const struct handshake_payload_2 *p, uint8_t ret[PAYLOAD_2_SIZE])
{
	struct writer w = wr_init(ret, PAYLOAD_2_SIZE);

	assert(p->key_used <= KEY_PREV);
	assert(packet_index_usable(p->index));
	assert(p->udp_max >= HANDSHAKE_UDP_MIN);
	wr_u8(&w, p->key_used);
	wr_u8(&w, p->flags);
	wr_u16le(&w, p->udp_max);
	wr_u32le(&w, p->index);
	wr_u32le(&w, p->initiator_index);
	wr_u64le(&w, p->time_ms);
	assert(!w.bad && w.n == PAYLOAD_2_SIZE);
}

static enum err
read_payload_2(struct span in, struct handshake_payload_2 *ret)
{
	struct reader r = rd_init(in);
	struct handshake_payload_2 p;

	p.key_used = rd_u8(&r);
	p.flags = rd_u8(&r);
	p.udp_max = rd_u16le(&r);
	p.index = rd_u32le(&r);
	p.initiator_index = rd_u32le(&r);
	p.time_ms = rd_u64le(&r);
	if (!rd_done(&r) || p.key_used > KEY_PREV)
		return ERR_MALFORMED;
	if (!packet_index_usable(p.index) || p.udp_max < HANDSHAKE_UDP_MIN)
		return ERR_MALFORMED;
	*ret = p;
	return ERR_OK;
}

/* ---- keys of a session ---- */

/* The exchanged index, then those derived; returns how many. */
static uint8_t
derive_indices(
    const uint8_t hp[32], uint32_t first, uint32_t ret[PACKET_INDICES])
{
	uint8_t n = 0;

	ret[n++] = first;
	for (unsigned i = 1; i < PACKET_INDICES; i++) {
		const uint8_t j = (uint8_t)i;
		uint8_t out[32];
		uint32_t index;
		bool there;

		kdf_label(hp, "btchat/1 index", span_of(&j, 1), out);
		there = packet_index(span_of(out, sizeof(out)), &index);
		assert(there);
		if (there && !packet_begins_like_krpc(out[0]))
			ret[n++] = index;
		sodium_memzero(out, sizeof(out));
	}
	assert(n > 0 && n <= PACKET_INDICES);
	return n;
}

/* own: the index that we gave, theirs: the one they gave. */
static void
derive_keys(const struct noise *n, uint32_t own, uint32_t theirs,
    struct handshake_keys *ret)
{
	struct span h = span_of(n->h, 32);
	struct packet_key ir;
	struct packet_key ri;
	uint8_t k[2][32];

	assert(noise_done(n) && n->hash->len == 32);
	noise_split(n, k);
	memcpy(ir.k, k[0], sizeof(ir.k));
	memcpy(ri.k, k[1], sizeof(ri.k));
	kdf_label(n->ck, "btchat/1 header i", h, ir.hp);
	kdf_label(n->ck, "btchat/1 header r", h, ri.hp);
	ret->send = n->initiator ? ir : ri;
	ret->receive = n->initiator ? ri : ir;
	ret->n_send_index =
	    derive_indices(ret->send.hp, theirs, ret->send_index);
	ret->n_receive_index =
	    derive_indices(ret->receive.hp, own, ret->receive_index);
	pair_rk_next(n->ck, n->h, &ret->rk_next);
	pair_root_next(n->ck, n->h, &ret->root_next);
	sodium_memzero(k, sizeof(k));
	sodium_memzero(&ir, sizeof(ir));
	sodium_memzero(&ri, sizeof(ri));
}

/* ---- initiator ---- */

static enum err
start_noise(
    const struct handshake_static *own, const uint8_t *rs, struct noise *ret)
{
	struct noise_config cfg = {
		.pattern = &noise_ikpsk2,
		.hash = &noise_sha256,
		.initiator = rs != NULL,
		.prologue = span_of(prologue, sizeof(prologue)),
		.rs = rs,
	};
	enum err err;

	memcpy(cfg.s.sk, own->sk.b, sizeof(cfg.s.sk));
	memcpy(cfg.s.pk, own->pk.b, sizeof(cfg.s.pk));
	cfg.s.set = true;
	err = noise_init(ret, &cfg);
	sodium_memzero(&cfg, sizeof(cfg));
	return err;
}

static enum err
write_noise_1(const struct handshake_1 *in, struct noise *n, struct writer *w)
{
	uint8_t payload[PAYLOAD_1_SIZE];
	enum err err;

	err = start_noise(in->s, in->rs->b, n);
	if (err)
		return err;
	err = noise_set_ephemeral(n, in->e_sk);
	if (err)
		return err;
	write_payload_1(&in->payload, payload);
	err = noise_write(n, span_of(payload, sizeof(payload)), w);
	sodium_memzero(payload, sizeof(payload));
	return err;
}

enum err
handshake_1_seal(const struct handshake_1 *in,
    uint8_t out[PACKET_MESSAGE_1_SIZE], struct handshake_attempt *ret)
{
	uint8_t m[PACKET_MESSAGE_1_SIZE];
	struct writer w = wr_init(m, sizeof(m));
	struct noise n;
	enum err err;

	err = write_noise_1(in, &n, &w);
	if (err)
		goto out;
	assert(w.n == M1_MAC1);
	mask_e(in->guard, "1", m + M1_E,
	    span_of(m + M1_E + E_SIZE, M1_MAC1 - E_SIZE));
	err = ERR_CONFLICT;
	if (packet_begins_like_krpc(m[0]))
		goto out;
	put_macs(in->guard, in->cookie, in->mac2, m, M1_MAC1);
	memcpy(out, m, sizeof(m));
	ret->noise = n;
	ret->guard = *in->guard;
	ret->index = in->payload.index;
	memcpy(ret->mac1, m + M1_MAC1, sizeof(ret->mac1));
	err = ERR_OK;
out:
	noise_wipe(&n);
	return err;
}

enum err
handshake_cookie_open(const struct handshake_attempt *a, struct span datagram,
    uint8_t ret[HANDSHAKE_COOKIE_SIZE])
{
	uint8_t cookie[HANDSHAKE_COOKIE_SIZE];

	if (datagram.n != PACKET_COOKIE_REPLY_SIZE)
		return ERR_MALFORMED;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(cookie, NULL, NULL,
	        datagram.p + PACKET_NONCE_SIZE, datagram.n - PACKET_NONCE_SIZE,
	        a->mac1, sizeof(a->mac1), datagram.p, a->guard.cookie))
		return ERR_AUTH;
	memcpy(ret, cookie, sizeof(cookie));
	sodium_memzero(cookie, sizeof(cookie));
	return ERR_OK;
}

/* Takes the datagram apart up to the bare Noise message. */
static enum err
unwrap_2(const struct handshake_attempt *a, struct span datagram,
    uint8_t bare[M2_MAC1 - M2_E])
{
	uint32_t index;

	if (datagram.n != PACKET_MESSAGE_2_SIZE)
		return ERR_MALFORMED;
	if (!packet_index(datagram, &index) || index != a->index)
		return ERR_AUTH;
	if (!mac_ok(mac1_key(&a->guard), span_of(datagram.p, M2_MAC1),
	        datagram.p + M2_MAC1))
		return ERR_AUTH;
	memcpy(bare, datagram.p + M2_E, M2_MAC1 - M2_E);
	mask_e(&a->guard, "2", bare,
	    span_of(bare + E_SIZE, M2_MAC1 - M2_E - E_SIZE));
	return ERR_OK;
}

/* Reads it under one ratchet key. */
static enum err
read_noise_2(struct noise *n, const struct handshake_try *keys,
    enum key_used used, struct span bare, struct handshake_payload_2 *ret)
{
	uint8_t payload[PAYLOAD_2_SIZE];
	struct writer w = wr_init(payload, sizeof(payload));
	uint8_t psk[32];
	enum err err;

	pair_psk2(keys->rk[used], keys->id_i, keys->id_r, psk);
	noise_set_psk(n, psk);
	err = noise_read(n, bare, &w);
	if (!err)
		err = read_payload_2(wr_span_of(&w), ret);
	sodium_memzero(psk, sizeof(psk));
	return err;
}

/* The key that fits, most likely first. n: where the attempt stands. */
static enum err
try_keys(struct noise *n, const struct handshake_try *keys, struct span bare,
    struct handshake_payload_2 *payload)
{
	static const enum key_used order[] = { KEY_CUR, KEY_PREV,
		KEY_FALLBACK };
	struct noise before = *n;
	enum err err = ERR_AUTH;

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (!keys->rk[order[i]])
			continue;
		*n = before;
		err = read_noise_2(n, keys, order[i], bare, payload);
		if (!err && payload->key_used != order[i])
			err = ERR_MALFORMED;
		if (err != ERR_AUTH)
			break;
	}
	noise_wipe(&before);
	return err;
}

enum err
handshake_2_open(const struct handshake_attempt *a,
    const struct handshake_try *keys, struct span datagram,
    struct handshake_payload_2 *payload, struct handshake_keys *ret)
{
	uint8_t bare[M2_MAC1 - M2_E];
	struct handshake_payload_2 p;
	struct noise n = a->noise;
	enum err err;

	err = unwrap_2(a, datagram, bare);
	if (err)
		goto out;
	err = try_keys(&n, keys, span_of(bare, sizeof(bare)), &p);
	if (err)
		goto out;
	err = ERR_MALFORMED;
	if (p.initiator_index != a->index)
		goto out;
	derive_keys(&n, a->index, p.index, ret);
	*payload = p;
	err = ERR_OK;
out:
	noise_wipe(&n);
	sodium_memzero(bare, sizeof(bare));
	return err;
}

void
handshake_attempt_wipe(struct handshake_attempt *a)
{
	assert(a);
	sodium_memzero(a, sizeof(*a));
}

/* ---- responder ---- */

bool
handshake_mac1_ok(const struct handshake_guard *g, struct span message_1)
{
	if (message_1.n != PACKET_MESSAGE_1_SIZE)
		return false;
	return mac_ok(
	    mac1_key(g), span_of(message_1.p, M1_MAC1), message_1.p + M1_MAC1);
}

bool
handshake_mac2_ok(
    const uint8_t cookie[HANDSHAKE_COOKIE_SIZE], struct span message_1)
{
	if (message_1.n != PACKET_MESSAGE_1_SIZE)
		return false;
	return mac_ok(span_of(cookie, HANDSHAKE_COOKIE_SIZE),
	    span_of(message_1.p, M1_MAC2), message_1.p + M1_MAC2);
}

void
handshake_cookie(const uint8_t secret[32], const struct endpoint *from,
    uint8_t ret[HANDSHAKE_COOKIE_SIZE])
{
	uint8_t port[2];
	struct writer w = wr_init(port, sizeof(port));
	const struct span parts[] = {
		span_of(from->addr, sizeof(from->addr)),
		span_of(port, sizeof(port)),
	};

	wr_u16le(&w, from->port);
	assert(!w.bad && w.n == sizeof(port));
	kdf_b2(span_of(secret, 32), parts, 2, ret, HANDSHAKE_COOKIE_SIZE);
}

void
handshake_cookie_seal(const struct handshake_guard *g, struct span message_1,
    const uint8_t cookie[HANDSHAKE_COOKIE_SIZE],
    const uint8_t nonce[PACKET_NONCE_SIZE],
    uint8_t out[PACKET_COOKIE_REPLY_SIZE])
{
	assert(message_1.n == PACKET_MESSAGE_1_SIZE);
	assert(!packet_begins_like_krpc(nonce[0]));
	memcpy(out, nonce, PACKET_NONCE_SIZE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + PACKET_NONCE_SIZE,
	    NULL, cookie, HANDSHAKE_COOKIE_SIZE, message_1.p + M1_MAC1,
	    HANDSHAKE_MAC_SIZE, NULL, nonce, g->cookie);
}

static enum err
read_noise_1(struct noise *n, struct span bare, struct handshake_payload_1 *ret)
{
	uint8_t payload[PAYLOAD_1_SIZE];
	struct writer w = wr_init(payload, sizeof(payload));
	enum err err;

	err = noise_read(n, bare, &w);
	if (!err)
		err = read_payload_1(wr_span_of(&w), ret);
	sodium_memzero(payload, sizeof(payload));
	return err;
}

enum err
handshake_1_open(const struct handshake_guard *g,
    const struct handshake_static *own, struct span datagram,
    struct handshake_request *ret)
{
	uint8_t bare[M1_MAC1];
	struct handshake_payload_1 payload;
	struct noise n;
	enum err err;

	if (datagram.n != PACKET_MESSAGE_1_SIZE)
		return ERR_MALFORMED;
	if (!handshake_mac1_ok(g, datagram))
		return ERR_AUTH;
	err = start_noise(own, NULL, &n);
	if (err)
		goto out;
	memcpy(bare, datagram.p, sizeof(bare));
	mask_e(g, "1", bare, span_of(bare + E_SIZE, sizeof(bare) - E_SIZE));
	err = read_noise_1(&n, span_of(bare, sizeof(bare)), &payload);
	if (err)
		goto out;
	err = ERR_BAD_KEY;
	if (memcmp(n.rs, own->pk.b, sizeof(n.rs)) == 0)
		goto out;
	ret->noise = n;
	ret->guard = *g;
	memcpy(ret->s.b, n.rs, sizeof(ret->s.b));
	ret->payload = payload;
	err = ERR_OK;
out:
	noise_wipe(&n);
	return err;
}

enum err
handshake_ts_check(uint64_t ts_ms, uint64_t last_ts_ms, uint64_t wall_ms)
{
	if (ts_ms > wall_ms && ts_ms - wall_ms > HANDSHAKE_AHEAD_MAX_MS)
		return ERR_EXPIRED;
	return ts_ms > last_ts_ms ? ERR_OK : ERR_REPLAY;
}

static enum err
write_noise_2(const struct handshake_2 *in, const struct handshake_payload_2 *p,
    struct noise *n, struct writer *w)
{
	uint8_t payload[PAYLOAD_2_SIZE];
	uint8_t psk[32];
	enum err err;

	pair_psk2(in->rk, in->id_i, in->id_r, psk);
	noise_set_psk(n, psk);
	err = noise_set_ephemeral(n, in->e_sk);
	if (err)
		goto out;
	write_payload_2(p, payload);
	err = noise_write(n, span_of(payload, sizeof(payload)), w);
out:
	sodium_memzero(psk, sizeof(psk));
	return err;
}

enum err
handshake_2_seal(const struct handshake_request *req,
    const struct handshake_2 *in, uint8_t out[PACKET_MESSAGE_2_SIZE],
    struct handshake_keys *ret)
{
	uint8_t m[PACKET_MESSAGE_2_SIZE];
	struct writer w = wr_init(m, sizeof(m));
	struct handshake_payload_2 p = in->payload;
	struct noise n = req->noise;
	enum err err;

	p.initiator_index = req->payload.index;
	wr_u32le(&w, p.initiator_index);
	err = write_noise_2(in, &p, &n, &w);
	if (err)
		goto out;
	assert(w.n == M2_MAC1);
	mask_e(&req->guard, "2", m + M2_E,
	    span_of(m + M2_E + E_SIZE, M2_MAC1 - M2_E - E_SIZE));
	put_macs(&req->guard, in->cookie, in->mac2, m, M2_MAC1);
	assert(!packet_begins_like_krpc(m[0]));
	derive_keys(&n, p.index, p.initiator_index, ret);
	memcpy(out, m, sizeof(m));
out:
	noise_wipe(&n);
	return err;
}

void
handshake_request_wipe(struct handshake_request *req)
{
	assert(req);
	sodium_memzero(req, sizeof(*req));
}

void
handshake_keys_wipe(struct handshake_keys *k)
{
	assert(k);
	sodium_memzero(k, sizeof(*k));
}
