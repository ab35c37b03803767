#include "daemon/lan.h"

#include "daemon/addr.h"
#include "daemon/log.h"

#include <arpa/inet.h>
#include <assert.h>
#include <event2/event.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	INTERFACES_MAX = 16, /* of a family; the rest is left out */
	DATAGRAM_MAX = 1500, /* longer ones are cut, and thereby refused */
	RECEIVE_MAX = 64,    /* datagrams taken in one go */
	IF_INET6_LINES_MAX = 1024,
};

/* Both of a small scope [RFC 2365 §6.1] [RFC 4291 §2.7]; the hop limit keeps
 * them on the link. A group of the link's own scope could be bound on one
 * interface only. */
static const char *const group_text[FAMILY_COUNT] = {
	[FAMILY_V4] = "239.255.66.84:26484",
	[FAMILY_V6] = "[ff14::6274:6368]:26484",
};

struct interface {
	int index;
	struct endpoint addr; /* of ours there */
};

struct lan {
	struct daemon *d; /* borrowed */
	struct {
		int fd; /* hears the group; -1: none */
		struct event *read;
		struct endpoint group;
	} side[FAMILY_COUNT];
};

/* ---- interfaces, without netlink, which a sandbox may refuse ---- */

static bool
has_multicast(int fd, const char *name)
{
	struct ifreq r = { 0 };

	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	return ioctl(fd, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_UP) &&
	       (r.ifr_flags & IFF_MULTICAST) &&
	       !(r.ifr_flags & (IFF_LOOPBACK | IFF_POINTOPOINT));
}

static size_t
interfaces_v4(int fd, struct interface ret[INTERFACES_MAX])
{
	struct ifreq list[INTERFACES_MAX];
	struct ifconf conf = { .ifc_len = sizeof(list) };
	size_t n = 0;

	memset(list, 0, sizeof(list));
	conf.ifc_req = list;
	if (ioctl(fd, SIOCGIFCONF, &conf))
		return 0;
	for (size_t i = 0; i < (size_t)conf.ifc_len / sizeof(list[0]); i++) {
		if (!has_multicast(fd, list[i].ifr_name) ||
		    addr_from_sockaddr(&list[i].ifr_addr,
		        sizeof(struct sockaddr_in), &ret[n].addr))
			continue;
		ret[n].index = (int)if_nametoindex(list[i].ifr_name);
		n++;
	}
	return n;
}

/* A line of /proc/net/if_inet6: address, index, length, scope, flags, name.
 * Addresses of the link name no interface to a contact: left out. */
static bool
interface_v6(int fd, const char *line, struct interface *ret)
{
	char text[INET6_ADDRSTRLEN] = "";
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	const char *name = strrchr(line, ' ');
	size_t n = 0;

	if (strlen(line) < 40 || !name || !has_multicast(fd, name + 1))
		return false;
	for (size_t i = 0; i < 32; i++) {
		if (i > 0 && i % 4 == 0)
			text[n++] = ':';
		text[n++] = line[i];
	}
	if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1 ||
	    addr_from_sockaddr(
	        (struct sockaddr *)&in6, sizeof(in6), &ret->addr))
		return false;
	ret->index = (int)if_nametoindex(name + 1);
	return endpoint_scope(&ret->addr) >= SCOPE_PRIVATE;
}

static size_t
interfaces_v6(int fd, struct interface ret[INTERFACES_MAX])
{
	FILE *in = fopen("/proc/self/net/if_inet6", "re");
	char line[256];
	size_t n = 0;

	if (!in)
		return 0;
	for (int i = 0; i < IF_INET6_LINES_MAX && n < INTERFACES_MAX; i++) {
		if (!fgets(line, sizeof(line), in))
			break;
		line[strcspn(line, "\n")] = '\0';
		if (interface_v6(fd, line, &ret[n]))
			n++;
	}
	(void)fclose(in);
	return n;
}

static size_t
interfaces(int fd, enum family f, struct interface ret[INTERFACES_MAX])
{
	return f == FAMILY_V4 ? interfaces_v4(fd, ret) : interfaces_v6(fd, ret);
}

/* ---- hearing ---- */

static void
on_beacon(evutil_socket_t fd, short what, void *ctx)
{
	struct lan *l = ctx;
	struct sockaddr_storage ss;
	uint8_t buf[DATAGRAM_MAX];
	struct endpoint from;

	(void)what;
	daemon_wake(l->d);
	for (int i = 0; i < RECEIVE_MAX; i++) {
		socklen_t len = sizeof(ss);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), MSG_DONTWAIT,
		    (struct sockaddr *)&ss, &len);

		if (n < 0)
			break;
		if (l->d->node &&
		    !addr_from_sockaddr((struct sockaddr *)&ss, len, &from))
			node_lan_receive(l->d->node, &from,
			    span_of(buf, (size_t)n), l->d->now);
	}
}

/* Again what is joined already is no harm. */
static void
join(const struct lan *l, enum family f)
{
	struct interface list[INTERFACES_MAX];
	int fd = l->side[f].fd;
	size_t n = interfaces(fd, f, list);
	struct span group = endpoint_addr(&l->side[f].group);

	for (size_t i = 0; i < n; i++) {
		struct ip_mreqn v4 = { .imr_ifindex = list[i].index };
		struct ipv6_mreq v6 = { .ipv6mr_interface =
			                    (unsigned)list[i].index };

		if (f == FAMILY_V4) {
			memcpy(&v4.imr_multiaddr, group.p, group.n);
			(void)setsockopt(
			    fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &v4, sizeof(v4));
		} else {
			memcpy(&v6.ipv6mr_multiaddr, group.p, group.n);
			(void)setsockopt(
			    fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &v6, sizeof(v6));
		}
	}
}

/* Bound to the group itself: what is sent to us alone does not come here.
 * Other daemons of this machine listen beside us. */
static int
hear(const struct endpoint *group)
{
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sockaddr(group, &ss);
	const int yes = 1;
	int fd =
	    socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
	    bind(fd, (struct sockaddr *)&ss, n)) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

void
lan_look(struct daemon *d)
{
	for (unsigned f = 0; d->lan && f < FAMILY_COUNT; f++)
		if (d->lan->side[f].fd >= 0)
			join(d->lan, (enum family)f);
}

/* ---- telling ---- */

/* Sends out of that interface, with that interface's address as source. */
static void
send_from(int fd, struct msghdr m, const struct interface *i)
{
	union {
		struct cmsghdr align;
		uint8_t b[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} room = { .b = { 0 } };
	bool v4 = endpoint_family(&i->addr) == FAMILY_V4;
	struct in_pktinfo info4 = { .ipi_ifindex = i->index };
	struct in6_pktinfo info6 = { .ipi6_ifindex = (unsigned)i->index };
	size_t n = v4 ? sizeof(info4) : sizeof(info6);
	struct span addr = endpoint_addr(&i->addr);
	struct cmsghdr *c;

	memcpy(v4 ? (void *)&info4.ipi_spec_dst : (void *)&info6.ipi6_addr,
	    addr.p, addr.n);
	m.msg_control = room.b;
	m.msg_controllen = CMSG_SPACE(n);
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
	c->cmsg_type = v4 ? IP_PKTINFO : IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(n);
	memcpy(CMSG_DATA(c), v4 ? (void *)&info4 : (void *)&info6, n);
	(void)sendmsg(fd, &m, MSG_DONTWAIT);
}

/* Else the answers would go to an address that is not ours to hear. */
static bool
listens_on(const struct daemon *d, const struct interface *i)
{
	struct endpoint bound;

	return udp_bound(d->udp, endpoint_family(&i->addr), &bound) &&
	       (endpoint_scope(&bound) == SCOPE_UNUSABLE ||
	           endpoint_same_addr(&bound, &i->addr));
}

void
lan_send(struct daemon *d, struct span data)
{
	struct interface list[INTERFACES_MAX];
	struct sockaddr_storage to;
	uint8_t copy[DATAGRAM_MAX];
	struct iovec iov = { copy, data.n };

	assert(data.n > 0 && data.n <= sizeof(copy));
	memcpy(copy, data.p, data.n);
	for (unsigned f = 0; d->lan && f < FAMILY_COUNT; f++) {
		int fd = udp_fd(d->udp, (enum family)f);
		struct msghdr m = {
			.msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1
		};
		size_t n = fd < 0 ? 0 : interfaces(fd, (enum family)f, list);

		m.msg_namelen = addr_to_sockaddr(&d->lan->side[f].group, &to);
		for (size_t i = 0; i < n; i++)
			if (listens_on(d, &list[i]))
				send_from(fd, m, &list[i]);
	}
}

/* ---- life ---- */

static enum err
open_side(struct lan *l, enum family f)
{
	const int hops = 1;
	int main_fd = udp_fd(l->d->udp, f);

	if (addr_parse(group_text[f], &l->side[f].group))
		return ERR_MALFORMED;
	if (main_fd < 0)
		return ERR_OK;
	if (f == FAMILY_V4)
		(void)setsockopt(
		    main_fd, IPPROTO_IP, IP_MULTICAST_TTL, &hops, sizeof(hops));
	else
		(void)setsockopt(main_fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS,
		    &hops, sizeof(hops));
	l->side[f].fd = hear(&l->side[f].group);
	if (l->side[f].fd < 0) {
		log_event(LOG_INFO, "lan-deaf",
		    "the group of the local network cannot be heard");
		return ERR_OK;
	}
	l->side[f].read = event_new(
	    l->d->base, l->side[f].fd, EV_READ | EV_PERSIST, on_beacon, l);
	if (!l->side[f].read || event_add(l->side[f].read, NULL))
		return ERR_NOMEM;
	join(l, f);
	return ERR_OK;
}

enum err
lan_new(struct daemon *d)
{
	struct lan *l;

	if (!d->config.lan_discovery || udp_is_loopback(d->udp))
		return ERR_OK;
	l = calloc(1, sizeof(*l));
	if (!l)
		return ERR_NOMEM;
	l->d = d;
	d->lan = l;
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		l->side[f].fd = -1;
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		if (open_side(l, (enum family)f))
			return ERR_NOMEM;
	return ERR_OK;
}

void
lan_free(struct daemon *d)
{
	struct lan *l = d->lan;

	for (unsigned f = 0; l && f < FAMILY_COUNT; f++) {
		if (l->side[f].read)
			event_free(l->side[f].read);
		if (l->side[f].fd >= 0)
			(void)close(l->side[f].fd);
	}
	free(l);
	d->lan = NULL;
}
