/* Packets as a router reads and changes them: IPv4, IPv6, UDP, TCP, ICMP. */
#ifndef TESTS_NET_WAN_PACKET_H
#define TESTS_NET_WAN_PACKET_H

#include "proto/base/endpoint.h"
#include "proto/base/heap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PACKET_MAX = 2048, /* bytes; what a TUN device gives has 1500 */
	IP_ICMP = 1,
	IP_TCP = 6,
	IP_UDP = 17,
	IP_ICMP6 = 58,
};

struct host;
struct node;

/* Which way a packet passes the link of a node. */
enum way {
	WAY_UP,     /* to the parent */
	WAY_DOWN,   /* from there; the node's NAT has not seen it yet */
	WAY_INSIDE, /* from the node to those behind it */
};

struct packet {
	struct heap_node due; /* when it arrives; its owner is this */
	struct node *node;    /* whose link it is on, borrowed */
	enum way way;
	struct host *sender; /* borrowed; NULL: the net itself */
	size_t n;
	uint8_t b[PACKET_MAX];
	struct packet *next; /* among those that wait for use */
};

enum part { PART_WHOLE, PART_FIRST, PART_LATER }; /* fragments */
enum end { END_SRC, END_DST };

/* What the heads of a packet say. Ports are 0 where there are none; an ICMP
 * echo has its identifier as both. */
struct view {
	uint8_t *b; /* borrowed */
	size_t n, l4;
	enum family family;
	enum part part;
	uint8_t protocol;
	uint32_t id; /* of its fragments */
	bool is_echo, is_error, is_indivisible;
	struct endpoint src, dst;
};

uint16_t get16(const uint8_t *p);
uint32_t get32(const uint8_t *p);
void put16(uint8_t *p, size_t v);
void put32(uint8_t *p, uint32_t v);

/* False: not a packet. is_inner: the beginning of one, in an ICMP error. */
bool view_read(uint8_t *b, size_t n, bool is_inner, struct view *ret);
/* Writes over an address and port of an IPv4 packet; sums are mended. */
void view_rewrite(struct view *v, enum end end, const struct endpoint *to);
/* The packet that an ICMP error is about; false: it cannot be read. */
bool view_inner(const struct view *v, struct view *ret);
void view_mend_icmp(struct view *v); /* IPv4: after a change within */
/* Takes hops off the time to live; false: it is used up. */
bool view_take_hops(struct view *v, unsigned hops);
/* Multicast, broadcast or of one link: does not leave a network. */
bool view_is_local(const struct view *v);
/* KRPC, or of a length that only datagrams of the overlay have. */
bool view_is_dht(const struct view *v);
/* Cuts off the next fragment of an IPv4 packet: *at is 0 first. False: there
 * are no more. ret has room for PACKET_MAX bytes. */
bool view_fragment(
    const struct view *v, size_t mtu, size_t *at, uint8_t *ret, size_t *ret_n);

enum icmp_why { ICMP_TOO_BIG, ICMP_TTL, ICMP_NO_PORT, ICMP_PROHIBITED };
/* The error about a packet, to its sender, at most PACKET_MAX bytes; how many,
 * or 0 where none may be sent. */
size_t icmp_write(
    enum icmp_why why, size_t mtu, const struct view *about, uint8_t *ret);

#endif /* TESTS_NET_WAN_PACKET_H */
