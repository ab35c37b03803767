/*
 * Why a contact is reached or not: the last step of each kind towards him and
 * what came of it, in memory only. No address and no key is in it, so it may
 * be shown to whoever helps. [SPEC §4.2]
 */
#ifndef PROTO_CHAT_WHY_H
#define PROTO_CHAT_WHY_H

#include "proto/base/endpoint.h"
#include "proto/base/nat_class.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum why_carrier { WHY_MAINLINE = 0, WHY_OVERLAY = 1 };
#define WHY_CARRIERS 2

enum why_kind {
	WHY_LOOK = 0, /* for their cell */
	WHY_PUT,      /* of ours */
	WHY_KNOCK,    /* message 1 to the addresses that we know */
	WHY_PASS,     /* the same to those who pass to him */
	WHY_NOBODY,   /* one of them says that he is not there */
	WHY_CROSS,    /* a try to get from a route to a direct path */
	WHY_DOWN,     /* a session ended */
	WHY_UP,       /* a session began; in one moment, after the old one */
};
#define WHY_KINDS 8

/* Where a router takes ports at random: hundreds of packets. */
enum why_many {
	WHY_MANY_NONE = 0, /* not called for */
	WHY_MANY_SENT,
	WHY_MANY_DECLINED, /* too soon, too many at once, no sockets, or to an
	                    * address that nobody else sees him at */
};
#define WHY_MANIES 3

struct why_step {
	enum why_kind kind;
	uint64_t at_ms; /* monotonic, when it ended */
	uint32_t times; /* with this result, one after the other; 0: never */
	/* LOOK, PUT: where. */
	enum why_carrier carrier;
	enum family family;
	uint16_t asked, answered; /* nodes */
	uint16_t stored;          /* PUT: nodes that took it */
	uint16_t networks;        /* PUT: different /16 (IPv6: /32) of these */
	uint32_t took_ms;
	/* LOOK: a cell of theirs; PUT: read back; CROSS: a direct path */
	bool found;
	bool read;        /* PUT: somebody was asked for it afterwards */
	bool alarm;       /* the nodes nearest to it were suspiciously near */
	bool rival;       /* there was a value that is not theirs, or ours */
	uint8_t n_tried;  /* KNOCK, CROSS: addresses; PASS: who passes */
	uint8_t n_relays; /* PASS: contacts among these */
	/* CROSS: */
	enum nat_class own, theirs; /* what the routers do */
	enum why_many many;
	uint16_t sent; /* packets */
	bool offered;  /* he said where he is, in this session */
};

enum {
	WHY_PLACES = WHY_CARRIERS * FAMILY_COUNT,
	WHY_STEPS_MAX = 2 * WHY_PLACES + WHY_KINDS - 2,
};

/* All zero: nothing was tried yet. */
struct why {
	struct why_step step[WHY_STEPS_MAX];
};

/* Takes note of a step that has just ended; `times` is filled in here. */
void why_note(struct why *w, const struct why_step *step);
/* The steps that there were, oldest first; returns how many. */
size_t why_steps(const struct why *w, struct why_step ret[WHY_STEPS_MAX]);

enum why_verdict {
	WHY_ONLINE = 1,
	WHY_CONNECTING, /* packets are under way */
	WHY_REFUSED, /* it broke a rule a moment ago: shut out for a minute */
	WHY_NO_TRY,  /* nothing has ended yet */
	WHY_NO_NETWORK, /* no DHT node answers */
	WHY_NOT_ADDED,  /* no cell, and no session ever: they have to add us */
	WHY_AWAY,       /* no cell now, though there were sessions */
	WHY_NO_ANSWER,  /* a cell is there, its addresses do not answer */
	WHY_DENIED,     /* its ratchet is lost, and may not begin again */
};

struct why_state {
	bool online, connecting, refused, denied;
	bool ready; /* there was a session once */
};
enum why_verdict why_judge(const struct why *w, const struct why_state *s);

#endif /* PROTO_CHAT_WHY_H */
