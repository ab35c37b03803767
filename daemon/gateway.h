/* The default gateway, from the kernel's routing table as text. */
#ifndef DAEMON_GATEWAY_H
#define DAEMON_GATEWAY_H

#include "proto/base/endpoint.h"

#include <stdio.h>

enum { GATEWAY_LINES_MAX = 65536 }; /* of a table; the rest is not read */

struct gateway {
	struct endpoint at; /* without a port */
	unsigned scope;     /* index of its interface; 0: gone meanwhile */
};

/* Of the default routes through a gateway that with the lowest metric; false:
 * there is none. The form is that of /proc/net/route or ipv6_route. */
bool gateway_read(enum family f, FILE *table, struct gateway *ret);
/* From this process's network namespace. */
bool gateway_find(enum family f, struct gateway *ret);

#endif /* DAEMON_GATEWAY_H */
