/* The addresses that others on the same networks reach us at. */
#include "daemon/addr.h"
#include "daemon/udp.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool
is_wildcard(const struct endpoint *e)
{
	static const uint8_t zero[16];
	struct span a = endpoint_addr(e);

	return memcmp(a.p, zero, a.n) == 0;
}

/* A sandbox without netlink cannot list interfaces; but a connected socket
 * knows from which address it would send. Not a byte leaves. */
static size_t
add_outgoing(const struct endpoint *bound, struct endpoint *ret)
{
	/* Documentation addresses: only the default route leads there. */
	static const uint8_t v4[4] = { 192, 0, 2, 1 };
	static const struct endpoint v6 = {
		.addr = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 }, .port = 9
	};
	struct endpoint to =
	    endpoint_family(bound) == FAMILY_V4 ? endpoint_v4(v4, 9) : v6;
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sockaddr(&to, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool found;

	if (fd < 0)
		return 0;
	found = connect(fd, (struct sockaddr *)&ss, n) == 0 &&
	        addr_bound(fd, ret) == ERR_OK &&
	        endpoint_scope(ret) >= SCOPE_PRIVATE;
	(void)close(fd);
	ret->port = bound->port;
	return found ? 1 : 0;
}

/* Adds the interfaces' addresses of a family; those of the link are of no
 * use to others. */
static size_t
add_interfaces(const struct endpoint *bound, struct endpoint *ret, size_t max)
{
	struct ifaddrs *list = NULL;
	size_t n = 0;

	if (getifaddrs(&list))
		return add_outgoing(bound, ret);
	for (const struct ifaddrs *i = list; i && n < max; i = i->ifa_next) {
		struct endpoint e;

		if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) ||
		    addr_from_sockaddr(
		        i->ifa_addr, sizeof(struct sockaddr_in6), &e) ||
		    endpoint_family(&e) != endpoint_family(bound))
			continue;
		if (endpoint_scope(&e) < SCOPE_PRIVATE)
			continue;
		e.port = bound->port;
		ret[n++] = e;
	}
	freeifaddrs(list);
	return n;
}

size_t
udp_local(const struct udp *u, struct endpoint *ret, size_t max)
{
	struct endpoint at;
	size_t n = 0;

	for (unsigned f = 0; f < FAMILY_COUNT && n < max; f++) {
		if (!udp_bound(u, (enum family)f, &at))
			continue;
		if (is_wildcard(&at))
			n += add_interfaces(&at, ret + n, max - n);
		else
			ret[n++] = at;
	}
	return n;
}
