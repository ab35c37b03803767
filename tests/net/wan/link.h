/* What one direction of a link does to packets: loses, delays, doubles. */
#ifndef TESTS_NET_WAN_LINK_H
#define TESTS_NET_WAN_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a packet did not arrive. */
enum drop {
	DROP_NONE,
	DROP_LOSS,       /* by chance */
	DROP_QUEUE,      /* the queue is full */
	DROP_CUT,        /* the link is cut */
	DROP_GROUP,      /* the net is partitioned */
	DROP_STRANGERS,  /* of the DHT, between two who are not to know it */
	DROP_MTU,        /* too long */
	DROP_TTL,        /* too many hops */
	DROP_FILTER,     /* a NAT or firewall knows no such remote */
	DROP_NO_MAPPING, /* a NAT knows no such port */
	DROP_NO_PORT,    /* a NAT has no port left */
	DROP_BLOCKED,    /* no UDP here */
	DROP_NO_ROUTE,
	DROP_NO_HAIRPIN, /* from inside to our own outside */
	DROP_BAD,        /* not a packet */
	DROP_TUN,        /* the kernel did not take it */
	DROP_KINDS
};
const char *drop_name(enum drop why);

/* Times in nanoseconds; 0 and false mean: not so. */
struct link_rules {
	uint64_t delay, jitter;
	uint64_t reorder_by;       /* how much later those come */
	uint64_t queue;            /* longest wait for the rate */
	uint64_t queue_bytes;      /* or this, if it is not 0 */
	uint64_t rate;             /* bits a second */
	double loss, dup, reorder; /* 0 to 1 */
	double burst;              /* mean length of losses, in packets */
	bool is_free;              /* jitter may change the order */
	bool is_black;             /* what is too long is lost in silence */
	size_t mtu;
	unsigned hops;
};

struct link {
	struct link_rules rules;
	uint64_t random;     /* the state of its dice */
	uint64_t busy, last; /* when the line is free; of the last packet */
	bool is_bad;         /* within a burst of losses */
	uint64_t packets, bytes, doubled, reordered;
	uint64_t drops[DROP_KINDS];
};

/* The dice of one packet. Always all of them are thrown, so that the fate of
 * the n-th packet of a link depends on the seed alone. */
struct link_dice {
	double loss, dup, reorder, jitter;
};

void link_init(struct link *l);
struct link_dice link_throw(struct link *l);
bool link_loses(struct link *l, const struct link_dice *d);
/* When a packet of n bytes arrives; false: the queue has no room. */
bool link_time(struct link *l, size_t n, const struct link_dice *d,
    uint64_t now, uint64_t *ret);
bool link_doubles(struct link *l, const struct link_dice *d);
void link_reset(struct link *l); /* counters to 0 */

uint64_t dice_u64(uint64_t *state);
double dice_unit(uint64_t *state); /* 0 <= x < 1 */

#endif /* TESTS_NET_WAN_LINK_H */
