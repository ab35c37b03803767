/* The parameters of nodes, by name. tests/net/NETLAB.md explains them. */
#include "tests/net/wan/wan.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const double ns_of_ms = 1e6;

enum value {
	VALUE_TIME,  /* uint64_t, ns; "20ms" */
	VALUE_SHARE, /* double; "1%" or "0.01" */
	VALUE_REAL,  /* double */
	VALUE_COUNT, /* uint64_t; "10mbit" is ten million */
	VALUE_SIZE,  /* size_t */
	VALUE_UNSIGNED,
	VALUE_BOOL,
};

struct setting {
	const char *name;
	enum value value;
	size_t at;
};

#define LINK(name, kind, field) \
	{ \
		name, kind, offsetof(struct link_rules, field) \
	}
#define NAT(name, kind, field) \
	{ \
		name, kind, offsetof(struct nat, field) \
	}

static const struct setting of_link[] = {
	LINK("delay", VALUE_TIME, delay),
	LINK("jitter", VALUE_TIME, jitter),
	LINK("jreorder", VALUE_BOOL, is_free),
	LINK("loss", VALUE_SHARE, loss),
	LINK("burst", VALUE_REAL, burst),
	LINK("dup", VALUE_SHARE, dup),
	LINK("reorder", VALUE_SHARE, reorder),
	LINK("reorder_by", VALUE_TIME, reorder_by),
	LINK("rate", VALUE_COUNT, rate),
	LINK("queue", VALUE_TIME, queue),
	LINK("queue_bytes", VALUE_COUNT, queue_bytes),
	LINK("mtu", VALUE_SIZE, mtu),
	LINK("mtu_blackhole", VALUE_BOOL, is_black),
	LINK("hops", VALUE_UNSIGNED, hops),
	{ NULL, VALUE_BOOL, 0 },
};

static const struct setting of_nat[] = {
	NAT("step", VALUE_UNSIGNED, step),
	NAT("hairpin", VALUE_BOOL, hairpin),
	NAT("t_new", VALUE_TIME, t_new),
	NAT("t_est", VALUE_TIME, t_answered),
	NAT("refresh_in", VALUE_BOOL, refresh_in),
	NAT("reject", VALUE_BOOL, reject),
	NAT("quota", VALUE_UNSIGNED, quota),
	NAT("arbitrary", VALUE_BOOL, is_arbitrary),
	{ NULL, VALUE_BOOL, 0 },
};

bool
parse_number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *text != '-' &&
	       *ret <= max;
}

bool
parse_address(const char *text, struct endpoint *ret)
{
	uint8_t v4[4];

	*ret = (struct endpoint){ 0 };
	if (inet_pton(AF_INET, text, v4) == 1) {
		*ret = endpoint_v4(v4, 0);
		return true;
	}
	return inet_pton(AF_INET6, text, ret->addr) == 1;
}

/* A number and a unit: the factor of the first unit that text begins with. */
static bool
parse_real(const char *text, double *ret)
{
	static const struct {
		const char *name;
		double factor;
	} units[] = { { "ms", 1 }, { "us", 1e-3 }, { "s", 1e3 }, { "%", 0.01 },
		{ "kbit", 1e3 }, { "mbit", 1e6 }, { "gbit", 1e9 }, { "k", 1e3 },
		{ "m", 1e6 }, { "", 1 } };
	char *end;

	errno = 0;
	*ret = strtod(text, &end);
	if (errno != 0 || end == text || !(*ret >= 0 && *ret < 1e15))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(end, units[i].name) == 0) {
			*ret *= units[i].factor;
			return true;
		}
	return false;
}

static bool
parse_bool(const char *text, bool *ret)
{
	*ret = strcmp(text, "yes") == 0;
	return *ret || strcmp(text, "no") == 0;
}

static bool
set_value(void *at, enum value kind, const char *text)
{
	double real = 0;
	bool is_set = false;

	if (kind == VALUE_BOOL) {
		if (!parse_bool(text, &is_set))
			return false;
		*(bool *)at = is_set;
		return true;
	}
	if (!parse_real(text, &real))
		return false;
	switch (kind) {
	case VALUE_TIME:
		*(uint64_t *)at = (uint64_t)(real * ns_of_ms);
		break;
	case VALUE_SHARE:
	case VALUE_REAL:
		*(double *)at = real;
		break;
	case VALUE_COUNT:
		*(uint64_t *)at = (uint64_t)real;
		break;
	case VALUE_SIZE:
		*(size_t *)at = (size_t)real;
		break;
	case VALUE_UNSIGNED:
		*(unsigned *)at = (unsigned)real;
		break;
	case VALUE_BOOL:
		break;
	}
	return true;
}

/* One of a table; false: it is not there, or the value is none. */
static bool
set_of(const struct setting *table, void *at, const char *key, const char *text)
{
	while (table->name && strcmp(table->name, key) != 0)
		table++;
	return table->name &&
	       set_value((char *)at + table->at, table->value, text);
}

/* The place of a word in a list of three. */
static bool
choose(const char *const words[3], const char *text, unsigned *ret)
{
	for (*ret = 0; *ret < 3; ++*ret)
		if (strcmp(words[*ret], text) == 0)
			return true;
	return false;
}

static bool
set_ports(struct nat *n, const char *text)
{
	char *end;
	unsigned long low = strtoul(text, &end, 10);
	unsigned long high = *end == '-' ? strtoul(end + 1, &end, 10) : 0;

	if (*end != '\0' || low < 1 || high > 65535 || low > high)
		return false;
	n->port_min = (unsigned)low;
	n->port_max = (unsigned)high;
	return true;
}

static bool
set_nat(struct nat *n, const char *key, const char *text)
{
	static const char *const mappings[3] = { "eim", "adm", "apdm" };
	static const char *const filters[3] = { "eif", "adf", "apdf" };
	static const char *const ports[3] = { "preserve", "seq", "random" };
	unsigned which = 0;

	if (strcmp(key, "ports") == 0)
		return set_ports(n, text);
	if (strcmp(key, "map") == 0) {
		nat_flush(n); /* the tables' keys depend on it */
		if (!choose(mappings, text, &which))
			return false;
		n->mapping = (enum nat_rule)which;
		return true;
	}
	if (strcmp(key, "filter") == 0) {
		if (!choose(filters, text, &which))
			return false;
		n->filter = (enum nat_rule)which;
		return true;
	}
	if (strcmp(key, "alloc") == 0) {
		if (!choose(ports, text, &which))
			return false;
		n->ports = (enum nat_ports)which;
		return true;
	}
	return set_of(of_nat, n, key, text);
}

static bool
set_kind(struct nat *n, const char *kind)
{
	nat_flush(n);
	return nat_set_kind(n, kind);
}

/* A kind of NAT for IPv6 means its filter: nothing is translated. */
static bool
set_firewall(struct nat *n, const char *kind)
{
	if (!set_kind(n, kind))
		return false;
	n->is_firewall = n->is_on && !n->is_blocked;
	return true;
}

static bool
set_addresses(struct node *n, char *text)
{
	char *save = NULL;

	n->nat.n_addresses = 0;
	for (char *s = strtok_r(text, ",", &save); s;
	     s = strtok_r(NULL, ",", &save)) {
		struct endpoint *e = &n->nat.address[n->nat.n_addresses];

		if (n->nat.n_addresses == NAT_ADDRESSES || !parse_address(s, e))
			return false;
		n->nat.n_addresses++;
	}
	return n->nat.n_addresses > 0;
}

static bool
set_routes(struct node *n, char *text)
{
	char *save = NULL;

	for (char *s = strtok_r(text, ",", &save); s;
	     s = strtok_r(NULL, ",", &save))
		if (!wan_route(n, s))
			return false;
	return true;
}

static bool
set_portmap(struct node *n, const char *text)
{
	n->portmap = (strstr(text, "natpmp") ? PORTMAP_NATPMP : 0U) |
	             (strstr(text, "pcp") ? PORTMAP_PCP : 0U);
	return n->portmap > 0 || strcmp(text, "no") == 0;
}

static bool
set_node(struct node *n, const char *key, char *text)
{
	uint64_t number = 0;

	if (strcmp(key, "nat") == 0)
		return set_kind(&n->nat, text);
	if (strcmp(key, "fw6") == 0)
		return set_firewall(&n->firewall, text);
	if (strcmp(key, "ext") == 0)
		return set_addresses(n, text);
	if (strcmp(key, "route") == 0)
		return set_routes(n, text);
	if (strcmp(key, "portmap") == 0)
		return set_portmap(n, text);
	if (strcmp(key, "intranet") == 0)
		return parse_bool(text, &n->is_intranet);
	if (strcmp(key, "strangers") == 0)
		return parse_bool(text, &n->is_stranger);
	if (strcmp(key, "group") == 0 && parse_number(text, 1000, &number)) {
		n->group = (unsigned)number;
		return true;
	}
	return set_of(of_link, &n->up.rules, key, text) &&
	       set_of(of_link, &n->down.rules, key, text);
}

const char *
settings_set(struct node *n, char *word)
{
	char *text = strchr(word, '=');
	bool is_set;

	if (!text)
		return "not key=value";
	*text++ = '\0';
	if (strncmp(word, "up.", 3) == 0)
		is_set = set_of(of_link, &n->up.rules, word + 3, text);
	else if (strncmp(word, "down.", 5) == 0)
		is_set = set_of(of_link, &n->down.rules, word + 5, text);
	else if (strncmp(word, "nat.", 4) == 0)
		is_set = set_nat(&n->nat, word + 4, text);
	else if (strncmp(word, "fw6.", 4) == 0)
		is_set = set_nat(&n->firewall, word + 4, text);
	else
		is_set = set_node(n, word, text);
	return is_set ? NULL : "no such parameter, or no such value";
}
