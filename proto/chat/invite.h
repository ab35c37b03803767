/* A live invitation of ours: one use, one secret, one end. [SPEC §4.1] */
#ifndef PROTO_CHAT_INVITE_H
#define PROTO_CHAT_INVITE_H

#include "proto/crypto/callers.h"
#include "proto/crypto/pair.h"

struct invite {
	struct message_id id; /* local name; not part of the record */
	struct invite_secret inv;
	uint64_t expires_s;
	/* Used: by whom, until both have met under the new root. */
	bool used;
	struct contact_id contact;
	struct static_pk s; /* the S that it is bound to */
	struct callers callers;
	uint64_t put_s; /* Unix time in our last put of its cell; 0: none */
	/* Derived, not part of the record. */
	struct pair_root pr; /* PR0 */
	struct disc_key disc;
	struct ratchet_key rk0;
	struct reach_key reach;
};

void invite_init(struct invite *i, const struct message_id *id,
    const struct invite_secret *inv, uint64_t expires_s,
    const struct id_pk *inviter);
void invite_wipe(struct invite *i);
void invite_encode(const struct invite *i, struct writer *ret);
/* ERR_MALFORMED, ERR_UNSUPPORTED (version). Version 1 knows no callers. */
MUST_USE enum err invite_decode(struct span in, const struct message_id *id,
    const struct id_pk *inviter, struct invite *ret);

#endif /* PROTO_CHAT_INVITE_H */
