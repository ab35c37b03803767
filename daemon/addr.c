#include "daemon/addr.h"

#include "proto/base/text.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

void
addr_format(const struct endpoint *e, char ret[ADDR_TEXT_SIZE])
{
	char host[INET6_ADDRSTRLEN];
	struct span a = endpoint_addr(e);
	bool v4 = endpoint_family(e) == FAMILY_V4;
	const char *ok =
	    inet_ntop(v4 ? AF_INET : AF_INET6, a.p, host, sizeof(host));

	assert(ok != NULL);
	(void)snprintf(
	    ret, ADDR_TEXT_SIZE, v4 ? "%s:%u" : "[%s]:%u", ok, e->port);
}

/* Digits only, 0..65535, the whole string. */
static bool
port_parse(const char *s, uint16_t *ret)
{
	uint32_t v = 0;

	if (*s == '\0' || strlen(s) > 5)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (uint32_t)(*s - '0');
	}
	if (v > UINT16_MAX)
		return false;
	*ret = (uint16_t)v;
	return true;
}

/* Cuts "host:port" or "[host]:port" in two; a bare v6 address has no port. */
static bool
split(const char *text, char host[ADDR_HOST_MAX + 1], uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	size_t n;

	if (!colon || colon == text)
		return false;
	n = (size_t)(colon - text);
	if (text[0] == '[') {
		if (n < 3 || text[n - 1] != ']')
			return false;
		text++;
		n -= 2;
	} else if (memchr(text, ':', n)) {
		return false;
	}
	if (n > ADDR_HOST_MAX || !port_parse(colon + 1, port))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	return true;
}

enum err
addr_parse(const char *text, struct endpoint *ret)
{
	char host[ADDR_HOST_MAX + 1];
	struct endpoint e = { 0 };
	struct in_addr v4;
	uint16_t port;

	if (!split(text, host, &port))
		return ERR_MALFORMED;
	if (inet_pton(AF_INET, host, &v4) == 1) {
		uint8_t b[4];

		memcpy(b, &v4, sizeof(b));
		e = endpoint_v4(b, port);
	} else if (text[0] == '[' && inet_pton(AF_INET6, host, e.addr) == 1) {
		e.port = port;
	} else {
		return ERR_MALFORMED;
	}
	*ret = e;
	return ERR_OK;
}

enum err
addr_split(const char *text, char host[ADDR_HOST_MAX + 1], uint16_t *port)
{
	char h[ADDR_HOST_MAX + 1];
	uint16_t p;

	if (!split(text, h, &p) || p == 0)
		return ERR_MALFORMED;
	for (const char *s = h; *s; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f)
			return ERR_MALFORMED;
	memcpy(host, h, strlen(h) + 1);
	*port = p;
	return ERR_OK;
}

enum err
addr_bound(int fd, struct endpoint *ret)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t n = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &n))
		return ERR_IO;
	return addr_from_sockaddr((struct sockaddr *)&ss, n, ret);
}

enum err
addr_key(const char **text, struct node_key *ret)
{
	const char *at = strchr(*text, '@');
	struct node_key key = { { 0 } };
	struct writer w = wr_init(key.b, sizeof(key.b));

	if (!at) {
		*ret = key;
		return ERR_OK;
	}
	if (hex_decode(span_of(*text, (size_t)(at - *text)), &w) ||
	    w.n != sizeof(key.b))
		return ERR_MALFORMED;
	*ret = key;
	*text = at + 1;
	return ERR_OK;
}

socklen_t
addr_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *ret)
{
	struct span a = endpoint_addr(e);

	memset(ret, 0, sizeof(*ret));
	if (endpoint_family(e) == FAMILY_V4) {
		struct sockaddr_in in = { .sin_family = AF_INET };

		in.sin_port = htons(e->port);
		memcpy(&in.sin_addr, a.p, a.n);
		memcpy(ret, &in, sizeof(in));
		return sizeof(in);
	}
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	in6.sin6_port = htons(e->port);
	memcpy(&in6.sin6_addr, a.p, a.n);
	memcpy(ret, &in6, sizeof(in6));
	return sizeof(in6);
}

enum err
addr_from_sockaddr(const struct sockaddr *sa, socklen_t n, struct endpoint *ret)
{
	struct endpoint e = { 0 };

	if (sa->sa_family == AF_INET && n >= sizeof(struct sockaddr_in)) {
		struct sockaddr_in in;
		uint8_t b[4];

		memcpy(&in, sa, sizeof(in));
		memcpy(b, &in.sin_addr, sizeof(b));
		*ret = endpoint_v4(b, ntohs(in.sin_port));
		return ERR_OK;
	}
	if (sa->sa_family == AF_INET6 && n >= sizeof(struct sockaddr_in6)) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		memcpy(e.addr, &in6.sin6_addr, sizeof(e.addr));
		e.port = ntohs(in6.sin6_port);
		*ret = e;
		return ERR_OK;
	}
	return ERR_UNSUPPORTED;
}
