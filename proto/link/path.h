/*
 * Where a link runs: what proves an address, when a link moves there, and what
 * it does when its path falls silent. [SPEC §6.5]
 */
#ifndef PROTO_LINK_PATH_H
#define PROTO_LINK_PATH_H

#include "proto/link/state.h"

enum {
	PATH_TOKEN_MS = 30000, /* what a challenge says; the one before, too */
	/* An answer takes so long at most, as far as a check waits for it. */
	PATH_GRACE_MIN_MS = 120,
	PATH_GRACE_MAX_MS = 1000,
	PATH_ASKED = 5,  /* rounds of challenges, a third of that apart */
	PATH_DIRECT = 5, /* rounds until a direct way is taken instead */
	PATH_ROUTE = 6,  /* until a route is */
	PATH_ROUNDS = 7, /* of a check */
	/* While nobody answers it waits so long for routes, which may be far,
	 * or have to hear first that our address is ours. */
	PATH_LATE_MS = 1500,
	PATH_LATE_STEPS = 4, /* from one question to the next then */
	PATH_STAY_MS = 1000, /* a direct path is not left sooner after a move */
	PATH_SILENT_MAX =
	    4, /* doublings from one check for silence to the next */
	PATH_CALM_MIN_MS = 5000,   /* from one for a word from elsewhere ... */
	PATH_CALM_MAX_MS = 320000, /* ... twice as long each time, to this */
	PATH_STRANGERS_S = 8,      /* addresses asked for being a source */
	PATH_STRANGERS_BURST = 8,
	PATH_SPARE_TRIES = 2, /* unanswered: no spare any more */
	PATH_BACK_TRIES = 7,  /* of a dead path, at 1, 2, 4 ... s */
	PATH_BACK_MS = 1000,
	PATH_KEEP_MIN_MS = 2000, /* first PING of a direct path */
	PATH_KEEP_MAX_MS = 3000,
};

/* The link comes up there: nothing else is known yet. */
void path_begin(
    struct links *l, struct conn *c, const struct endpoint *at, struct now now);
void path_check(const struct conn *c); /* what must hold between calls */
bool path_on_route(const struct conn *c);

/* ---- what came ---- */

/* An authenticated packet, after all its frames were taken. */
struct path_packet {
	const struct endpoint *from;
	size_t n;     /* bytes of the datagram */
	bool highest; /* of the session in use: none later came before */
	bool speaks;  /* it holds more than ACK and what proves a path */
	const uint8_t *asked; /* what its challenge said, or NULL */
};
void path_on_packet(struct links *l, struct peer *p,
    const struct path_packet *k, struct now now);
void
path_on_response(struct links *l, struct peer *p, const struct endpoint *from,
    const uint8_t data[FRAME_PATH_SIZE], struct now now);
/* A handshake of the running link proved an address. */
void path_on_handshake(
    struct links *l, struct peer *p, const struct endpoint *at, struct now now);
/* Nothing came for long: the link is in doubt, c->rescue. */
void path_on_silence(struct links *l, struct peer *p, struct now now);

/* ---- what is asked ---- */

/* One challenge to an address that the owner names. */
void path_probe(struct links *l, struct peer *p, const struct endpoint *to,
    uint8_t hops, struct now now);
/* The link came up, perhaps on a route: then the addresses are asked that were
 * knocked at. */
void path_upgrade(struct links *l, struct peer *p, struct now now);
/* Bulk goes there, too. */
bool path_has_room(const struct conn *c);
/* The path may have died: own address or routes changed. */
void path_doubt(struct links *l, struct peer *p);
void path_flush(struct links *l, struct peer *p, struct now now);
void path_tick(struct links *l, struct peer *p, struct now now);
uint64_t path_deadline_ms(const struct peer *p); /* its link is up */

/* Another way than the path that the peer speaks from, and that is proven, so
 * that he surely hears us there; or NULL. */
const struct endpoint *path_also(const struct conn *c);

#endif /* PROTO_LINK_PATH_H */
