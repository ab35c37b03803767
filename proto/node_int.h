/* Inside of the node: shared by node.c and node_*.c only. */
#ifndef PROTO_NODE_INT_H
#define PROTO_NODE_INT_H

#include "proto/base/heap.h"
#include "proto/base/map.h"
#include "proto/chat/contact.h"
#include "proto/chat/invite.h"
#include "proto/chat/lan.h"
#include "proto/chat/outbox.h"
#include "proto/chat/rendezvous.h"
#include "proto/chat/self.h"
#include "proto/chat/why.h"
#include "proto/dht/dht.h"
#include "proto/link/link.h"
#include "proto/nat/plan.h"
#include "proto/node.h"

enum {
	/* Numbers of link peers: contacts, our invitations, and contacts while
	 * we accept their invitation. */
	PEER_INVITES = NODE_CONTACTS_MAX,
	PEER_PAIRING = NODE_CONTACTS_MAX + NODE_INVITES_MAX,
	NODE_OPS_MAX = 32, /* DHT lookups of ours under way, all families */
	NODE_SETTLE_ROUNDS = 64, /* a settle ends by itself far earlier */
	NODE_SAVE_DHT_MS = 10 * 60 * 1000,
	NODE_REFRESH_MS = 3600 * 1000, /* own keys, expiries */
	NODE_AWAY_MIN_MS = 20000, /* without an answer: two whole lookups */
	NODE_AWAY_MS = 5000,      /* between looks while no DHT node answers */
	NODE_CLOCK_SET_MS = 5 * 60 * 1000,  /* more: the wall clock was set */
	NODE_CLOCK_DOUBT_MS = 86400 * 1000, /* more: links say otherwise, */
	NODE_CLOCK_DOUBT_MAX_MS = 3600 * 1000, /* for so long */
	NODE_GOODBYE_MS = 2000, /* who ended a link comes back by himself */
	NODE_WAKE_MS = 10000,   /* links that died in a suspend end by then */
	/* Who is not to see us does for so long after our last words came: what
	 * waits at his side comes, too. */
	NODE_QUIET_MS = 60 * 1000,
	/* What a contact does not take for now is sent again after so long,
	 * and then ever more rarely. */
	NODE_HOLD_MS = 30 * 1000,
	NODE_HOLD_MAX_MS = 60 * 60 * 1000,
	NODE_HOLD_JITTER_PERCENT = 20,
	NODE_SHUN_MS = 60 * 1000, /* no session with who broke a rule in one */
};

/* Growing bytes that effects point into; reset when all are popped. */
struct arena {
	uint8_t *p; /* owned */
	size_t n, cap;
};

struct queued_change {
	struct change change;        /* spans are offsets until popped */
	size_t at, text_at, note_at; /* record, text, note in the arena */
};

struct queued_event {
	enum node_event_kind kind;
	struct contact_id contact;
	struct message_id invite;
	struct endpoint endpoint;
	enum err err;
	uint64_t rtt_ms;
};

struct queued_send {
	enum effect_kind kind; /* SEND, LAN, SOCKET_OPEN, SOCKET_CLOSE */
	enum family family;
	struct endpoint to;
	uint8_t hops, socket;
	size_t at, n;
};

/* How a datagram leaves. */
struct way {
	struct endpoint to;
	uint8_t hops;    /* 0: as usual */
	unsigned socket; /* 0: the usual one */
};

/* The puts of one publication: one a family and epoch. */
struct putting {
	uint8_t n;     /* under way */
	uint32_t turn; /* puts since something changed */
	size_t best;   /* nodes that took one of them */
	/* Somebody who knows the cell's key wrote a seq that we cannot have
	 * written; then ours goes to the second place. */
	bool beaten;
	/* It was not found again: who guards the place hides it; then it goes
	 * to both, until a first place, perhaps the next day's, shows it. */
	bool lost, found;
	/* A value of this time or a later one stood there, that it could not
	 * replace: of another life, or a clock that was wrong. 0: none. */
	uint64_t other_s;
	enum { PLACE_FIRST = 0, PLACE_BOTH, PLACE_SECOND } place;
	uint64_t last_epoch; /* the newest that it was put to */
	uint64_t content;    /* digest of what it says */
};

/* What beacons of one pair made us do in a slot. */
struct lan_budget {
	uint64_t slot;
	uint8_t n;
};

/* An overlay node that passes to us what comes for the handle. */
struct introducer {
	enum { INTRO_NONE = 0, INTRO_ASKED, INTRO_SERVES } state;
	struct dht_node node;
	uint8_t handle[CELL_HANDLE_SIZE];
	bool asking;        /* an answer is awaited */
	bool moved;         /* it has not heard yet where we are now */
	uint8_t n_silent;   /* renewals in a row */
	uint8_t n_holds;    /* datagrams without answer before the next one */
	uint64_t next_ms;   /* NONE: another one is looked for */
	uint32_t search_ms; /* and after that so much later */
};

/* What a route stands for. */
struct route {
	enum { ROUTE_FREE = 0, ROUTE_INTRODUCER, ROUTE_SOCKET } kind;
	bool roomy; /* INTRODUCER: a relay that we have chosen */
	uint32_t serial;
	uint64_t used_ms;
	struct dht_way way;   /* INTRODUCER */
	struct endpoint seen; /* where that sees the peer; or zeros */
	unsigned socket;      /* SOCKET: ours */
	struct endpoint at;   /* and of the peer */
};

/* A try to get from a route to a direct path. */
struct crossing {
	bool used;
	uint32_t slot;
	struct plan plan;
	uint64_t began_ms;
	uint16_t sent;     /* packets */
	bool asked, heavy; /* whether to agree to hundreds of packets */
	uint8_t n_sockets;
	uint8_t socket[PLAN_SPREAD_RANDOM + 1]; /* by the plan's numbers */
};

/* One contact, as long as it exists. */
struct peer {
	struct contact c;
	uint32_t slot; /* also its number as a link peer */
	struct outbox outbox;
	struct record_reader reader;
	struct rendezvous meet;
	struct heap_node timer;              /* meet's deadline */
	struct peer *dirty_next, *work_next; /* lists of the node; below */
	bool dirty;                          /* its record is to be stored */
	bool work; /* something may be written to its stream */
	bool online, ack_due;
	bool vouches; /* for our clock: theirs agrees to a day */
	bool early;   /* not online yet, but words may leave */
	bool astray;  /* their numbers are not ours: no text in this link */
	/* node_receipt.c; ours, theirs. 0: not. */
	uint64_t read_ms;  /* what was read is told then */
	uint64_t typed_ms; /* when they heard that somebody is typing */
	bool typing_due;   /* they are to hear of it, or of its end */
	uint64_t seen_seq; /* of ours, the last one that they have read */
	uint64_t typing_ms, typing_told_ms; /* until; since when */
	uint64_t anew_ms; /* our numbering began anew; 0: not in this life */
	/* What its last HELLO said, and what of it we pass for. */
	uint32_t capabilities;
	struct node_key keys[FAMILY_COUNT], trusted[FAMILY_COUNT];
	struct node_key shut_keys[FAMILY_COUNT]; /* last, when it was shut */
	bool pairing; /* a pairing peer is set up in links */
	/* Our invitation gave the root while we were taking theirs, whose root
	 * goes before it if it comes yet: theirs is the lower ID. */
	bool crossed;
	struct endpoint path;      /* online */
	uint64_t shunned_until_ms; /* broke a rule: no link before; 0: none */
	uint64_t quiet_at_ms;      /* he sees us no more from then on; NEVER */
	/* node_refuse.c. Theirs that we do not take, and have told, or shall:
	 * nothing is, until they know. seq 0: none. */
	struct record refused;
	bool refused_due;
	/* Ours that they do not take: no text is written before hold_ms, NEVER:
	 * there is no such; then they hear that all comes again. */
	uint64_t hold_ms;
	uint64_t held_seq;        /* the one that they refused; 0: none */
	uint32_t holds;           /* in a row */
	uint64_t resumed_seq;     /* they are to hear that; 0: no */
	uint64_t fallback_ms;     /* its next fallback is told from then on */
	bool denied, denied_told; /* a fallback, since it was online */
	struct putting put;
	struct lan_budget lan;
	struct why why;
	/* Who passes to it, as its cell or itself said last. */
	struct cell_introducer introducers[CELL_INTRODUCERS_MAX];
	uint8_t n_introducers;
	enum nat_class nat; /* of its router; the same */
	bool has_node;      /* online by an address: its overlay node */
	struct dht_node node;
	bool has_offer;
	struct link_candidates offer;
	uint64_t cross_ms;    /* the next try for a direct path, or NEVER */
	uint32_t n_crossings; /* in vain, since the session runs by a route */
	uint64_t heavy_ms;    /* the last try with many packets; 0: none */
};

/* A live invitation of ours, served by its own cell. */
struct host {
	bool live;
	struct invite invite;
	struct rendezvous meet; /* only its publishing half */
	struct putting put;
	struct lan_budget lan;
};

/* A cell that nobody reads, beside one that nobody writes. */
struct dummy {
	bool awake;
	struct disc_key disc;
	enum cell_dir dir; /* of the one that we write */
	struct rendezvous meet;
	struct putting put;
};

enum op_kind {
	OP_NONE = 0,
	OP_LOOK,
	OP_PUBLISH,
	OP_SERVE,
	OP_DUMMY_LOOK,
	OP_DUMMY_PUT,
};
enum op_owner { OWNER_CONTACT = 1, OWNER_HOST, OWNER_DUMMY };

/* One get or put in one DHT. */
struct op {
	enum op_kind kind;
	uint32_t serial; /* high half of its name */
	unsigned net;    /* of node.dht */
	uint32_t slot;   /* of the contact, or of the invitation (OP_SERVE) */
	uint8_t step;    /* LOOK: see next_look */
	uint64_t began_ms;
	uint16_t n_asked, n_answered; /* queries, nodes, of all its lookups */
	bool alarm;                   /* of one of them */
	bool seen;   /* LOOK: there was a value, whoever made it */
	bool opened; /* LOOK: a cell of theirs was read */
	bool glance; /* LOOK: see rendezvous_is_glance */
	struct cell_key key;
};

enum {
	INTRO_SLOTS = CELL_INTRODUCERS_MAX + 1,
	INTRO_RELAY = CELL_INTRODUCERS_MAX, /* the last is for a relay alone */
	RELAYS_MAX = 8,      /* of those chosen, who are looked at */
	INTRO_REFUSALS = 32, /* nodes that do not pass, remembered */
	ROUTES_MAX = 512,    /* the one used least makes room */
	CROSSINGS_MAX = 16,  /* at once; others wait */
	NODE_NETS = DHT_CARRIERS * FAMILY_COUNT,
	NODE_BOTH_TURNS = 2,      /* that go to both carriers of MIXED */
	DISCOVERY_PEERS_MAX = 16, /* asked for their N after one lookup */
};

static inline unsigned
net_of(enum dht_carrier carrier, enum family f)
{
	return (unsigned)carrier * FAMILY_COUNT + (unsigned)f;
}

static inline enum family
net_family(unsigned net)
{
	return net % FAMILY_COUNT ? FAMILY_V6 : FAMILY_V4;
}

static inline enum dht_carrier
net_carrier(unsigned net)
{
	return net < FAMILY_COUNT ? DHT_MAINLINE : DHT_OVERLAY;
}

/* Of one family; times are monotonic, NEVER: not yet. */
struct discovery {
	uint64_t look_ms, announce_ms;
	uint32_t n_looks; /* in vain, more or less */
	uint32_t n_asked; /* peers, since the last lookup began */
};

struct node {
	struct rng rng;
	struct now now; /* of the last call */
	bool loopback;
	enum node_policy policy;
	bool announces, denies_fallback;
	bool no_room; /* for what contacts send */
	/* Somebody who knew us is not to find us: each address of ours has
	 * another node. Until the end, as whom we forgot knows it still. */
	bool hides;
	struct dht *dht[NODE_NETS]; /* owned; NULL: none; see net_of */
	struct discovery discovery[FAMILY_COUNT];
	struct links *links; /* owned */
	bool has_self;
	struct self self;
	bool self_dirty;
	struct peer **peers; /* owned array by slot, entries owned or NULL */
	size_t n_peers, peers_cap; /* contacts; slots */
	struct map by_id, by_pk;   /* peers */
	struct heap timers;        /* peers by meet deadline */
	struct peer *dirty, *work; /* lists */
	struct host hosts[NODE_INVITES_MAX];
	struct dummy *dummies; /* owned, cells_min of them */
	size_t cells_min;
	bool dummies_stale; /* another number of them may be needed */
	struct op ops[NODE_OPS_MAX];
	uint32_t n_ops, op_serial;
	size_t outbox_bytes; /* of all contacts */
	struct endpoint local[NODE_LOCAL_MAX];
	uint8_t n_local, n_mapped;
	struct endpoint mapped[FAMILY_COUNT]; /* by gateways */
	bool has_address[FAMILY_COUNT];
	struct endpoint address[FAMILY_COUNT]; /* ours, as seen by others */
	uint64_t save_dht_ms, refresh_ms;
	uint64_t receipt_ms; /* node_receipt.c has something to do, or NEVER */
	uint64_t clock_ms;   /* wall clock at mono 0, modulo 2^64 */
	uint64_t clock_set_ms; /* mono, when that changed; first: the start */
	uint64_t doubt_end_ms; /* mono; NEVER: it agrees with the system's */
	uint64_t woke_ms;      /* from the last suspend, or 0 */
	/* Whether nodes answered the last lookup, in each DHT. With none at
	 * all the network is away; one contact goes on looking quickly. */
	bool heard[NODE_NETS];
	bool away;
	uint64_t heard_ms; /* the last answer */
	uint32_t prober;   /* its slot */
	struct {
		bool on;
		bool stale; /* table is not that of our contacts */
		struct lan_table table;
		uint64_t slot;   /* of the table */
		uint8_t key[32]; /* of dummies, of this run */
		uint64_t beacon_ms, sent_ms;
		uint32_t n_early; /* since the last change */
		size_t turn;      /* slot of the next one to be told */
	} lan;
	/* How we are reached: what routers do, who passes to us. */
	bool has_family[FAMILY_COUNT];
	bool reachable; /* our operator says so */
	struct nat nat[FAMILY_COUNT];
	struct introducer intro[INTRO_SLOTS];
	uint32_t intro_serial;                 /* of our address */
	struct endpoint seen_at[FAMILY_COUNT]; /* by others; port 0: never */
	uint64_t seen_ms; /* since the last change of one */
	struct {
		struct endpoint at;
		uint64_t until_ms;
	} intro_refused[INTRO_REFUSALS];
	uint32_t intro_refused_at;
	bool relays;                /* we are one, for all contacts */
	uint32_t relay[RELAYS_MAX]; /* ours: slots of contacts */
	size_t n_relays;
	uint64_t settle_ms; /* the first cells wait for one, until then */
	struct route routes[ROUTES_MAX];
	uint32_t route_serial;
	struct crossing crossings[CROSSINGS_MAX];
	uint64_t close_ms; /* sockets of sessions that ended are, or NEVER */
	size_t n_routed;   /* contacts whose session runs by a route */
	/* Extra sockets; [0] is not used. */
	struct {
		bool open;
		enum family family;
	} socket[NODE_SOCKETS_MAX + 1];
	size_t n_sockets, sockets_max;
	bool unsettled;
	bool failed; /* an allocation failed: popped effects are incomplete */
	/* Effects, popped in this order. */
	struct queued_change *changes; /* owned */
	size_t n_changes, changes_cap, changes_at;
	struct queued_event *events; /* owned */
	size_t n_events, events_cap, events_at;
	struct queued_send *sends; /* owned */
	size_t n_sends, sends_cap, sends_at;
	struct arena arena;              /* of changes */
	struct arena wire;               /* of sends */
	uint8_t record[NODE_RECORD_MAX]; /* of the dirty one just popped */
	size_t n_record;                 /* bytes of it, secret */
	uint8_t *scratch; /* owned: one chat record being encoded */
	struct node_saved saved[NODE_SAVED_NODES_MAX];
	uint64_t udp_in, udp_out, udp_bytes_in, udp_bytes_out;
};

/* node.c: carries everything on that follows from the last calls. */
void node_settle(struct node *n);

/* node_nets.c */
MUST_USE bool nets_new(struct node *n, const struct node_config *cfg);
void nets_free(struct node *n);
void nets_save(struct node *n);
/* A contact is there, and his overlay node with him. */
void nets_met(struct node *n, const struct endpoint *at,
    const struct node_key keys[FAMILY_COUNT]);
/* We are another node in each of them: who knew us finds us no more, nor what
 * he left with us. All handles of ours were dropped before. */
void nets_renew(struct node *n, bool has_moved);
/* False: it belongs to no DHT. */
bool
nets_receive(struct node *n, const struct endpoint *from, struct span datagram);
/* Something went out to `to`: who asks from there was not a stranger. */
void nets_sent(struct node *n, const struct endpoint *to);
void nets_tick(struct node *n);
uint64_t nets_deadline_ms(const struct node *n);
bool nets_settle(struct node *n); /* true: there was something */
/* Estimate, 0: nobody is known there. */
size_t nets_size(const struct node *n, unsigned net);
/* Do cells go there, and are they looked for there first? turn: how often that
 * was done before, since something changed. */
bool nets_carry(const struct node *n, unsigned net, uint32_t turn);
void nets_stats(const struct node *n, struct node_stats *ret);

/* node_lan.c */
void lan_changed(struct node *n); /* another network, another contact */
void lan_forget(struct node *n);  /* a contact or an invitation is gone */
void lan_tick(struct node *n);
uint64_t lan_deadline_ms(const struct node *n);

/* node_discovery.c */
void discovery_init(struct node *n);
void discovery_on_dht(struct node *n, unsigned net, const struct dht_event *e);
void discovery_tick(struct node *n);
uint64_t discovery_deadline_ms(const struct node *n);

/* node_effects.c: the three queues. */
void effects_clear(struct node *n);
void effect_change(struct node *n, const struct change *c);
/* Where the one just queued waits; valid if the node has not failed. */
size_t effect_last(const struct node *n);
/* A message of ours, queued as the change at `at`, was handed to a session: the
 * change says so if it still waits. False: it was popped. */
bool effect_sent(struct node *n, size_t at, const struct message_id *id);
void effect_event(struct node *n, enum node_event_kind kind,
    const struct peer *p, const struct endpoint *e, enum err err);
void effect_pong(struct node *n, const struct peer *p, uint64_t rtt_ms);
void effect_paired(
    struct node *n, const struct peer *p, const struct message_id *invite);
void effect_send(struct node *n, const struct endpoint *to, struct span data);
void effect_send_way(struct node *n, const struct way *way, struct span data);
/* Random bytes: nothing to whoever gets it, but routers on the way let through
 * what comes back. */
enum { OPENER_SIZE = 56 }; /* as a cookie reply */
void effect_opener(struct node *n, const struct way *way);
void effect_lan(struct node *n, struct span data);
/* EFFECT_SOCKET_OPEN or _CLOSE. */
void effect_socket(
    struct node *n, enum effect_kind kind, unsigned socket, enum family f);
void peer_dirty(struct node *n, struct peer *p); /* store its record */
static inline enum contact_state
peer_state(const struct peer *p)
{
	return p->c.blocked ? CONTACT_BLOCKED
	       : p->c.ready ? CONTACT_READY
	                    : CONTACT_WAITING;
}
/* Stores it in the order of the changes, before what refers to it. */
void peer_store(struct node *n, struct peer *p);
void invite_store(struct node *n, const struct host *h);

/* node_socket.c: extra sockets. */
/* Asks the owner for one; its number, 0: there are no more to be had. */
unsigned socket_open(struct node *n, enum family f);
void socket_close(struct node *n, unsigned socket);
bool socket_is_open(const struct node *n, unsigned socket);

/* node_intro.c: what our routers do, and our introducers. */
void intro_init(struct node *n);
/* Another network (is_told), another address. */
void intro_moved(struct node *n, bool is_told);
void intro_wanted(struct node *n); /* now, where they were not before */
void intro_begin(struct node *n);  /* there is an identity to be reached */
/* Other handles and other nodes: nobody who knew us finds us by these. */
void intro_renew(struct node *n, bool has_moved);
void intro_on_dht(struct node *n, unsigned net, const struct dht_event *e);
void intro_tick(struct node *n);
uint64_t intro_deadline_ms(const struct node *n);
/* Shall cells wait a moment for them? */
bool intro_is_settling(const struct node *n);
/* Those that serve us; returns how many, at most CELL_INTRODUCERS_MAX. */
uint8_t intro_list(const struct node *n, struct cell_introducer *ret);
void intro_view(const struct node *n, enum family f, struct nat_view *ret);
void intro_stats(const struct node *n, struct node_stats *ret);
/* Another contact relays for us, or none, or from elsewhere. */
void intro_relay_changed(struct node *n);
/* A session has begun there: what it refused before counts no more. */
void intro_forgive(struct node *n, const struct endpoint *at);
/* As cells and offers tell it. */
void intro_nat(const struct node *n, struct nat_view *ret);

/* node_route.c: ways that are no address. */
/* The endpoint that stands for it in links; false: no room. */
bool route_by_introducer(
    struct node *n, const struct cell_introducer *i, struct endpoint *ret);
bool route_by_socket(struct node *n, unsigned socket, const struct endpoint *at,
    struct endpoint *ret);
void route_send(
    struct node *n, const struct endpoint *to, struct span data, uint8_t hops);
void route_on_handed(struct node *n, const struct dht_event *e);
void route_on_failed(struct node *n, const struct dht_event *e);
/* Nothing goes through who is not to see us. */
void routes_end_shut(struct node *n);
/* Nothing goes through that introducer any more. */
void routes_end(struct node *n, const struct node_key *introducer);
void route_socket_closed(struct node *n, unsigned socket);
/* False: it is none, or no longer one. */
bool
route_look(const struct node *n, const struct endpoint *e, struct route *ret);

/* node_relay.c: contacts who pass whole sessions. */
/* Who relays, or where, is another. */
void relays_changed(struct node *n);
/* Is this the overlay node of a contact, chosen or not? */
bool relay_is_contact(const struct node *n, const struct node_key *key);
/* The one that this is the overlay node of; NULL: none that we have chosen. */
const struct peer *relay_of(const struct node *n, const struct node_key *key);
/* Where he is reached by his session's path, and from which socket; false: by a
 * route, or not at all. */
bool relay_at(const struct node *n, const struct peer *p, struct dht_node *ret,
    unsigned *socket);
/* The i-th of ours; false: he cannot be used. */
bool relay_choose(const struct node *n, size_t i, struct dht_node *ret);
/* What goes to the overlay node of a relay leaves where his session runs. */
unsigned relay_socket(const struct node *n, const struct endpoint *at);
void relay_on_up(struct node *n, struct peer *p, const struct link_hello *h);
/* True: his overlay node is another one now. */
bool relay_on_hello(struct node *n, struct peer *p, const struct link_hello *h);
/* The contact is gone, or not to be trusted. */
void relay_forget(struct node *n, struct peer *p);
/* was: he might relay for us before. */
void relay_decided(struct node *n, struct peer *p, bool was);

/* node_cross.c: from a route to a direct path. */
void
cross_on_early(struct node *n, struct peer *p, const struct endpoint *path);
void cross_on_up(struct node *n, struct peer *p);
/* The session runs another way; was_poor: by a route before. */
void cross_on_path(struct node *n, struct peer *p, bool was_poor);
void cross_on_down(struct node *n, struct peer *p);
void cross_on_offer(
    struct node *n, struct peer *p, const struct link_candidates *theirs);
void cross_changed(struct node *n); /* our addresses, or introducers */
void cross_tick(struct node *n);
uint64_t cross_deadline_ms(const struct node *n);

/* node_contact.c: contacts and what links tell of them. */
/* Tells links the routes to the contact. */
void reach_routes(struct node *n, struct peer *p);
/* Our introducers have changed: cells and sessions tell it. */
void reach_changed(struct node *n);
MUST_USE enum err
peer_new(struct node *n, const struct contact *c, struct peer **ret);
void peer_del(struct node *n, struct peer *p); /* no effects */
struct peer *peer_by_id(const struct node *n, const struct contact_id *id);
struct peer *peer_by_slot(const struct node *n, uint32_t slot);
/* Tells links what it has to know of the contact, or of its pairing. */
void peer_to_links(struct node *n, struct peer *p);
void self_to_links(struct node *n);
void peer_connect(struct node *n, struct peer *p); /* to its candidates */
/* It hears nothing of us from now on, as it is blocked or quiet; and again. */
void peer_shut(struct node *n, struct peer *p);
void peer_open(struct node *n, struct peer *p);
/* It broke a rule inside a session: ends it, and no new one for a minute. */
void peer_shun(struct node *n, struct peer *p, enum err why);
/* Ends the link and calls at once for another one. */
void peer_relink(struct node *n, struct peer *p);
void contact_on_link(struct node *n, const struct link_out *out);

/* node_clock.c */
/* Every call from outside begins here: sets n->now. */
void node_time(struct node *n, struct now now);
/* Before a link can come up, for one that is there vouches for the clock of
 * before. */
void node_clock_watch(struct node *n);
/* The system's clock is another one than ours. */
bool clock_is_doubted(const struct node *n);
/* A contact says what time it is. */
void clock_heard(struct node *n, struct peer *p, uint64_t time_ms);
void self_keep_fresh(struct node *n);

/* node_invite.c */
void host_to_links(struct node *n, const struct host *h);
void hosts_refresh(struct node *n); /* expiries */
/* The contact met us under its new root: its invitation is done. */
void hosts_met(struct node *n, const struct peer *p);
void invite_on_caller(struct node *n, const struct link_out *out);
void invite_on_paired(struct node *n, const struct link_out *out);
void pairing_on_paired(struct node *n, const struct link_out *out);

/* node_chat.c */
/* What names our numbering of messages to this contact. */
void chat_epoch(const struct node *n, const struct peer *p, uint8_t ret[8]);
/* Words may leave before the contact's HELLO has come. */
bool chat_is_kind(enum message_kind k);
void chat_early(struct node *n, struct peer *p);
/* early: what left since then has arrived, or will. */
void chat_up(
    struct node *n, struct peer *p, const struct link_hello *hello, bool early);
void chat_on_data(struct node *n, struct peer *p, struct span data);
void chat_work(struct node *n, struct peer *p);    /* put it on the list */
void chat_give_up(struct node *n, struct peer *p); /* all of it has failed */
/* Tells the owner. */
void chat_tell_state(struct node *n, const struct peer *p,
    const struct message_id *id, enum message_state state,
    enum message_reason reason);
/* The same of an entry that was taken out of the outbox, which it frees. */
void chat_end(struct node *n, const struct peer *p, struct outbox_entry *e,
    enum message_state state, enum message_reason reason);
void chat_run(struct node *n); /* writes what fits */
/* node_cancel.c: numbers of what never left are given again. */
void chat_unnumber(struct node *n, struct peer *p);
/* Encodes r and hands it to the link. False: no room now. */
bool chat_write(struct node *n, const struct peer *p, const struct record *r);

/* node_refuse.c: messages that are not taken. */
/* True: this one of theirs is not taken now. */
bool refuse_theirs(struct node *n, struct peer *p, const struct record *r);
void refuse_on_refused(struct node *n, struct peer *p, const struct record *r);
void refuse_on_resumed(struct peer *p, const struct record *r);
/* A new link. */
void refuse_up(struct peer *p);
/* They take what we send. */
void refuse_over(struct node *n, struct peer *p);
/* False: no room now. */
bool refuse_write(struct node *n, struct peer *p);
/* It is time to try again. */
void refuse_run(struct node *n, struct peer *p);

/* node_presence.c */
/* Blocked, or not to see us now. */
bool peer_is_shut(const struct peer *p);
/* Is it, as far as we know, the overlay node of such a one, or one beside it?
 * He is not to pass anything for us. */
bool presence_avoids(const struct node *n, const struct dht_node *node);
/* Something waits for him, or nothing any more. */
void presence_settle(struct node *n, struct peer *p);
/* People have decided that he is to see us, or not: it is so at once. */
void presence_decided(struct node *n, struct peer *p);
/* True: from now on he does not. */
bool presence_run(struct node *n, struct peer *p);

/* node_receipt.c: what was read, who is typing. */
/* False: no room now. */
bool receipt_write(struct node *n, struct peer *p);
void receipt_on_read(struct node *n, struct peer *p, const struct record *r);
void receipt_on_typing(struct node *n, struct peer *p, const struct record *r);
void receipt_typing_over(struct node *n, struct peer *p);
void receipt_up(struct node *n, struct peer *p);
void receipt_down(struct node *n, struct peer *p);
void receipt_tick(struct node *n);

/* node_cell.c: gets and puts of cells, in every DHT that carries them. */
struct publication {
	enum op_kind kind;
	uint32_t slot; /* of the owner */
	const struct disc_key *disc;
	enum cell_dir dir;
	const struct reach_key *reach;
	/* From cell_prepare. */
	uint64_t at_s;  /* Unix time that it claims */
	uint64_t now_s; /* that of the put, not before */
	bool renewal;   /* nobody waits for it */
};
/* Fills in when and what is put: a renewal is the very cell that is there. */
void cell_prepare(struct node *n, struct publication *what,
    struct rendezvous *meet, struct putting *put);
/* Begins the puts, one a DHT and epoch; put->n says how many. */
/* Ends the puts under way, to begin anew with what has changed. */
void cell_unpublish(
    struct node *n, enum op_kind kind, uint32_t slot, struct rendezvous *meet);
void cell_publish(
    struct node *n, const struct publication *what, struct putting *put);
struct search {
	enum op_kind kind;
	uint32_t slot;
	const struct disc_key *disc;
	enum cell_dir dir; /* of who writes it */
	bool thorough;     /* at the second place in any case */
	bool calm;         /* nobody waits for it */
	bool outside;      /* on Mainline, too, where the overlay has nothing */
};
/* turn: which carriers, where they take turns. */
void cell_look(
    struct node *n, const struct search *what, bool glance, uint32_t turn);
/* A lookup ended without a cell: goes on at the next likely place. False:
 * that was all. */
bool cell_look_on(struct node *n, struct op *op, const struct search *what);
bool cell_read(const struct op *op, const struct dht_item *item,
    const struct id_pk *writer, uint64_t now_s, struct cell *ret);
/* Own addresses as others may use them; at most CELL_CANDIDATES_MAX. */
uint8_t own_candidates(const struct node *n, struct endpoint *ret);
/* What a cell of ours says of how we are reached. */
void fill_cell(const struct node *n, struct cell *cell);
struct op *
cell_op_new(struct node *n, enum op_kind kind, unsigned net, uint32_t slot);
void cell_op_free(struct node *n, struct op *op);
struct op *
cell_op_by_name(struct node *n, uint64_t name); /* or NULL: it is over */
bool
cell_ops_free(const struct node *n); /* for what one owner may need at once */
void cell_ops_forget(struct node *n, enum op_owner owner, uint32_t slot);

/* node_dummy.c */
/* Once the identity is known. ERR_NOMEM. */
MUST_USE enum err dummies_init(struct node *n);
void dummies_clear(struct node *n);
/* As meet_all for contacts. */
void dummies_all(struct node *n, uint32_t spread_ms);
void dummies_run(struct node *n);
uint64_t dummies_deadline_ms(const struct node *n, uint64_t at_ms);
void
dummies_on_get_done(struct node *n, struct op *op, const struct dht_event *e);

/* node_meet.c */
void meet_start(struct node *n, struct peer *p);
/* The same for one of many: when is left to chance. */
void meet_start_with_others(struct node *n, struct peer *p);
/* He has ended the link: if he only begins anew he calls at once, and two calls
 * at the same time would wait for each other. */
void meet_start_later(struct node *n, struct peer *p);
void meet_stop(struct node *n, struct peer *p);
/* A cell of theirs, from wherever it came. */
void meet_take_cell(struct node *n, struct peer *p, const struct cell *cell);
void meet_changed(struct node *n); /* own addresses or keys */
void meet_all(struct node *n);     /* look and publish for all, soon */
void meet_retime(struct node *n, struct peer *p);
void meet_run(struct node *n); /* begins what is due and free */
void meet_on_dht(struct node *n, unsigned net, const struct dht_event *e);
void meet_forget(struct node *n, const struct peer *p); /* its lookups */
void meet_forget_host(struct node *n, const struct host *h);
uint64_t meet_deadline_ms(const struct node *n);

#endif /* PROTO_NODE_INT_H */
