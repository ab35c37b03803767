/*
 * One session: the keys of one handshake, the packet numbers under them, what
 * was received and is to be acknowledged. [SPEC §6.4] [SPEC §6.5]
 *
 *   HALF   responder, message 2 left: receives only, changes nothing
 *   OPEN   confirmed, or the initiator's own; the peer's HELLO is not here
 *   LIVE   the peer's HELLO was verified: carries a link
 *   OLD    replaced: receives, and acknowledges what it received
 */
#ifndef PROTO_LINK_SESSION_H
#define PROTO_LINK_SESSION_H

#include "proto/base/env.h"
#include "proto/crypto/replay.h"
#include "proto/link/handshake.h"
#include "proto/link/ranges.h"

enum {
	SESSION_PACKETS_MAX = 1 << 20, /* of one key [SPEC §6.5] */
	SESSION_FORGED_MAX = 1 << 20,  /* that did not open: it is renewed */
	SESSION_SKIP_MIN = 64,         /* one number in 64..512 is left out */
	SESSION_SKIP_MAX = 512,
	SESSION_SKIPS = 64,         /* left-out numbers that are remembered */
	SESSION_ACK_DELAY_MS = 5,   /* a lonely packet waits for company */
	SESSION_ACK_EVERY = 2,      /* this many are acknowledged at once ... */
	SESSION_ACK_BULK = 5,       /* ... and so many of a long row */
	SESSION_ACK_QUICK = 100,    /* which begins after so many packets */
	SESSION_HALF_MS = 10000,    /* HALF, OPEN [SPEC §6.5] */
	SESSION_SAME_MS = 1000,     /* HALF: the answer may go out once more */
	SESSION_ALSO = 4,           /* packets that go two ways, at first */
	SESSION_OLD_MS = 60000,     /* a replaced key receives so long */
	SESSION_DATA_MS = 120000,   /* renewed so long after data */
	SESSION_IDLE_MS = 3600000,  /* renewed in any case */
	SESSION_OVERDUE_MS = 60000, /* and dead if it was not, after this */
	SESSION_HELLO_MAX = 8,      /* while another session is answered */
	/* Ranks further apart: a clock was set; keys are renewed far sooner. */
	SESSION_CLOCK_MS = 12 * 3600 * 1000,
};

enum session_state {
	SESSION_HALF = 1,
	SESSION_OPEN,
	SESSION_LIVE,
	SESSION_OLD,
};

struct peer;
struct session;

/* One receiver index of a session or of a try, in the map of all. */
struct index_entry {
	uint32_t index;
	struct session *session;  /* borrowed; or NULL */
	struct try *try;          /* borrowed; or NULL */
	struct index_entry *next; /* of another session with the same index */
};

struct session {
	enum session_state state;
	uint32_t key;      /* number for recovery, unique in a process */
	struct peer *peer; /* borrowed */
	struct index_entry entry[PACKET_INDICES];
	uint8_t n_entry;
	/* Of the handshake. */
	struct handshake_keys keys; /* secret */
	struct ratchet_key base;    /* what psk2 was made of */
	struct static_pk s, own_s;
	bool initiator, adv, fallback;
	uint16_t udp_max;     /* of the peer */
	uint64_t rank;        /* the lower ID's clock: see session_is_newer */
	struct endpoint from; /* where the handshake came from */
	/* A route besides that, by which the first words go, too: port 0 is
	 * none; and how many more may. */
	struct endpoint also;
	uint8_t n_also;
	uint8_t answer[PACKET_MESSAGE_2_SIZE]; /* HALF: ours */
	uint8_t call[HANDSHAKE_MAC_SIZE];      /* HALF: mac1 of theirs */
	bool answered_again, answered_copy;
	uint64_t born_ms, deadline_ms;
	/* Sending. */
	uint64_t next, skip_at;
	uint64_t skipped[SESSION_SKIPS];
	uint32_t n_skipped;
	uint8_t at_index; /* of keys.send_index */
	/* Receiving. */
	struct replay replay;
	uint32_t n_forged; /* did not open, up to SESSION_FORGED_MAX */
	struct ranges received;
	uint64_t largest_ms;  /* when the highest number came */
	uint32_t unacked;     /* ack-eliciting, since our last ACK */
	uint64_t unacked_lo;  /* the lowest of them */
	uint32_t n_eliciting; /* up to SESSION_ACK_QUICK */
	bool ack_now;         /* something is out of order */
	uint64_t ack_ms;      /* when the ACK is due, or NEVER */
	uint64_t data_ms;     /* first data under this key, or NEVER */
	bool confirmed;       /* a packet came under this key */
	bool hello_seen;      /* the peer's */
	bool hello_acked;     /* ours */
	bool hello_due;       /* ours is to be sent (again) */
	uint8_t n_hello;      /* how often it was, up to SESSION_HELLO_MAX */
};

/* Takes over the keys; the caller fills what the handshake says. */
void session_init(struct session *s, const struct handshake_keys *keys,
    const struct rng *rng, uint64_t now_ms);
void session_wipe(struct session *s);

/* Does s, whose HELLO has come, take the place of the one in use? Both sides
 * say the same, however handshakes crossed. */
bool session_is_newer(const struct session *s, const struct session *used);
/* True while its key may still seal. */
bool session_may_send(const struct session *s);
/* True once so much did not open that its key must not stay. */
bool session_worn(const struct session *s);
/* Seals plain, which stands at out + PACKET_HEAD; gives the number used. */
uint64_t session_seal(
    struct session *s, const struct rng *rng, size_t plain_n, uint8_t *out);
/* Check, open, mark. ERR_MALFORMED, ERR_REPLAY, ERR_LIMIT, ERR_AUTH; *highest
 * says whether no higher number came before. */
MUST_USE enum err session_open(struct session *s, struct span datagram,
    uint8_t *out, uint64_t *number, bool *highest);
/* A packet was taken for good: it will be acknowledged. */
void session_received(
    struct session *s, uint64_t number, bool eliciting, uint64_t now_ms);
/* False for an ACK of numbers that were never sent. */
bool session_ack_honest(const struct session *s, const struct ranges *ack);
bool session_ack_due(const struct session *s, uint64_t now_ms);
void session_acked(struct session *s); /* our ACK leaves */
/* Our ACK of what is below hi has come: that need not be told again, unless
 * it came after that ACK had left. */
void session_ack_told(struct session *s, uint64_t hi);

#endif /* PROTO_LINK_SESSION_H */
