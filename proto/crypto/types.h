/* Every kind of key and id is its own type, so the compiler tells them apart.
 * [SPEC §2] */
#ifndef PROTO_CRYPTO_TYPES_H
#define PROTO_CRYPTO_TYPES_H

#include "proto/base/bytes.h"
#include "proto/base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct id_pk {
	uint8_t b[32];
}; /* Ed25519: "you are your public key" */
struct id_seed {
	uint8_t b[32];
}; /* secret: what identity files hold */
struct id_sk {
	uint8_t b[64];
}; /* secret: libsodium's seed || pk */
struct static_pk {
	uint8_t b[32];
}; /* S, X25519 */
struct static_sk {
	uint8_t b[32];
}; /* secret */
struct reach_key {
	uint8_t b[32];
}; /* R, secret of oneself and contacts */
struct invite_secret {
	uint8_t b[32];
}; /* inv */
struct pair_root {
	uint8_t b[32];
}; /* PR */
struct ratchet_key {
	uint8_t b[32];
}; /* rk */
struct disc_key {
	uint8_t b[32];
}; /* disc */
struct rid {
	uint8_t b[8];
}; /* names a ratchet key to who knows it */
struct message_id {
	uint8_t b[16];
};
struct contact_id {
	uint8_t b[16];
}; /* local name of a contact, random */
struct target {
	uint8_t b[20];
}; /* DHT id or key, SHA-1 space */
struct node_key {
	uint8_t b[32];
}; /* N, X25519, of an overlay node; all zero: not known, or none */

/* Lower means the lower byte string. All are public: no time to hide. */
int id_cmp(const struct id_pk *a, const struct id_pk *b);
bool id_eq(const struct id_pk *a, const struct id_pk *b);
bool node_key_eq(const struct node_key *a, const struct node_key *b);
bool node_key_is_set(const struct node_key *n); /* NULL is not */

#endif /* PROTO_CRYPTO_TYPES_H */
