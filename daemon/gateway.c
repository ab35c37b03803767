#include "daemon/gateway.h"

#include <assert.h>
#include <net/if.h>
#include <string.h>

enum {
	LINE_SIZE = 256,
	FIELDS_MAX = 12,
	FLAG_UP = 1, /* RTF_UP, RTF_GATEWAY, RTF_REJECT of <net/route.h> */
	FLAG_GATEWAY = 2,
	FLAG_REJECT = 0x200,
};

/* One route, as far as it counts. */
struct route {
	bool is_default;
	struct endpoint gateway;
	uint32_t metric, flags;
	const char *interface;
};

/* Hexadecimal digits, exactly 2 n of them. */
static bool
hex_bytes(const char *s, uint8_t *ret, size_t n)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";

	if (strlen(s) != 2 * n)
		return false;
	for (size_t i = 0; i < 2 * n; i++) {
		const char *at = strchr(digits, s[i]);
		unsigned digit;

		if (!at)
			return false;
		digit = (unsigned)(at - digits) % 16;
		ret[i / 2] = (uint8_t)((unsigned)ret[i / 2] << 4 | digit);
	}
	return true;
}

static bool
hex_u32(const char *s, uint32_t *ret)
{
	uint8_t b[4] = { 0 };
	struct reader r = rd_init(span_of(b, sizeof(b)));

	if (!hex_bytes(s, b, sizeof(b)))
		return false;
	*ret = rd_u32be(&r);
	return true;
}

/* Of any number of digits, as the kernel writes flags and metrics. */
static bool
number(const char *s, unsigned base, uint32_t *ret)
{
	uint64_t v = 0;

	if (*s == '\0' || strlen(s) > 10)
		return false;
	for (; *s; s++) {
		unsigned digit = (unsigned)(*s - '0');

		if (digit > 9 && *s >= 'A' && *s <= 'F')
			digit = (unsigned)(*s - 'A') + 10;
		if (digit >= base)
			return false;
		v = v * base + digit;
	}
	if (v > UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* An address of /proc/net/route: a number in the order of this machine. */
static bool
host_order(const char *s, uint8_t ret[4])
{
	uint32_t v;

	if (!hex_u32(s, &v))
		return false;
	memcpy(ret, &v, sizeof(v));
	return true;
}

static size_t
split(char *line, char *field[FIELDS_MAX])
{
	char *rest = line;
	char *word;
	size_t n = 0;

	while (n < FIELDS_MAX && (word = strsep(&rest, " \t\n")) != NULL)
		if (*word)
			field[n++] = word;
	return n;
}

/* Iface Destination Gateway Flags RefCnt Use Metric Mask ... [proc(5)] */
static bool
read_v4(char *const field[FIELDS_MAX], size_t n, struct route *ret)
{
	uint8_t to[4] = { 0 };
	uint8_t mask[4] = { 0 };
	uint8_t via[4] = { 0 };
	static const uint8_t zero[4];

	if (n < 8 || !host_order(field[1], to) || !host_order(field[2], via) ||
	    !number(field[3], 16, &ret->flags) ||
	    !number(field[6], 10, &ret->metric) || !host_order(field[7], mask))
		return false;
	ret->interface = field[0];
	ret->is_default =
	    memcmp(to, zero, 4) == 0 && memcmp(mask, zero, 4) == 0;
	ret->gateway = endpoint_v4(via, 0);
	return true;
}

/* Destination, its length, source, its length, next hop, metric, two
 * counters, flags, interface. */
static bool
read_v6(char *const field[FIELDS_MAX], size_t n, struct route *ret)
{
	uint8_t to[16] = { 0 };
	uint8_t bits = 0;
	static const uint8_t zero[16];

	if (n < 10 || !hex_bytes(field[0], to, 16) ||
	    !hex_bytes(field[1], &bits, 1) ||
	    !hex_bytes(field[4], ret->gateway.addr, 16) ||
	    !hex_u32(field[5], &ret->metric) || !hex_u32(field[8], &ret->flags))
		return false;
	ret->interface = field[9];
	ret->is_default = memcmp(to, zero, 16) == 0 && bits == 0;
	return true;
}

bool
gateway_read(enum family f, FILE *table, struct gateway *ret)
{
	char line[LINE_SIZE];
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < GATEWAY_LINES_MAX; i++) {
		char *field[FIELDS_MAX];
		struct route r = { 0 };
		size_t n;

		if (!fgets(line, sizeof(line), table))
			break;
		n = split(line, field);
		if (!(f == FAMILY_V4 ? read_v4(field, n, &r)
		                     : read_v6(field, n, &r)) ||
		    !r.is_default || !(r.flags & FLAG_UP) ||
		    !(r.flags & FLAG_GATEWAY) || (r.flags & FLAG_REJECT) ||
		    r.metric >= best || endpoint_family(&r.gateway) != f)
			continue;
		best = r.metric;
		ret->at = r.gateway;
		ret->scope = if_nametoindex(r.interface);
	}
	return best != UINT64_MAX;
}

/* Not /proc/net: a sandbox may show processes only. */
bool
gateway_find(enum family f, struct gateway *ret)
{
	static const char *const path[FAMILY_COUNT] = {
		[FAMILY_V4] = "/proc/self/net/route",
		[FAMILY_V6] = "/proc/self/net/ipv6_route",
	};
	FILE *table = fopen(path[f], "re");
	bool found;

	if (!table)
		return false;
	found = gateway_read(f, table, ret);
	(void)fclose(table);
	return found;
}
