/*
 * One participant: identity, contacts, DHT, sessions, messages. Joins dht/,
 * link/ and chat/. Sans-I/O: receive, tick and commands in; effects out.
 *
 * THE LAW: the owner pops every effect in order and carries it out in that
 * order; what a STORE changes must be durable (committed and synced) before
 * any SEND or EVENT that was popped after it leaves the process. One
 * transaction for all STOREs of a drain, then all SENDs, obeys it. If the
 * commit fails, the owner throws the node away with the popped effects and
 * loads a new one from what is durable: to the node that is a crash.
 */
#ifndef PROTO_NODE_H
#define PROTO_NODE_H

#include "proto/base/endpoint.h"
#include "proto/base/env.h"
#include "proto/base/err.h"
#include "proto/base/nat_class.h"
#include "proto/chat/why.h"
#include "proto/crypto/identity.h"
#include "proto/crypto/types.h"

enum {
	NODE_TEXT_MAX = 64 * 1024, /* bytes of a text */
	NODE_REACTION_MAX = 64,
	NODE_PROFILE_MAX = 256,
	NODE_TTL_MAX_S = 366 * 86400,
	NODE_CONTACTS_MAX = 10000,
	NODE_INVITES_MAX = 16,   /* live invitations of ours */
	NODE_OUTBOX_MAX = 65536, /* undelivered messages of a contact */
	NODE_OUTBOX_BYTES_MAX = 64 * 1024 * 1024, /* of all contacts */
	NODE_RECORD_MAX = 4096, /* bytes of a stored contact, self or invite */
	NODE_SAVED_NODES_MAX = 64, /* DHT nodes kept for the next start */
	NODE_LOCAL_MAX = 8,
	/* Extra sockets at once: one try with many, and paths that began in
	 * one. They have the numbers 1..NODE_SOCKETS_MAX. */
	NODE_SOCKETS_MAX = 208,
	NODE_CELLS_MIN_MAX = 64, /* of node_config.cells_min */
	NODE_INVITE_TTL_MAX_S = 90 * 86400,
	NODE_INVITE_TEXT_SIZE = 320, /* invitation text with NUL */
	/* MIXED: with an overlay that large cells are written to it alone. */
	NODE_OVERLAY_ALONE = 50,
};

/* Which DHTs are taken part in. [SPEC §8.4] */
enum node_policy {
	NODE_MAINLINE = 0, /* the public one alone */
	NODE_MIXED,        /* both; cells as NODE_OVERLAY_ALONE says */
	NODE_OVERLAY,      /* the encrypted one alone: no plain packet */
};

struct node_config {
	const struct rng *rng;     /* borrowed for life */
	bool family[FAMILY_COUNT]; /* which sockets there are */
	bool loopback; /* loopback peers count (listening on loopback) */
	enum node_policy policy;
	/* Announce the overlay node on Mainline, and tell N to who asks: others
	 * find it, and a crawler its address. */
	bool overlay_announce;
	/* So many cells are put and looked for at least, dummies among them
	 * where fewer contacts are without a session; 0: no dummies. */
	size_t cells_min;
	bool lan; /* beacons on the local network */
	/* Everybody reaches us unasked: no need to wait until somebody shows
	 * it. */
	bool reachable;
	/* No ratchet begins again from its root, unless people say so for a
	 * contact. [SPEC §6.6] */
	bool deny_fallback;
	/* We pass whole sessions for contacts who choose us for it. */
	bool relay_contacts;
	/* Extra sockets that may be asked for, at most NODE_SOCKETS_MAX; 0
	 * where the owner cannot open any. */
	size_t sockets_max;
};

struct node;

/* ---- life ---- */

/* A DHT node without an identity yet. NULL: no memory. */
struct node *node_new(const struct node_config *cfg, struct now now);
void node_free(struct node *n);

/* Gives it its identity, with what was stored (in any order after this call):
 * `self` may be empty: then a new one is made and stored. ERR_MALFORMED,
 * ERR_NOMEM. */
MUST_USE enum err node_set_identity(struct node *n, const struct id_seed *seed,
    struct span self, struct now now);
MUST_USE enum err node_load_contact(struct node *n, const struct contact_id *id,
    struct span record, struct now now);
/* The record as it may stand in a backup: without the ratchet, which begins
 * again from its root [SPEC §6.6]. ERR_MALFORMED, ERR_UNSUPPORTED. */
MUST_USE enum err node_backup_contact(struct span record, struct writer *ret);
MUST_USE enum err node_load_invite(struct node *n, const struct message_id *id,
    struct span record, struct now now);
/* Undelivered own messages, in the order of their seq. */
struct node_message;
MUST_USE enum err
node_load_outbox(struct node *n, const struct node_message *m, struct now now);
struct node_saved;
void node_load_dht(struct node *n, const struct node_saved *nodes, size_t count,
    struct now now);

/* A clean end: closes the sessions, so that contacts need not wait to see us
 * gone, and saves the DHT table. Pop the effects once more, then free. */
void node_stop(struct node *n, struct now now);

/* ---- network ---- */

/* A configured node of either carrier. OVERLAY: it is asked for its N, or has
 * this one. */
void node_bootstrap(struct node *n, const struct endpoint *to, struct now now);
void node_bootstrap_key(struct node *n, const struct endpoint *to,
    const struct node_key *key, struct now now);
/* A router of the public DHT: Mainline only. */
void node_bootstrap_public(
    struct node *n, const struct endpoint *to, struct now now);
/* Our N of the overlay; zero: we take no part in it. */
void node_key(const struct node *n, enum family f, struct node_key *ret);
/* Own addresses of all sockets (port included). Replaces the list. */
void node_set_local(
    struct node *n, const struct endpoint *local, size_t count, struct now now);
/* Somebody says that the network is another one, although no address shows it:
 * the same as if one had. */
void node_rebind(struct node *n, struct now now);
/* Outer addresses that gateways keep for us; at most one a family. Replaces
 * the list: what is no longer in it is no longer told to contacts. */
void node_set_mapped(struct node *n, const struct endpoint *mapped,
    size_t count, struct now now);
void node_receive(struct node *n, const struct endpoint *from,
    struct span datagram, struct now now);
/*
 * Extra sockets. Each family has one socket that all things go through, and
 * that others know. Behind some NATs a path is found only by many sockets at
 * once: EFFECT_SOCKET_OPEN asks for one more, under a number the node chooses,
 * on a port the system chooses; its datagrams come in here, and SENDs that name
 * it leave by it. It stays open until EFFECT_SOCKET_CLOSE, or until the owner
 * says that it is lost, or the node is freed. Between a close and an open of
 * one number nothing of the old socket comes in, nor leaves by the new one.
 */
void node_receive_socket(struct node *n, unsigned socket,
    const struct endpoint *from, struct span datagram, struct now now);
/* It could not be opened, or broke: it is closed. Also between two effects. */
void node_socket_lost(struct node *n, unsigned socket, struct now now);
/* More datagrams wait than an eighth of a socket's buffer holds. */
void node_behind(struct node *n, struct now now);
/* A datagram to the group of the local network. */
void node_lan_receive(struct node *n, const struct endpoint *from,
    struct span datagram, struct now now);
/* The machine was suspended since the last call: keys are renewed, contacts
 * looked for. */
void node_woke(struct node *n, struct now now);
void node_tick(struct node *n, struct now now);
uint64_t node_deadline_ms(const struct node *n); /* when to tick, monotonic */

/* ---- commands ---- */

/* ERR_BAD_KEY (not an ID, or our own), ERR_EXISTS (*ret is set), ERR_LIMIT,
 * ERR_STATE (no identity). */
MUST_USE enum err node_contact_add(struct node *n, const struct id_pk *id,
    struct contact_id *ret, struct now now);
MUST_USE enum err node_contact_delete(
    struct node *n, const struct contact_id *id, struct now now);

/* What people decide about a contact; it is stored with it. */
enum node_fallback {
	NODE_FALLBACK_AUTO = 0, /* if the contact is not verified, and
	                         * node_config.deny_fallback not set */
	NODE_FALLBACK_ALLOW,
	NODE_FALLBACK_DENY,
};
struct node_decision {
	bool verified; /* the safety number was compared */
	bool relay;    /* it may pass our sessions, and see with whom */
	bool hides;    /* it is to see us only when something waits for it */
	enum node_fallback fallback;
};
/* ERR_NOT_FOUND. */
MUST_USE enum err
node_contact_decide(struct node *n, const struct contact_id *id,
    const struct node_decision *what, struct now now);

/*
 * A blocked contact is to hear nothing of us, as if it had been removed: no
 * session, no cell, no beacon, no answer; R, N and our handles at introducers
 * are others from then on, and N at every address. What waited for it has
 * failed. Unblocked, all goes on where it was. ERR_NOT_FOUND.
 */
MUST_USE enum err node_contact_block(
    struct node *n, const struct contact_id *id, bool blocked, struct now now);

struct node_invite {
	struct message_id id;
	char text[NODE_INVITE_TEXT_SIZE]; /* "btinvite1..." */
	uint64_t expires_s;
};
MUST_USE enum err node_invite_create(
    struct node *n, uint64_t ttl_s, struct node_invite *ret, struct now now);
MUST_USE enum err
node_invite_revoke(struct node *n, const struct message_id *id, struct now now);
/* ERR_MALFORMED, ERR_UNSUPPORTED, ERR_BAD_KEY, ERR_EXPIRED, ERR_EXISTS. */
MUST_USE enum err node_invite_accept(
    struct node *n, struct span text, struct contact_id *ret, struct now now);

/* Kinds as on the wire [SPEC §7.5]; stored: never renumber. */
enum message_kind {
	MESSAGE_TEXT = 1,     /* ref: what it replies to, if anything */
	MESSAGE_EDIT = 3,     /* text takes the place of that of ref */
	MESSAGE_DELETE = 4,   /* ref is taken back; no text */
	MESSAGE_REACTION = 5, /* to ref; no text: it is taken back */
	MESSAGE_TIMER = 6,    /* texts of both disappear from now on, or stay */
	MESSAGE_PROFILE = 7,  /* text: how the sender wants to be called */
};
/* What is said, about which other message of the conversation. */
struct node_words {
	enum message_kind kind;
	const struct message_id *ref; /* NULL: none */
	uint32_t ttl_s;   /* TEXT: it disappears so long after it was read, 0:
	                     never; TIMER: so do texts to come */
	struct span text; /* borrowed */
	/* A text of ours that has failed is sent once more, under its id:
	 * who has it all the same does not show it twice. NULL: a new one. */
	const struct message_id *again;
	/* The owner's own: comes back with the change, and goes nowhere. */
	struct span note; /* borrowed */
};
/* ERR_NOT_FOUND, ERR_TOO_LONG, ERR_MALFORMED (not UTF-8, or not of the kind),
 * ERR_LIMIT (outbox), ERR_STATE (blocked). The id is ours; state queued.
 * Whether ref exists and whose it is the owner knows, who stores messages. */
MUST_USE enum err node_message_send(struct node *n, const struct contact_id *to,
    const struct node_words *words, struct message_id *ret, struct now now);
/* Is there room to store what comes? As long as there is none, contacts are
 * told to send it later. At first there is. */
void node_set_room(struct node *n, bool has_room, struct now now);
/*
 * A text that was never handed to a session is not sent: it has failed, and so
 * has what was said about it since. What follows closes up, so that nobody
 * hears of a gap. ERR_NOT_FOUND: it is not in the outbox; ERR_STATE: it left.
 */
MUST_USE enum err
node_message_cancel(struct node *n, const struct contact_id *contact,
    const struct message_id *id, struct now now);
/* What they do not have durably is not sent again: it has failed. Some of it
 * may be there, or on its way. ERR_NOT_FOUND. */
MUST_USE enum err node_messages_drop(
    struct node *n, const struct contact_id *contact, struct now now);

/*
 * People have read theirs up to the number seq, and they may know it: told at
 * the next tick of five seconds, or when a session is up again.
 * Somebody is typing to them (on again every few seconds), or no longer: told
 * if a session is up. ERR_NOT_FOUND.
 */
MUST_USE enum err node_read(struct node *n, const struct contact_id *contact,
    uint64_t seq, struct now now);
MUST_USE enum err node_typing(
    struct node *n, const struct contact_id *contact, bool on, struct now now);
/* Asks them for an answer in the session that is up: NODE_PONG says that it has
 * come. One at a time. ERR_NOT_FOUND, ERR_STATE: no session. */
MUST_USE enum err
node_ping(struct node *n, const struct contact_id *contact, struct now now);

/* ---- effects ---- */

enum contact_state {
	CONTACT_WAITING = 1, /* for them to add us, or for the inviter */
	CONTACT_READY = 2,   /* a session was confirmed at least once */
	CONTACT_BLOCKED = 3, /* see node_contact_block */
};
enum message_state {
	MESSAGE_QUEUED = 1,    /* in the outbox, durable */
	MESSAGE_SENT = 2,      /* handed to a live session */
	MESSAGE_DELIVERED = 3, /* durable at the other side */
	MESSAGE_FAILED = 4,    /* refused, given up or taken back */
	MESSAGE_RECEIVED = 5,  /* theirs */
	MESSAGE_READ = 6,      /* by them; the owner knows by CHANGE_READ */
};
enum {
	MESSAGE_FLAG_GAP = 1, /* something before it is missing */
	MESSAGE_FLAG_CLOCK = 2,
	/* Of the store alone: kept only to be sent. */
	MESSAGE_FLAG_CLEARED = 4,
	/* their time was clamped */
};

/* Why a contact does not take it, or never will. Stored: never renumber. */
enum message_reason {
	REASON_NONE = 0,
	REASON_TOO_LONG,  /* for good */
	REASON_UNKNOWN,   /* its software does not know that: for good */
	REASON_MANY,      /* for now: it is sent again, ever more rarely */
	REASON_NO_ROOM,   /* the same */
	REASON_CANCELLED, /* we took it back before it left */
};
struct node_message {
	struct contact_id contact;
	struct message_id id;
	enum message_kind kind;
	enum message_state state;
	uint64_t seq;             /* of its sender, 1.. */
	uint64_t sent_ms;         /* sender's clock, clamped for sorting */
	int64_t sent_ms_original; /* as it came; may be absurd */
	uint64_t received_ms;     /* our clock; 0 for our own */
	uint32_t flags;
	uint8_t prev[32]; /* hash of the sender's previous one */
	bool has_ref;
	struct message_id ref;      /* see struct node_words */
	uint32_t ttl_s;             /* the same */
	enum message_reason reason; /* of a FAILED or QUEUED one of ours */
	struct span text;           /* borrowed; never to a terminal raw */
};

enum change_kind {
	CHANGE_SELF = 1,     /* record */
	CHANGE_CONTACT,      /* contact, record, contact_state, id_pk: insert or
	                        replace */
	CHANGE_CONTACT_GONE, /* contact, and its outbox */
	CHANGE_INVITE,       /* invite, record, expires_s: insert or replace */
	CHANGE_INVITE_GONE,  /* invite; contact set if it was used */
	CHANGE_MESSAGE, /* message: a new one, either direction (see below);
	                   note, of ours */
	CHANGE_MESSAGE_STATE, /* contact, message.id, message.state */
	/* contact, message.id, seq and prev, which one in the outbox has now */
	CHANGE_MESSAGE_NUMBER,
	CHANGE_READ, /* contact, message.seq: they have read ours up to it */
	CHANGE_DHT,  /* nodes, n_nodes: replace the saved table */
};

/*
 * CHANGE_MESSAGE of state RECEIVED is inserted with its event, or not at all
 * if (contact, id) is stored already: then, if the text differs, the first one
 * is kept and a `message.conflict` event is logged. Never shown twice.
 *
 * Of ours it has state QUEUED, or SENT if a session took it before the change
 * was popped: that was queued before, and no CHANGE_MESSAGE_STATE tells so.
 * With again it takes the place of the one of that id, which has failed.
 */
/* A DHT node to begin with at the next start. */
struct node_saved {
	struct endpoint at;
	struct node_key n; /* of the overlay; zero: of Mainline */
};

struct change {
	enum change_kind kind;
	struct contact_id contact;
	bool has_contact;
	enum contact_state contact_state;
	struct id_pk id_pk;
	struct message_id invite;
	uint64_t expires_s;
	struct span record; /* opaque, secret: seal it */
	struct node_message message;
	bool again;       /* MESSAGE, of ours: see struct node_words */
	struct span note; /* the same */
	const struct node_saved *nodes;
	size_t n_nodes;
};

enum node_event_kind {
	NODE_CONTACT_READY = 1, /* durable: first confirmed session */
	NODE_CONTACT_PAIRED, /* durable: an invitation of ours brought contact
	                      */
	NODE_ONLINE,         /* ephemeral; endpoint */
	NODE_OFFLINE,        /* ephemeral */
	NODE_FALLBACK, /* durable: security.warning, the ratchet was lost */
	/* durable: security.warning, it would begin again, and may not */
	NODE_DENIED,
	NODE_REFUSED, /* durable: security.warning, err says what they tried */
	NODE_CLOCK,   /* ephemeral: peer's clock is off by more than a day */
	/* durable: security.warning, our own clock was set by more than a day,
	 * and is not believed while contacts are online who know better */
	NODE_CLOCK_SET,
	NODE_DHT_READY, /* ephemeral */
	NODE_ADDRESS, /* ephemeral: endpoint is our own address seen outside */
	NODE_TYPING,  /* ephemeral: somebody writes to us */
	NODE_TYPING_OVER, /* ephemeral: no longer */
	NODE_PONG,        /* ephemeral: what node_ping asked for; rtt_ms */
};

enum effect_kind {
	EFFECT_STORE = 1,
	EFFECT_SEND,
	EFFECT_EVENT,
	EFFECT_LAN,         /* a datagram for the group of the local network */
	EFFECT_SOCKET_OPEN, /* see node_receive_socket */
	EFFECT_SOCKET_CLOSE,
};

struct effect {
	enum effect_kind kind;
	struct change change; /* STORE */
	struct endpoint to;   /* SEND */
	uint8_t hops;         /* SEND: it dies after so many; 0: as usual */
	unsigned socket;      /* SEND: an extra one, 0: the usual; SOCKET_* */
	enum family family;   /* SOCKET_OPEN */
	struct span data;     /* SEND, LAN */
	enum node_event_kind event; /* EVENT */
	struct contact_id contact;  /* EVENT */
	struct message_id invite;   /* EVENT, NODE_CONTACT_PAIRED */
	struct endpoint endpoint;   /* EVENT */
	enum err err;               /* EVENT, NODE_REFUSED */
	uint64_t rtt_ms;            /* EVENT, NODE_PONG */
};

/* Pops the next effect; its spans are borrowed until the next node_* call. */
bool node_next_effect(struct node *n, struct effect *ret);
/* An allocation failed on the way: what was popped is incomplete, treat it
 * like a commit that failed. */
bool node_failed(const struct node *n);

/* ---- looking ---- */

enum node_way {
	NODE_WAY_NONE = 0,   /* not online */
	NODE_WAY_DIRECT,     /* path is theirs */
	NODE_WAY_INTRODUCER, /* path is that of who passes it on, both ways */
	NODE_WAY_RELAY,      /* the same, and it is the contact `relay` */
};
#define NODE_WAYS 4

struct node_contact_info {
	struct id_pk id;
	enum contact_state state;
	bool online, connecting;
	struct node_decision decided;
	bool denied; /* it would begin the ratchet again, and may not */
	enum node_way way;
	struct endpoint path;    /* if online */
	struct contact_id relay; /* of WAY_RELAY */
	uint64_t rtt_ms;
	uint64_t bytes_in, bytes_out;
	uint32_t rekeys;
	size_t outbox; /* undelivered messages */
	/* Meeting through the DHT: what was tried, when next (mono ms). */
	uint64_t published_ms, looked_up_ms, next_lookup_ms, next_publish_ms;
	size_t published_nodes; /* that took our cell; 0 = not stored */
	bool cell_seen;         /* theirs was found at the last look */
};
bool node_contact_get(const struct node *n, const struct contact_id *id,
    struct node_contact_info *ret);
bool node_contact_find(
    const struct node *n, const struct id_pk *id, struct contact_id *ret);

/* What was tried to reach a contact, and what came of it. */
enum { NODE_WHY_ADDRESSES_MAX = 8 };
struct node_why {
	enum why_verdict verdict;
	enum nat_class own, theirs; /* routers, as far as is known */
	size_t n_steps;             /* oldest first */
	struct why_step step[WHY_STEPS_MAX];
	size_t n_addresses; /* known of it, from its cell and its sessions */
	struct endpoint address[NODE_WHY_ADDRESSES_MAX];
};
bool node_contact_why(
    const struct node *n, const struct contact_id *id, struct node_why *ret);

struct node_stats {
	size_t contacts, online, invites, outbox;
	uint64_t udp_in, udp_out, udp_bytes_in, udp_bytes_out, udp_dropped;
	size_t sockets, sockets_max; /* extra ones: open, to be had */
	/* How we are reached, and reach others. */
	enum nat_class nat[FAMILY_COUNT]; /* what the router does */
	size_t introducers; /* that pass to us what strangers send */
	size_t relayed;     /* sessions that run by an introducer */
	size_t by_relay;    /* of these, by a contact that we have chosen */
	bool has_relay;     /* such a one passes to us */
	bool relays;        /* we pass for contacts who choose us */
	bool clock_doubted; /* ours: see NODE_CLOCK_SET */
	struct {
		bool on;                            /* we are one ourselves */
		size_t handles, circuits, contacts; /* handles of these */
		uint64_t n_passed, bytes_passed, bytes_contacts;
	} introduces[FAMILY_COUNT];
	struct node_dht_stats {
		bool on;
		size_t nodes, nodes_good, buckets, items, ops;
		uint64_t rtt_ms, network_size;
		bool has_address; /* ours, seen from outside */
		struct endpoint address;
	} dht[FAMILY_COUNT], overlay[FAMILY_COUNT];
};
void node_get_stats(const struct node *n, struct node_stats *ret);
bool node_id(const struct node *n, struct id_pk *ret); /* false: none yet */

/* What is known of the router of a family, and from what. */
enum { NODE_NAT_SEEN_MAX = 16, NODE_CANDIDATES_MAX = 8 };
struct node_nat {
	bool on; /* there is a socket */
	enum nat_class kind;
	size_t votes, votes_min; /* nodes that say where they see us; fewer than
	                            that say nothing */
	size_t n_seen;
	struct {
		struct endpoint at; /* ours */
		size_t votes;
	} seen[NODE_NAT_SEEN_MAX]; /* the most first */
	uint16_t lo, hi;  /* SEQUENTIAL: the last port; BLOCK: of those seen */
	int16_t step;     /* SEQUENTIAL */
	bool has_unasked; /* somebody came in whom we had sent nothing */
	uint64_t unasked_ms; /* mono */
};
void node_get_nat(const struct node *n, enum family f, struct node_nat *ret);
/* Our addresses as contacts are told them. Returns how many. */
size_t
node_candidates(const struct node *n, struct endpoint ret[NODE_CANDIDATES_MAX]);

#endif /* PROTO_NODE_H */
