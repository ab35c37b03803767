/*
 * What the rooms of link/ share: the whole (struct links), a peer, an own
 * attempt to reach it, and the running link with its sessions and streams.
 * Only files of link/ include this.
 */
#ifndef PROTO_LINK_STATE_H
#define PROTO_LINK_STATE_H

#include "proto/base/heap.h"
#include "proto/base/map.h"
#include "proto/link/hello.h"
#include "proto/link/link.h"
#include "proto/link/load.h"
#include "proto/link/mtu.h"
#include "proto/link/recovery.h"
#include "proto/link/session.h"
#include "proto/link/stream.h"

enum {
	LINK_UDP_MAX = MTU_MAX, /* taken: told in the handshake */
	LINK_PLAIN_MAX = MTU_MAX - PACKET_OVERHEAD,
	LINK_LOCAL_MAX = 16,
	LINK_BLANK_MAX = 64, /* datagrams that are kept for the next ones */
	LINK_REST_MS = 2000, /* after a transfer its memory goes back */
	/* Of a session beyond the limits of its streams, so that neither ever
	 * waits for the other's. [SPEC §7.3] */
	LINK_CREDIT = 1024 * 1024,
	LINK_SESSIONS_MAX = 4, /* of a link, at one time */
	LINK_TRIES_MAX = 6,    /* messages 1 that may still be answered */
	/* Of an attempt: what the owner names, and where the link is or was. */
	LINK_DOORS_MAX = LINK_CANDIDATES_MAX + LINK_ROUTES_MAX + 2,
	LINK_COOKIES_MAX = 3, /* cookie replies from one address, an attempt */
	LINK_INVITE_STATICS = 2, /* own S that an invitation is tried with */
	/* Guards of own (R, S, day). */
	LINK_GUARDS_MAX =
	    3 * (2 * LINK_STATICS_MAX + LINK_INVITES_MAX * LINK_INVITE_STATICS),
	LINK_ADDRESSES_MAX = 16, /* of a peer, whose packets are counted */
	/* Messages 1 to a silent address; then one a minute; all of them again
	 * after ten minutes without. [SPEC §6.5] */
	LINK_BUDGET = 3,
	LINK_BUDGET_MORE_MS = 60000,
	LINK_BUDGET_MS = 600000,
	LINK_OPEN_MS = 2000,    /* simultaneous open [SPEC §6.5] */
	LINK_ATTEMPT_MS = 5000, /* an attempt lasts */
	LINK_RESCUE_MS = 15000, /* one for a running link */
	LINK_SILENCE_MS = 2000, /* no answer: the link is in doubt */
	LINK_DEAD_MS = 75000,
	LINK_PING_MIN_MS = 22000,
	LINK_PING_MAX_MS = 28000,
	/* The higher ID renews later, and pings if the lower seems not to. */
	LINK_HIGHER_LATER_MS = 10000,
	LINK_RENEW_AGAIN_MS = 10000,
	LINK_WAKE_MS = 10, /* for each link: renewals after a suspend */
	LINK_REKEY_LATER_MS = 1000, /* after a move, of the higher ID */
	LINK_ADV_S = 3600,
	LINK_TS_AHEAD_MS = 60000,
	LINK_IGNORED_MAX = 4,
	LINK_PAIRED_MS = 60000,  /* a pairing session stays */
	LINK_OFFER_MS = 1000,    /* between two CANDIDATES that are taken */
	LINK_OFFER_COPY_MS = 20, /* after the first of two that are sent */
};

/* An output in the queue: it is part of one of these. */
struct out_node {
	struct out_node *next;     /* owned by the queue */
	struct datagram *datagram; /* or NULL */
	struct out *out;           /* or NULL */
};

struct out {
	struct out_node node;
	struct link_out o;
};

/* What is sent is most of all and has a type, and a store, of its own. */
struct datagram {
	struct out_node node;
	struct endpoint to;
	uint8_t hops;
	uint16_t n;
	uint8_t bytes[LINK_UDP_MAX];
};

/* One message 1 of ours that may still be answered. */
struct
try {
	bool used;
	struct peer *peer;           /* borrowed */
	uint32_t seq;                /* rises within the attempt */
	struct handshake_attempt hs; /* secret */
	struct index_entry entry;
	struct static_pk own_s, rs;
	struct ratchet_key cur, prev; /* what it names */
	uint64_t ts_ms, at_ms;
	uint16_t flags;
};

/* An address that an attempt knocks at. */
struct door {
	struct endpoint at;
	bool shy;  /* it dies on the way, at first */
	bool sent; /* a message 1 went there */
	bool has_cookie;
	uint8_t n_cookies; /* cookie replies that came */
	uint8_t cookie[HANDSHAKE_COOKIE_SIZE];
};

struct attempt {
	struct attempt *next; /* in the list of all */
	struct peer *peer;    /* borrowed */
	struct try tries[LINK_TRIES_MAX];
	uint32_t seq, accepted; /* of the last made; of the answered one */
	struct door to[LINK_DOORS_MAX];
	uint8_t n_to;
	uint8_t step;      /* in the table of intervals */
	uint8_t hops;      /* of what goes to a shy door */
	bool persist;      /* for a running link */
	uint64_t start_ms; /* of the first message 1 */
	uint64_t next_ms, end_ms;
};

/* How often an address of a peer was knocked at. */
struct address {
	struct endpoint at;
	bool answered; /* an authenticated packet came from there */
	uint8_t n;     /* of sent_ms */
	uint64_t sent_ms[LINK_BUDGET];
};

/* A way that may have answered a challenge. */
struct way {
	bool known;
	struct endpoint at;
	uint64_t answered_ms; /* 0: not yet */
};

/* What is known of the ways to a peer besides the one that the link takes. A
 * *check* asks the path and the others whether they live. */
struct ways {
	uint8_t key[16];  /* secret: what a challenge says */
	struct way spare; /* a direct one */
	struct way route; /* the one that answered last */
	struct endpoint
	    from; /* where the peer spoke last, other than the path */
	bool is_from, speaks; /* since the path answered last; not only ACK */
	uint64_t from_in, from_out; /* bytes, since it is that one */
	uint32_t calm_ms;     /* how long no word from elsewhere counts, ... */
	uint64_t calm_end_ms; /* and until when */
	uint64_t ended_ms;    /* the last check, which led nowhere */
	uint8_t n_ended;      /* so many of them for one silence */
	uint64_t asked_ms;    /* begin of the check, or NEVER */
	uint64_t round_ms;    /* of its next round, or NEVER */
	uint32_t step_ms;     /* from one round to the next */
	uint8_t rounds;       /* of this check */
	bool all;             /* routes are asked from the first round on */
	bool check_due;       /* begins with the next flush */
	uint64_t spare_ms;    /* when the spare is asked without a check */
	uint8_t n_spare;      /* how often, since it answered */
	uint64_t began_ms;    /* this path was taken */
	uint64_t keep_ms;     /* the first PING of a direct one, or NEVER */
	uint64_t ask_at_ms;   /* bucket of challenges to strangers: */
	uint32_t ask_spent_ms;
};

/* What two processes have together; and before it is up, the first session
 * on its way. */
struct conn {
	struct session *s[LINK_SESSIONS_MAX]; /* owned */
	uint8_t n_s;
	struct session *cur; /* the newest LIVE one, or NULL */
	bool up;
	bool early; /* not up, and words may leave already; see conn_carrier */
	uint32_t words_key; /* of the session that such words left under, */
	bool words;         /* if some did */
	bool stray;         /* or of several */
	bool unclaimed;     /* some were taken by who has not said who he is */
	uint64_t stray_ms; /* until then the peer may have taken them for a link
	                    * of another process; see conn_greeted */
	bool paired;       /* a pairing session that has done its work */
	uint8_t instance[HELLO_INSTANCE_SIZE]; /* the peer's */
	struct endpoint path;
	struct ways ways;
	struct stream_send send, bulk_send;
	struct stream_receive receive, bulk_receive;
	bool bulk_open;    /* we take bulk */
	uint64_t credit;   /* the peer's MAX_DATA */
	uint64_t max_data; /* ours */
	struct recovery recovery;
	struct mtu mtu;
	bool max_data_due, max_stream_due, max_bulk_due, observed_due, ping_due;
	bool offer_due, offer_copy; /* a copy is to follow */
	uint64_t offer_copy_ms;     /* then it leaves, or NEVER */
	struct link_candidates offer;
	bool has_offered; /* one of the peer's waits until offered_ms */
	struct link_candidates offered;
	uint64_t offered_ms; /* when the next one is taken */
	uint64_t pace_ms;    /* when more may leave, or NEVER */
	uint64_t rest_ms;    /* memory of streams is given back, or NEVER */
	uint8_t force;       /* packets that may pass the window */
	bool acked;          /* an ACK left, in this flush */
	bool rescue;         /* no answer; an attempt tries to revive it */
	uint64_t up_ms, heard_ms, sent_ms;
	uint64_t waiting_ms; /* since when an answer is due, or NEVER */
	uint64_t ping_after_ms;
	uint64_t asked_ms;    /* links_ping: since when, or NEVER */
	uint64_t renew_ms;    /* not before */
	uint64_t renew_by_ms; /* at once: moved, slept; or NEVER */
	uint64_t bytes_in, bytes_out;
	uint32_t rekeys;
	bool room_low, bulk_room_low; /* less than half was free */
	struct out *out_down;         /* owned: so that DOWN cannot fail */
};

struct peer {
	uint32_t number;
	struct link_peer cfg;
	struct rid rid0;
	bool in_rids; /* in by_rid: no S of theirs is known */
	uint8_t instance[HELLO_INSTANCE_SIZE]; /* ours towards this peer */
	struct callers *callers;               /* owned; NULL: no inviter */
	struct address *address;               /* owned, LINK_ADDRESSES_MAX */
	struct attempt *attempt;               /* owned, or NULL */
	struct session *half;                  /* owned, or NULL */
	struct conn *conn;                     /* owned, or NULL */
	struct endpoint routes[LINK_ROUTES_MAX];
	uint8_t n_routes;
	uint8_t n_ignored; /* calls, since a session began, for our own */
	uint64_t shunned_until_ms; /* nothing before */
	struct heap_node timer;
	struct peer *next_dirty, *next_ready;
	bool dirty, ready;
	bool writable;      /* LINK_OUT_WRITABLE is due */
	bool bulk_writable; /* LINK_OUT_BULK_WRITABLE is */
};

/* One own (R, S, day). Secret. */
struct own_guard {
	struct handshake_guard g;
	struct peer *invite; /* whose R it is, or NULL: our own */
	bool old;            /* R of before: whom we block knows it */
	uint8_t s;           /* of self.s */
};

struct links {
	const struct rng *rng; /* borrowed */
	bool has_self;
	struct link_self self;
	struct endpoint local[LINK_LOCAL_MAX];
	size_t n_local;
	bool loopback;
	struct map by_number, by_static, by_rid; /* of struct peer, owned */
	struct map by_index;                     /* of struct index_entry */
	struct heap timers;
	struct peer *invite[LINK_INVITES_MAX];
	size_t n_invite;
	struct own_guard own[LINK_GUARDS_MAX];
	size_t n_own;
	uint32_t own_day;
	bool own_stale;
	struct attempt *attempts; /* list by next; owned by their peers */
	struct load load;
	uint64_t ts_ms, ts_floor_ms; /* of message 1 */
	uint64_t rank_ms;            /* of message 2 */
	uint32_t next_key;
	struct out_node *out_first, *out_last; /* owned */
	struct out_node *out_lent;             /* owned; what links_next gave */
	struct datagram *draft; /* owned; being written, or NULL */
	struct out_node *blank; /* owned; datagrams to be used again */
	size_t n_blank;         /* at most LINK_BLANK_MAX */
	struct peer *dirty;     /* list by next_dirty */
	struct peer *ready;     /* list by next_ready */
	struct peer *data_lent; /* whose stream links_next showed */
	size_t data_lent_n;
	bool data_lent_bulk;
	uint64_t now_ms; /* mono, of the last call */
	size_t n_peers, n_half, n_attempts, n_up;
	struct link_stats stats;
};

#endif /* PROTO_LINK_STATE_H */
