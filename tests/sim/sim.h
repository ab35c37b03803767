/*
 * A world in one process: people and a crowd of DHT nodes, each a struct node
 * as in the daemon, on a virtual network, virtual clocks and virtual disks.
 * Everything follows from one seed. The world carries out effects as THE LAW
 * of proto/node.h allows, and crashes nodes between any two of them.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "tests/sim/check.h"
#include "tests/sim/liar.h"
#include "tests/sim/memory.h"
#include "tests/sim/net.h"
#include "tests/sim/wire.h"

#include <sodium.h>

enum {
	SIM_PEOPLE_MAX = CHECK_PEOPLE_MAX,
	SIM_NODES_MAX = NET_HOSTS_MAX - 2, /* people first, then the crowd */
	SIM_INVITES_MAX = 16,
	SIM_TAPE_MAX = 64,        /* datagrams an eavesdropper keeps */
	SIM_CALLS_MAX = 16,       /* messages 1 that he keeps apart */
	SIM_TICKS_MAX = 1000,     /* of a node at one time: more is a spin */
	SIM_EFFECTS_MAX = 100000, /* of one drain: more is a loop */
};

struct sim_config {
	uint64_t seed;
	uint32_t n_people, n_crowd;
	bool v6;                 /* both families */
	enum node_policy policy; /* of who starts; may change meanwhile */
	bool is_hidden;          /* who starts does not announce himself */
	uint32_t relays;         /* bit i: person i passes for contacts */
	bool only_mainline;      /* the three are known as Mainline's */
	bool reads_many; /* a node takes all that has come, then acts on it */
	uint32_t latency_min_ms, latency_max_ms; /* 0, 0: 5..120 */
	bool trace;
};

/* How an owner carries out what it popped; THE LAW allows both. */
enum sim_owner { OWNER_BATCH = 0, OWNER_STEP };

struct sim_node {
	struct node *node; /* owned; NULL: down */
	struct dice dice;
	struct disk disk;
	uint32_t life; /* starts so far */
	bool is_person;
	struct id_seed seed;
	uint64_t mono_base_ms;
	int64_t wall_offset_ms;
	enum sim_owner owner;
	uint64_t tick_ms; /* earliest tick in the agenda, or NEVER */
	uint64_t last_tick_ms;
	uint32_t n_ticks; /* at last_tick_ms */
	/* Faults to come: at which effect boundary, at which commit from now;
	 * 0: none. */
	uint32_t crash_in, fail_commit_in;
	struct memory memory;
	struct liar liar;       /* per_mille 0: honest */
	uint64_t full_until_ms; /* its disk has no room */
	uint32_t retry_ms;      /* starts again after that */
	int32_t drift_ppm;      /* of its wall clock, since drift_from_ms */
	uint64_t drift_from_ms;
	uint32_t down_ms;         /* how long that crash lasts */
	uint64_t asleep_until_ms; /* suspended: hears and does nothing */
	uint32_t n_doubts;        /* it was told not to believe its clock */
	uint32_t n_fallbacks;     /* ratchets that began again */
	bool online[SIM_PEOPLE_MAX];
	uint64_t online_ms[SIM_PEOPLE_MAX]; /* last change */
	uint64_t first_online_ms[SIM_PEOPLE_MAX];
	uint64_t n_in, n_out;
	uint64_t n_sealed[SIM_PEOPLE_MAX]; /* not KRPC, from each */
};

struct sim;

/* Something planned. */
struct sim_event {
	void (*run)(struct sim *s, const struct sim_event *e);
	uint32_t who, whom, arg;
	bool is_own; /* freed after it ran */
};

/* An effect that waits for its commit. */
struct sim_out {
	enum effect_kind kind;
	enum node_event_kind event;
	struct contact_id contact;
	struct message_id invite;
	enum err err;
	struct net_way way; /* SEND; the socket of SOCKET_* */
	struct endpoint at; /* EVENT */
	size_t n;
	uint8_t b[NET_DATAGRAM_MAX];
};

struct sim_invite {
	uint32_t owner;
	bool revoked;
	bool expired; /* to who accepted it last; clocks may be wrong */
	struct node_invite invite;
};

/* What the eavesdropper saw delivered, to use it later. */
struct sim_tape {
	struct endpoint source;
	uint32_t to; /* node */
	size_t n;
	uint8_t b[NET_DATAGRAM_MAX];
};

struct sim {
	struct sim_config cfg;
	uint64_t now_ms;   /* virtual, from 0 */
	uint64_t wall0_ms; /* Unix ms at 0 */
	struct dice dice;  /* of the world's decisions */
	struct net net;
	struct check check;
	struct wire wire;
	struct queue agenda; /* of struct sim_event */
	struct sim_node nodes[SIM_NODES_MAX];
	struct sim_event ticks[SIM_NODES_MAX];
	uint32_t n_nodes;
	uint32_t adversary; /* host without a node */
	bool tape_on;
	struct sim_tape tape[SIM_TAPE_MAX]; /* ring */
	uint64_t n_tape;
	struct sim_tape calls[SIM_CALLS_MAX]; /* ring: each was answered */
	uint64_t n_calls;
	struct {
		uint64_t acts;                       /* so far */
		uint32_t unanswered[SIM_PEOPLE_MAX]; /* calls of the thief */
	} thief;
	struct {
		uint64_t acts, began_ms, cookies;
	} flood;
	uint64_t n_attacks;
	struct sim_invite invites[SIM_INVITES_MAX];
	uint32_t n_invites;
	struct sim_out *outs; /* owned; of the drain under way */
	size_t n_outs, cap_outs;
	uint32_t n_addresses;         /* given out so far */
	const struct endpoint *asker; /* of the datagram just received */
	bool is_answered;             /* with a message 2 */
	uint32_t n_texts;
	crypto_generichash_state digest; /* of every datagram sent */
	uint64_t n_events, n_crashes, n_failed_commits;
	/* The host without a node hears all that comes to it; NULL: it is only
	 * law that there is little. */
	void (*hears)(struct sim *s, const struct net_packet *p);
	struct spy *spy; /* borrowed */
	void *user;      /* of who runs the world; borrowed */
};

struct sim *sim_new(const struct sim_config *cfg);
/* Two people and a crowd, started at once, who have had so long to find each
 * other; nobody is a contact yet. SIM_TRACE traces. */
struct sim *sim_pair(uint64_t seed, uint32_t n_crowd, uint64_t settled_ms);
void sim_free(struct sim *s);

/* Plans run(e) for a virtual time, now or later. */
void sim_at(struct sim *s, uint64_t at_ms,
    void (*run)(struct sim *s, const struct sim_event *e), uint32_t who,
    uint32_t whom, uint32_t arg);
/* Runs until that time, or until done(s) is true after an event, or until a
 * law is broken. True if done(s). done may be NULL. */
bool sim_run(struct sim *s, uint64_t until_ms, bool (*done)(struct sim *s));
void sim_digest(const struct sim *s, uint8_t ret[16]);

/* Life of a node. */
void sim_start(struct sim *s, uint32_t who);
/* For sim_at: starts e->who. */
void sim_start_event(struct sim *s, const struct sim_event *e);
void sim_crash(struct sim *s, uint32_t who); /* what is not durable is lost */
void sim_crash_for(struct sim *s, uint32_t who, uint32_t down_ms);
/* As sim_crash, and it starts with that older disk, of which it takes a copy.
 */
void sim_restore(struct sim *s, uint32_t who, const struct disk *image);
/* Suspends it, as a laptop that is closed. Its clocks go on. */
void sim_sleep(struct sim *s, uint32_t who, uint64_t ms);
bool sim_is_awake(const struct sim *s, uint32_t who);
/* A new address; is_told: the node is given it, as by its system. Otherwise
 * only its router has changed: the port alone. */
void sim_move(struct sim *s, uint32_t who, bool is_told);
void sim_set_local(struct sim *s, uint32_t who);
struct now sim_now(const struct sim *s, uint32_t who);
/* Its wall clock runs faster by that from now on. */
void sim_drift(struct sim *s, uint32_t who, int32_t ppm);

/* Commands of users. True: done and durable; false: try again later. */
bool sim_add(struct sim *s, uint32_t who, uint32_t whom);
bool sim_delete(struct sim *s, uint32_t who, uint32_t whom);
/* Whether `whom` may see when `who` is there. */
bool sim_presence(struct sim *s, uint32_t who, uint32_t whom, bool seen);
/* Whether there is room to store what comes; until a restart. */
bool sim_room(struct sim *s, uint32_t who, bool has_room);
/* who blocks whom, or no longer. */
bool sim_block(struct sim *s, uint32_t who, uint32_t whom, bool blocked);
/* whom may relay for who. */
bool sim_relay(struct sim *s, uint32_t who, uint32_t whom, bool may);
/* Writes the next text of that length; at least 16 bytes. */
bool sim_write(struct sim *s, uint32_t who, uint32_t whom, uint32_t bytes);
/* Takes back a text that may still be here; true also if none is, or it has
 * left. Sends one again that was taken back; true also if there is none. */
bool sim_cancel(struct sim *s, uint32_t who, uint32_t whom);
bool sim_retry(struct sim *s, uint32_t who, uint32_t whom);
/* Its number is s->n_invites - 1 then. */
bool sim_invite(struct sim *s, uint32_t who, uint64_t ttl_s);
bool sim_accept(struct sim *s, uint32_t who, uint32_t invite);
bool sim_revoke(struct sim *s, uint32_t invite);

bool sim_is_online(const struct sim *s, uint32_t a, uint32_t b); /* both say */
/* For sim_run: the first two people are online; they also know that the other
 * has added them; nothing that was written is still to come. */
bool sim_pair_online(struct sim *s);
bool sim_pair_ready(struct sim *s);
bool sim_all_delivered(struct sim *s);
void sim_trace(const struct sim *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- adversaries, each as the host without a node ---- */

/* Who has stolen all that is durable of `victim` calls there in the name of
 * one of its contacts. */
void sim_thief_call(struct sim *s, uint32_t victim);
/* A burst of junk, of messages 1 with the right mac1, and of questions of the
 * DHT, most of them from addresses that are nobody's. */
void sim_flood(struct sim *s, uint32_t victim);
/* Makes a person a contact who lies in so many packets of a thousand. */
void sim_lie(struct sim *s, uint32_t who, uint32_t per_mille);
/* Why the host without a node may not hear this; NULL: it may. */
const char *sim_may_hear(struct sim *s, uint32_t who, struct span datagram);

/* One attack from the wire or from a stranger, with what the tape holds. */
void sim_attack(struct sim *s);
/* Keeps a datagram that `who` took. */
void sim_tape(struct sim *s, uint32_t who, const struct net_packet *p);
/* The adversary sends one message 1 that he kept from his own address. */
void sim_call_again(struct sim *s, uint32_t call);

/* For the files of the world only: carries out what a node wants done, and
 * plans its next tick. */
void sim_settle(struct sim *s, uint32_t who);
/* Around each call of a node: the memory is its own then. Returns it. */
struct node *sim_enter(struct sim *s, uint32_t who);
void sim_leave(void);
struct endpoint sim_next_v4(struct sim *s); /* that nobody had before */

#endif /* TESTS_SIM_SIM_H */
