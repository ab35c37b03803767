/* Endpoints as text and as socket addresses. */
#ifndef DAEMON_ADDR_H
#define DAEMON_ADDR_H

#include "proto/base/endpoint.h"
#include "proto/base/err.h"
#include "proto/node.h"

#include <sys/socket.h>

enum {
	ADDR_TEXT_SIZE = 56, /* "[v6]:65535" and NUL */
	ADDR_HOST_MAX = 253, /* bytes of a host name [RFC 1035 §2.3.4] */
};

/* "192.0.2.1:6881", "[2001:db8::1]:6881". */
void addr_format(const struct endpoint *e, char ret[ADDR_TEXT_SIZE]);
/* The same, numeric only; port 0 is taken. ERR_MALFORMED. */
MUST_USE enum err addr_parse(const char *text, struct endpoint *ret);
/* Splits "host:port", "[v6]:port"; the port is 1..65535. ERR_MALFORMED. */
MUST_USE enum err
addr_split(const char *text, char host[ADDR_HOST_MAX + 1], uint16_t *port);

socklen_t
addr_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *ret);
/* ERR_UNSUPPORTED: not an internet address. */
MUST_USE enum err addr_from_sockaddr(
    const struct sockaddr *sa, socklen_t n, struct endpoint *ret);

/* Where a socket is bound. ERR_IO, ERR_UNSUPPORTED: as above. */
MUST_USE enum err addr_bound(int fd, struct endpoint *ret);

/* "64 hex digits@": takes them from the front of *text; without, *ret is zero.
 * ERR_MALFORMED: an @ behind something else. */
MUST_USE enum err addr_key(const char **text, struct node_key *ret);

#endif /* DAEMON_ADDR_H */
