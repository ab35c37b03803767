/* Noise vectors: both sides are played, every byte on the wire is compared.
 * The fields are those of the framework's wiki, in their newer and older
 * forms. */
#include "tests/support/noise_pattern.h"
#include "tests/support/vectors.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_SIZE = 128, FIELD_MAX = 64 };

/* A protocol name taken apart. */
struct protocol {
	char name[NAME_MAX_SIZE]; /* whole */
	char pattern[FIELD_MAX], dh[FIELD_MAX], cipher[FIELD_MAX],
	    hash[FIELD_MAX];
	bool plain; /* "Noise_", not an older framework's prefix */
};

/* One side of one handshake, and of what follows. */
struct side {
	struct noise n;
	struct blob prologue, s, e, rs;
	uint8_t psk[4][32];
	unsigned n_psk;
	uint8_t k[2][32];
	uint64_t counter[2]; /* by direction */
};

struct play {
	const cJSON *item;
	struct noise_pattern pattern;
	const struct noise_hash *hash;
	struct side side[2]; /* init_, resp_ */
	unsigned first;      /* which of them is Noise's initiator */
	unsigned opens;      /* which of them writes messages[0] */
	int at;              /* message of `messages` */
	bool split;
};

/* ---- names ---- */

static bool
split_name(const char *name, struct protocol *ret)
{
	char prefix[FIELD_MAX];
	char rest;
	int n = sscanf(name, "%63[^_]_%63[^_]_%63[^_]_%63[^_]_%63[^_]%c",
	    prefix, ret->pattern, ret->dh, ret->cipher, ret->hash, &rest);

	if (n != 5 || strncmp(prefix, "Noise", 5) != 0)
		return false;
	ret->plain = prefix[5] == '\0';
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	return true;
}

static bool
join_fields(const cJSON *item, struct protocol *ret)
{
	const char *field[] = { json_string(item, "pattern"),
		json_string(item, "dh"), json_string(item, "cipher"),
		json_string(item, "hash") };
	char name[NAME_MAX_SIZE];

	for (int i = 0; i < 4; i++) {
		if (!field[i])
			return false;
	}
	snprintf(name, sizeof(name), "Noise%s_%.24s_%.24s_%.24s_%.24s",
	    json_item(item, "init_psk") && !strstr(field[0], "psk") ? "PSK"
	                                                            : "",
	    field[0], field[1], field[2], field[3]);
	return split_name(name, ret);
}

static bool
read_protocol(const cJSON *item, struct protocol *ret)
{
	const char *names[] = { json_string(item, "protocol_name"),
		json_string(item, "name") };

	for (int i = 0; i < 2; i++) {
		if (names[i] && split_name(names[i], ret))
			return true;
	}
	return join_fields(item, ret);
}

/* Why this vector is not for us, or NULL. */
static const char *
not_ours(const cJSON *item, const struct protocol *p)
{
	if (!p->plain)
		return "a framework before revision 32";
	if (json_string(item, "hybrid") || strstr(p->pattern, "hfs"))
		return "a hybrid handshake";
	if (strcmp(p->dh, "25519") != 0)
		return "another DH";
	if (strcmp(p->cipher, "ChaChaPoly") != 0)
		return "another cipher";
	return NULL;
}

/* ---- keys ---- */

static struct blob
side_blob(const cJSON *item, const char *side, const char *field)
{
	char key[FIELD_MAX];

	snprintf(key, sizeof(key), "%s_%s", side, field);
	return json_blob(item, key);
}

static void
add_psk(struct side *s, const cJSON *string)
{
	struct blob b = json_blob_of(string);

	if (b.n == 32 && s->n_psk < 4)
		memcpy(s->psk[s->n_psk++], b.b, 32);
}

static void
read_side(const cJSON *item, const char *name, struct side *ret)
{
	char key[FIELD_MAX];
	const cJSON *psk;

	ret->prologue = side_blob(item, name, "prologue");
	ret->s = side_blob(item, name, "static");
	ret->e = side_blob(item, name, "ephemeral");
	ret->rs = side_blob(item, name, "remote_static");
	snprintf(key, sizeof(key), "%s_psks", name);
	cJSON_ArrayForEach(psk, json_item(item, key)) add_psk(ret, psk);
	snprintf(key, sizeof(key), "%s_psk", name);
	if (ret->n_psk == 0)
		add_psk(ret, json_item(item, key));
}

static bool
keypair_of(const struct blob *b, struct noise_keypair *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (b->n != 32)
		return false;
	memcpy(ret->sk, b->b, 32);
	ret->set = crypto_scalarmult_base(ret->pk, ret->sk) == 0;
	return ret->set;
}

static bool
has_token(const uint8_t *tokens, enum noise_token token)
{
	for (int i = 0; i < 3 && tokens[i] != NOISE_END; i++) {
		if (tokens[i] == token)
			return true;
	}
	return false;
}

/* Sets one side up. `peer` gives what the vector leaves out. */
static bool
start_side(struct play *p, unsigned who, bool initiator)
{
	struct side *own = &p->side[who];
	struct side *peer = &p->side[1 - who];
	const uint8_t *own_pre = p->pattern.pre[initiator ? 0 : 1];
	const uint8_t *peer_pre = p->pattern.pre[initiator ? 1 : 0];
	struct noise_keypair peer_s;
	struct noise_keypair peer_e;
	struct noise_keypair e;
	struct noise_config cfg = {
		.pattern = &p->pattern,
		.hash = p->hash,
		.initiator = initiator,
		.prologue = blob_span(&own->prologue),
	};

	keypair_of(&own->s, &cfg.s);
	keypair_of(&own->e, &e);
	keypair_of(&peer->s, &peer_s);
	keypair_of(&peer->e, &peer_e);
	if (has_token(own_pre, NOISE_E))
		cfg.e = e;
	if (has_token(peer_pre, NOISE_S))
		cfg.rs = own->rs.n == 32 ? own->rs.b : peer_s.pk;
	if (has_token(peer_pre, NOISE_E))
		cfg.re = peer_e.pk;
	if (noise_init(&own->n, &cfg))
		return false;
	for (unsigned i = 0; i < own->n_psk; i++)
		noise_set_psk(&own->n, own->psk[i]);
	if (e.set && !cfg.e.set && noise_set_ephemeral(&own->n, e.sk))
		return false;
	return true;
}

static bool
start(struct play *p, unsigned first)
{
	p->first = first;
	p->split = false;
	memset(p->side[0].counter, 0, sizeof(p->side[0].counter));
	memset(p->side[1].counter, 0, sizeof(p->side[1].counter));
	return start_side(p, first, true) && start_side(p, 1 - first, false);
}

/* ---- messages ---- */

static bool
is_fallback_name(const char *pattern)
{
	return strstr(pattern, "fallback") != NULL;
}

static bool
check_hash(const struct play *p)
{
	struct blob h = json_blob(p->item, "handshake_hash");

	return !h.there || (blob_is(&h, p->side[0].n.h, p->hash->len) &&
	                       blob_is(&h, p->side[1].n.h, p->hash->len));
}

/* Who speaks: the sides take turns, but one-way patterns have one voice. */
static unsigned
sender(const struct play *p)
{
	if (p->pattern.n_messages == 1 && !is_fallback_name(p->pattern.name))
		return p->first;
	return (p->opens + (unsigned)p->at) % 2;
}

/* Seals with one side, opens what the vector gives with the other. */
static bool
step_transport(
    struct play *p, const struct blob *payload, const struct blob *wire)
{
	unsigned who = sender(p);
	unsigned way = who == p->first ? 0 : 1;
	struct side *from = &p->side[who];
	struct side *to = &p->side[1 - who];
	uint8_t buf[BLOB_MAX + 16];

	noise_seal(from->k[way], from->counter[way]++, span_of(NULL, 0),
	    blob_span(payload), buf);
	if (!blob_is(wire, buf, payload->n + 16))
		return false;
	if (noise_open(to->k[way], to->counter[way]++, span_of(NULL, 0),
	        blob_span(wire), buf))
		return false;
	return blob_is(payload, buf, wire->n - 16);
}

static bool
step_handshake(
    struct play *p, const struct blob *payload, const struct blob *wire)
{
	unsigned who = sender(p);
	uint8_t buf[BLOB_MAX];
	struct writer w = wr_init(buf, sizeof(buf));

	if (noise_write(&p->side[who].n, blob_span(payload), &w))
		return false;
	if (!blob_is(wire, buf, w.n))
		return false;
	w = wr_init(buf, sizeof(buf));
	if (noise_read(&p->side[1 - who].n, blob_span(wire), &w))
		return false;
	return blob_is(payload, buf, w.n);
}

static bool
step(struct play *p, const cJSON *message)
{
	struct blob payload = json_blob(message, "payload");
	struct blob wire = json_blob(message, "ciphertext");

	if (!payload.there || !wire.there)
		return false;
	if (!noise_done(&p->side[0].n))
		return step_handshake(p, &payload, &wire);
	if (!p->split) {
		noise_split(&p->side[0].n, p->side[0].k);
		noise_split(&p->side[1].n, p->side[1].k);
		p->split = true;
	}
	return step_transport(p, &payload, &wire);
}

/* Plays the messages from p->at on; the number that went well. */
static int
play(struct play *p)
{
	const cJSON *messages = json_item(p->item, "messages");
	int n = cJSON_GetArraySize(messages);

	while (p->at < n && step(p, cJSON_GetArrayItem(messages, p->at)))
		p->at++;
	return p->at;
}

/* True if all is as the vector says, played from message `at` on. */
static bool
play_all(struct play *p, unsigned first, int at)
{
	int n = cJSON_GetArraySize(json_item(p->item, "messages"));
	bool fail = cJSON_IsTrue(json_item(p->item, "fail"));

	p->at = at;
	if (!start(p, first))
		return false;
	if (play(p) < n)
		return fail;
	return !fail && noise_done(&p->side[0].n) && check_hash(p);
}

/* ---- fallback ---- */

/*
 * A Noise pipe: the first message is written with a static key that the
 * responder does not have, so it cannot be read; then the responder begins
 * the fallback pattern over the ephemeral that it saw.
 */
static bool
play_pipe(struct play *p, const char *fallback)
{
	const cJSON *first =
	    cJSON_GetArrayItem(json_item(p->item, "messages"), 0);
	struct blob payload = json_blob(first, "payload");
	struct blob wire = json_blob(first, "ciphertext");
	uint8_t buf[BLOB_MAX];
	struct writer w = wr_init(buf, sizeof(buf));

	if (!start(p, 0))
		return false;
	if (noise_write(&p->side[0].n, blob_span(&payload), &w))
		return false;
	if (!blob_is(&wire, buf, w.n))
		return false;
	w = wr_init(buf, sizeof(buf));
	if (!noise_read(&p->side[1].n, blob_span(&wire), &w))
		return false; /* it must not be readable */
	if (!noise_pattern_build(fallback, &p->pattern))
		return false;
	return play_all(p, 1, 1);
}

static bool
run_play(struct play *p)
{
	const char *fallback = json_string(p->item, "fallback_pattern");

	if (cJSON_IsTrue(json_item(p->item, "fallback")))
		return play_pipe(p, fallback ? fallback : "XXfallback");
	if (is_fallback_name(p->pattern.name)) {
		/* Writers of vectors differ in whom they call init_. */
		if (play_all(p, 0, 0))
			return true;
		p->opens = 1;
		return play_all(p, 1, 0);
	}
	return play_all(p, 0, 0);
}

static void
run_item(struct vectors *v, const cJSON *item)
{
	static struct play p; /* large */
	struct protocol proto;
	const char *why;
	bool ok;

	if (!read_protocol(item, &proto)) {
		vectors_case(v, false, "no protocol name");
		return;
	}
	why = not_ours(item, &proto);
	memset(&p, 0, sizeof(p));
	p.item = item;
	p.hash = noise_hash_find(proto.hash);
	if (!why && !p.hash)
		why = "another hash";
	if (!why && !noise_pattern_build(proto.pattern, &p.pattern))
		why = "another pattern or modifier";
	if (why) {
		vectors_skip(v, proto.name, why);
		return;
	}
	read_side(item, "init", &p.side[0]);
	read_side(item, "resp", &p.side[1]);
	ok = run_play(&p);
	vectors_case(v, ok, "%s: message %d", proto.name, p.at);
}

bool
vectors_noise(struct vectors *v, const cJSON *json)
{
	const cJSON *list =
	    cJSON_IsArray(json) ? json : json_item(json, "vectors");
	const cJSON *item = cJSON_GetArrayItem(list, 0);

	if (!cJSON_IsArray(json_item(item, "messages")))
		return false;
	cJSON_ArrayForEach(item, list) run_item(v, item);
	return true;
}
