/* A UDP address: IPv6, or IPv4 as ::ffff:a.b.c.d. Pure value, no socket. */
#ifndef PROTO_BASE_ENDPOINT_H
#define PROTO_BASE_ENDPOINT_H

#include "proto/base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

struct endpoint {
	uint8_t addr[16]; /* network order */
	uint16_t port;    /* host order */
};

enum family { FAMILY_V4 = 0, FAMILY_V6 = 1 };
#define FAMILY_COUNT 2

/* How far an address reaches; the first four are never global. */
enum endpoint_scope {
	SCOPE_UNUSABLE, /* 0/8, multicast, broadcast, 0100::/64; documentation
	                 * is global */
	SCOPE_LOOPBACK,
	SCOPE_LINK,    /* 169.254/16, fe80::/10 */
	SCOPE_PRIVATE, /* RFC 1918, 100.64/10, fc00::/7 */
	SCOPE_GLOBAL,
};

/* Largest datagram that a route carries: 28 + 1024. [SPEC §6.4] */
enum { ROUTE_UDP_MAX = 1052 };

struct endpoint endpoint_v4(const uint8_t addr[4], uint16_t port);
/* A way to a peer that is no address of the network but a carrier of ours,
 * which the owner keeps under this number: 0100::/64, port 1. Nobody has such
 * an address [RFC 6666], so none that a peer names is a route. */
struct endpoint endpoint_route(uint64_t id);
/* Of a route's number: it leads over no third party but through a socket of
 * its own, and is as good as an address. */
#define ROUTE_DIRECT (UINT64_C(1) << 63)
/* The whole prefix counts, whatever the port. id: NULL is fine. */
bool endpoint_is_route(const struct endpoint *e, uint64_t *id);
/* Of a route's number: who carries it has room for whole sessions. */
#define ROUTE_ROOMY (UINT64_C(1) << 62)
/* A route that others carry: poorer than any address. */
bool endpoint_is_relayed(const struct endpoint *e);
/* How good a way it is. */
enum endpoint_rank { RANK_POOR = 0, RANK_ROOMY, RANK_DIRECT };
enum endpoint_rank endpoint_rank(const struct endpoint *e);
enum family endpoint_family(const struct endpoint *e);
enum endpoint_scope endpoint_scope(const struct endpoint *e);
bool endpoint_eq(const struct endpoint *a, const struct endpoint *b);
bool endpoint_same_addr(const struct endpoint *a, const struct endpoint *b);
/* True if the first bits of the two addresses agree (v4: bits of the 32). */
bool endpoint_same_prefix(
    const struct endpoint *a, const struct endpoint *b, unsigned bits);
/* True if both are likely one party's: a /24 of IPv4, a /48 of IPv6. Who is not
 * global stands for himself, port and all. */
bool endpoint_same_network(const struct endpoint *a, const struct endpoint *b);
/* The address's own bytes: 4 or 16, borrowed from e. */
struct span endpoint_addr(const struct endpoint *e);

#endif /* PROTO_BASE_ENDPOINT_H */
