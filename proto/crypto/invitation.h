/* Invitations as text: who invites, a one-use secret, when it ends, where to
 * knock first. [SPEC §3] */
#ifndef PROTO_CRYPTO_INVITATION_H
#define PROTO_CRYPTO_INVITATION_H

#include "proto/base/endpoint.h"
#include "proto/crypto/types.h"

enum {
	INVITATION_HINTS_MAX = 3,
	INVITATION_TEXT_SIZE = 320, /* upper bound with btchat: and NUL */
};

struct invitation {
	uint8_t flags;
	uint32_t expiry_min; /* Unix s / 60 */
	struct id_pk id;     /* the inviter's */
	struct invite_secret inv;
	struct endpoint hints[INVITATION_HINTS_MAX];
	uint8_t n_hints;
};

/* Gives the bare form "btinvite1..."; a URI is "btchat:" before it. */
MUST_USE enum err
invitation_encode(const struct invitation *in, char *out, size_t cap);
/* Bare, btchat: URI, or QR upper case. Does not look at the expiry.
 * ERR_MALFORMED, ERR_UNSUPPORTED (version), ERR_BAD_KEY. */
MUST_USE enum err invitation_decode(struct span text, struct invitation *ret);

#endif /* PROTO_CRYPTO_INVITATION_H */
