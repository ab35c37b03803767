/*
 * Peer sessions: handshakes, keys, packets; two ordered streams of bytes each
 * way for every peer, one of chat and one of bulk. Joins the rooms of link/.
 * Sans-I/O. [SPEC §5-§7]
 *
 * A *peer* is named by a number its owner (node) chooses. A *link* is what
 * two running processes have together: it outlives rekeys and moves, and ends
 * when either loses its memory. Streams belong to a link; each link that
 * comes up begins them at 0, so what was not acknowledged by the layer above
 * is sent again by the layer above.
 */
#ifndef PROTO_LINK_LINK_H
#define PROTO_LINK_LINK_H

#include "proto/base/endpoint.h"
#include "proto/base/env.h"
#include "proto/base/err.h"
#include "proto/crypto/callers.h"
#include "proto/crypto/cell.h"
#include "proto/crypto/identity.h"
#include "proto/crypto/pair.h"

enum {
	LINK_STATICS_MAX = 4, /* own S: one each 60 d, kept 180 d */
	LINK_PEER_STATICS_MAX =
	    2, /* of a peer: the one in use, the one before */
	LINK_CANDIDATES_MAX = 8,
	LINK_ROUTES_MAX = 4,    /* to a peer */
	LINK_PEERS_MAX = 16384, /* contacts and live invitations */
	LINK_INVITES_MAX = 16, /* live at once: each costs hashes a message 1 */
	LINK_STREAM_WINDOW = 256 * 1024, /* bytes of chat in flight */
	LINK_BULK_WINDOW = 2048 * 1024,  /* bytes of bulk in flight */
	/* Of capabilities: he passes for contacts what they and theirs send. */
	LINK_CAPABILITY_RELAY = 1,
};

/* What this node is; replaced as a whole when a key is renewed. */
struct link_self {
	struct id_pk id;
	struct {
		struct static_sk sk;
		struct static_pk pk;
		struct cert_bytes cert; /* of this S */
	} s[LINK_STATICS_MAX]; /* newest first; handshakes start with [0] */
	uint8_t n_s;
	struct reach_key reach; /* R, told in HELLO */
	struct reach_key reach_prev;
	bool has_reach_prev;
	struct node_key node[FAMILY_COUNT]; /* N of our overlay nodes, or 0 */
	uint32_t capabilities;              /* LINK_CAPABILITY_* */
};

enum link_role {
	LINK_CONTACT = 0, /* both know each other's ID */
	LINK_INVITER, /* ours: takes one INVITE handshake; ID, S not known */
	LINK_INVITED, /* theirs: we start an INVITE handshake */
};
#define LINK_ROLES 3

struct link_peer {
	enum link_role role;
	struct id_pk id; /* theirs; unset for LINK_INVITER */
	/* Theirs, newest first. 0 for a contact whose cell we never read: then
	 * a message 1 that names the rid of rk0 is taken, and its S with HELLO
	 * (LINK_OUT_UP says so). 0 or the bound one for LINK_INVITER. */
	struct static_pk s[LINK_PEER_STATICS_MAX];
	uint8_t n_s;
	struct reach_key reach; /* theirs (of an invitation: the common one) */
	uint8_t db_epoch[8]; /* told him in HELLO: our numbering of messages */
	struct ratchet_key rk0;
	struct ratchet ratchet; /* unused in invitations */
	uint64_t last_ts_ms;    /* highest ts of a message 1 of theirs */
	/* LINK_INVITER: who called in earlier runs; NULL: nobody. Borrowed
	 * during the call; read when the peer is new. */
	const struct callers *callers;
	bool allow_fallback;
};

/* Where a node may be reached, by whom, and what its NAT does; told in a
 * session. */
struct link_candidates {
	enum nat_class class;
	uint16_t lo, hi; /* outer ports seen last; lo: the last one; or 0 */
	int16_t step;    /* SEQUENTIAL */
	bool wants_answer;
	uint8_t n, n_introducers;
	struct endpoint endpoint[LINK_CANDIDATES_MAX];
	struct cell_introducer introducers[CELL_INTRODUCERS_MAX];
};

struct links;

struct links *links_new(const struct rng *rng, struct now now); /* or NULL */
void links_free(struct links *l);
/* Before the first call every datagram is dropped. */
void links_set_self(struct links *l, const struct link_self *self);
/* Own addresses: never contacted. Replaces the list. Loopback peers are
 * contacted only when `loopback`. */
void links_set_local(
    struct links *l, const struct endpoint *local, size_t n, bool loopback);
/* Adds or updates; a running session goes on. ERR_LIMIT, ERR_NOMEM. */
MUST_USE enum err
links_set_peer(struct links *l, uint32_t peer, const struct link_peer *cfg);
/* Ends what runs with a peer; nothing is taken from it nor started with it
 * before until_ms (mono). What was sent to its addresses stays counted. */
void
links_shun(struct links *l, uint32_t peer, uint64_t until_ms, struct now now);
/* Forgets it; a session is closed with a CONNECTION_CLOSE. */
void links_remove_peer(struct links *l, uint32_t peer, struct now now);

/*
 * Tries to reach the peer at these addresses (added to those of an attempt
 * under way; unusable ones are skipped), each at most 3 x 168 bytes, then 168
 * a minute without an answer [SPEC §6.5]. Nothing happens while a session is
 * up.
 * hops: what goes to global IPv4 addresses dies after so many at first, as long
 * as routes carry it, too: it opens our own router, and does not come to
 * theirs, where it might be in the way of what they send. 0: as usual.
 * `ts_ms` of message 1 rises by itself.
 */
void links_connect(struct links *l, uint32_t peer, const struct endpoint *to,
    size_t n, uint8_t hops, struct now now);

/*
 * The routes to a peer: endpoint_route of ways that the owner keeps. Replaces
 * the list; more than LINK_ROUTES_MAX are ignored. Nothing else makes a route
 * usable, so that no peer can name one. Message 1 goes there together with the
 * candidates of links_connect (which may be none), and a link in doubt goes on
 * there. A datagram to a route has at most ROUTE_UDP_MAX bytes; bulk waits for
 * a direct path, or for a route with ROUTE_ROOMY, which a link on another one
 * goes over to once that is proven. What comes through a carrier is given to
 * links_receive as from its route, which need not be one of the list.
 */
void links_set_routes(struct links *l, uint32_t peer,
    const struct endpoint *routes, size_t n, struct now now);
/*
 * Asks this address once, in the smallest datagram, whether the peer hears us
 * there; hops as in LINK_OUT_SEND. If he answers from there, a link on a route
 * moves; one on a direct path keeps the address to spare. Nothing happens
 * without a link, or if the address may not be contacted. How many, when and
 * where is the caller's to bound.
 */
void links_probe(struct links *l, uint32_t peer, const struct endpoint *to,
    uint8_t hops, struct now now);

/* Asks the peer for an answer, again and again as any packet that is missed,
 * and says by LINK_OUT_PONG when there is one; while it waits for one another
 * call asks no more. ERR_STATE: no link. */
MUST_USE enum err links_ping(struct links *l, uint32_t peer, struct now now);

/* An authenticated packet of this peer came from there, in a session under
 * another number: that of its invitation. */
void links_answered(struct links *l, uint32_t peer, const struct endpoint *from,
    struct now now);
/* The network was away since then, or the clock wrong, and is back: what was
 * sent meanwhile has reached nobody and does not count against the budget of
 * an address. */
void links_network_back(struct links *l, uint64_t since_ms, struct now now);

/* Does it begin with the index of a live session? [SPEC §5.2] */
bool links_claim(const struct links *l, struct span datagram);
/* Takes any datagram that is not KRPC. */
void links_receive(struct links *l, const struct endpoint *from,
    struct span datagram, struct now now);
/* The machine was suspended: keys of before are not used for long. Or HELLO is
 * to say something else: each session says it anew. */
void links_woke(struct links *l, struct now now);
/* More of them wait than an eighth of the socket's buffer holds. */
void links_behind(struct links *l, struct now now);
void links_tick(struct links *l, struct now now);
uint64_t links_deadline_ms(const struct links *l);

/* Bytes that links_write takes now; 0 while no session is up or early. */
size_t links_room(const struct links *l, uint32_t peer);
/* Appends to the stream; whole or ERR_LIMIT. ERR_STATE: no session. Packets
 * leave at the next links_flush. */
MUST_USE enum err links_write(struct links *l, uint32_t peer, struct span data);
/* The same for the stream of bulk, which goes when no word waits. Nothing
 * leaves before the peer has called links_bulk_open. */
size_t links_bulk_room(const struct links *l, uint32_t peer);
MUST_USE enum err
links_bulk_write(struct links *l, uint32_t peer, struct span data);
/* Lets the peer send bulk on the link that is up, to its end; before, a byte
 * of it closes the link. ERR_STATE: no link. */
MUST_USE enum err links_bulk_open(struct links *l, uint32_t peer);
/* What we send of bulk gives way to everything else on the path, or no more;
 * to the end of the link. ERR_STATE: no link. */
MUST_USE enum err links_bulk_yield(struct links *l, uint32_t peer, bool yields);
/* Tells the peer where we are, until it is acknowledged; a newer one takes the
 * place of an older. It may leave before the link is up, as words may.
 * ERR_STATE: no link. */
MUST_USE enum err links_offer(
    struct links *l, uint32_t peer, const struct link_candidates *offer);
/* Builds the packets that are due: after a batch of receives and writes. */
void links_flush(struct links *l, struct now now);

/* ts of own message 1: strictly rising, also over restarts. The floor is
 * what a LINK_OUT_TS made durable. */
void links_set_ts_floor(struct links *l, uint64_t ts_ms);

enum link_out_kind {
	LINK_OUT_SEND = 1,
	/* Must be durable before any output that follows it. */
	LINK_OUT_STATE,  /* ratchet, last_ts_ms of a peer changed */
	LINK_OUT_CALLER, /* a message 1 under an invitation of ours is taken:
	                  * callers_take(s, last_ts_ms) */
	LINK_OUT_TS,     /* ts_ms: new floor, 60 s ahead */
	/* An INVITE handshake was confirmed and HELLO verified: root is the new
	 * pair root, hello who it is. The pairing session carries nothing else;
	 * the invited connects again as a contact. */
	LINK_OUT_PAIRED,
	/* The peer has answered under a known S: what is written to its chat
	 * from now on, streams beginning at 0, leaves at once and belongs to
	 * the link that UP announces with `early`. Without that UP it is lost.
	 * endpoint: where the answer came from. */
	LINK_OUT_EARLY,
	LINK_OUT_UP,    /* confirmed and HELLO verified; streams begin at 0 */
	LINK_OUT_HELLO, /* another session of the link is up, and says this */
	LINK_OUT_DOWN,  /* the link ended; err says why */
	LINK_OUT_DATA,  /* next bytes of the peer's stream */
	LINK_OUT_WRITABLE,      /* links_room grew from less than half */
	LINK_OUT_BULK,          /* next bytes of the peer's bulk */
	LINK_OUT_BULK_WRITABLE, /* links_bulk_room did */
	LINK_OUT_OBSERVED,      /* endpoint: ours, as the peer sees it */
	LINK_OUT_PATH,          /* endpoint: where the peer is now */
	LINK_OUT_PONG, /* rtt_ms: what was sent since a links_ping is answered
	                */
	/* candidates: what a links_offer of the peer said, of it the addresses
	 * that may be contacted. Once a second at most, and then the newest;
	 * the same may come twice. */
	LINK_OUT_CANDIDATES,
	LINK_OUT_FALLBACK, /* the ratchet was lost and began again from rk0 */
	/* It would, and the policy denies it. proven: it was the peer himself;
	 * else somebody with his S or ours. */
	LINK_OUT_DENIED,
	LINK_OUT_REFUSED, /* an authenticated peer broke a rule; err says which
	                   */
};

struct link_hello {
	struct id_pk id;
	struct cert_bytes cert;
	struct cert says;
	struct reach_key reach;
	uint8_t db_epoch[8];
	uint64_t time_ms;      /* the peer's clock */
	uint32_t capabilities; /* LINK_CAPABILITY_*; unknown are ignored */
	struct node_key node[FAMILY_COUNT]; /* N of his overlay nodes, or 0 */
};

struct link_out {
	enum link_out_kind kind;
	uint32_t peer;
	struct endpoint
	    endpoint; /* SEND: to; UP, PATH: theirs; OBSERVED: ours */
	struct span
	    data; /* SEND, DATA, BULK; borrowed until the next call on l */
	struct ratchet ratchet;  /* STATE */
	uint64_t last_ts_ms;     /* STATE, CALLER */
	struct static_pk s;      /* CALLER */
	uint64_t ts_ms;          /* TS */
	uint64_t rtt_ms;         /* PONG */
	struct pair_root root;   /* PAIRED */
	struct link_hello hello; /* PAIRED, UP, HELLO */
	bool early;              /* UP: what was written since EARLY counts */
	bool proven;             /* DENIED */
	struct link_candidates candidates; /* CANDIDATES */
	enum err err;                      /* DOWN, REFUSED */
	uint8_t hops; /* SEND: how far it may go; 0: as usual */
};
/* In order. DATA is handed out only here, so the reader sets the pace. */
bool links_next(struct links *l, struct link_out *ret);

struct link_info {
	bool up;
	bool connecting;
	struct endpoint path;
	bool route;     /* and that is one */
	bool has_spare; /* another direct path, proven lately */
	struct endpoint spare;
	uint64_t rtt_ms, up_since_ms; /* mono */
	uint64_t bytes_in, bytes_out;
	uint32_t rekeys;
};
bool links_info(const struct links *l, uint32_t peer, struct link_info *ret);

struct link_stats {
	size_t n_up, n_half_open, n_attempts;
	uint64_t n_in, n_out, bytes_in, bytes_out;
	uint64_t n_dropped; /* silently */
	uint64_t n_dh;      /* Diffie-Hellman operations spent on message 1 */
	uint64_t n_mac; /* guards that a message 1 was tried with, at most */
};
void links_stats(const struct links *l, struct link_stats *ret);

#endif /* PROTO_LINK_LINK_H */
