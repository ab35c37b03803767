/*
 * A contact: the durable state of one pair, and its record. [SPEC §4.1]
 * [SPEC §7.6]
 */
#ifndef PROTO_CHAT_CONTACT_H
#define PROTO_CHAT_CONTACT_H

#include "proto/base/endpoint.h"
#include "proto/chat/message.h"
#include "proto/crypto/cell.h"
#include "proto/crypto/pair.h"

enum {
	CONTACT_STATICS_MAX = 2,   /* theirs: the one in use, the one before */
	CONTACT_RECORD_MAX = 2048, /* bytes of an encoded contact */
};

/* May the ratchet of the pair begin again from its root? [SPEC §6.6] */
enum contact_fallback {
	FALLBACK_AUTO = 0, /* if the contact is not verified */
	FALLBACK_ALLOW,
	FALLBACK_DENY,
};

struct contact {
	struct contact_id id; /* local name; not part of the record */
	struct id_pk pk;      /* theirs */
	bool ready;           /* a session was confirmed once */
	bool invited;         /* we accepted their invitation: pr is its PR0 */
	bool verified;        /* people have compared the safety number */
	enum contact_fallback fallback;
	bool blocked; /* as if he were no contact, until people say otherwise */
	bool hides;   /* he sees us only when we have something for him */
	bool quiet;   /* and we have not: he is as if blocked */
	bool relay;   /* he may pass our sessions, and see with whom they are */
	struct invite_secret inv; /* invited: erased when paired */
	struct pair_root pr;
	struct disc_key disc;
	struct ratchet_key rk0; /* derived, not part of the record */
	struct ratchet ratchet;
	uint64_t last_ts_ms; /* highest ts of a message 1 of theirs */
	/* What their cell or HELLO said. */
	struct static_pk s[CONTACT_STATICS_MAX]; /* newest first */
	uint8_t n_s;
	uint32_t gen; /* of s[0] */
	bool has_reach;
	struct reach_key reach;
	uint64_t cell_min; /* when their newest cell was written, Unix min */
	struct endpoint candidates[CELL_CANDIDATES_MAX]; /* last known */
	uint8_t n_candidates;
	uint64_t put_s; /* Unix time in our last put for them; 0: none */
	/* Messages, both directions. */
	uint64_t sent_seq, recv_seq; /* the last ones; 0: none yet */
	uint8_t sent_hash[MESSAGE_HASH_SIZE], recv_hash[MESSAGE_HASH_SIZE];
	uint64_t read_seq; /* of theirs, what they may know to be read */
	/* Drawn when our numbers turned out to be used: names a new numbering,
	 * which goes on from where we are. Zeros: none yet. */
	uint8_t renewed[DB_EPOCH_SIZE];
	/* They count anew, from anywhere: their next text has no gap. */
	bool recv_anew;
	bool has_epoch;
	uint8_t epoch[DB_EPOCH_SIZE]; /* theirs: recv_seq counts in it */
};

/* Both added each other. ERR_BAD_KEY: not an ID, or our own. */
MUST_USE enum err
contact_init_mutual(struct contact *c, const struct contact_id *id,
    const struct id_sk *mine, const struct id_pk *theirs);
/* We accepted an invitation of `inviter`. ERR_BAD_KEY. */
MUST_USE enum err
contact_init_invited(struct contact *c, const struct contact_id *id,
    const struct id_pk *inviter, const struct invite_secret *inv);
/* An INVITE handshake gave the pair its root; forgets inv, S, R of before. */
void contact_set_root(struct contact *c, const struct pair_root *pr);
/* A verified cert and reach key of theirs. True if anything changed.
 * ERR_REPLAY: an older generation than the one known. */
MUST_USE enum err contact_learn(struct contact *c, const struct cert *cert,
    const struct reach_key *reach, bool *changed);
/* Puts e first among the candidates. True if that changed anything. */
bool contact_learn_path(struct contact *c, const struct endpoint *e);
void contact_wipe(struct contact *c);

void contact_encode(const struct contact *c, struct writer *ret);
/* id is taken as given. ERR_MALFORMED, ERR_UNSUPPORTED (version). */
MUST_USE enum err contact_decode(
    struct span in, const struct contact_id *id, struct contact *ret);

/* A list of endpoints as it stands in records: 18 bytes each. */
void endpoints_encode(const struct endpoint *e, size_t n, struct writer *ret);
MUST_USE enum err
endpoints_decode(struct span in, struct endpoint *ret, size_t max, uint8_t *n);

#endif /* PROTO_CHAT_CONTACT_H */
