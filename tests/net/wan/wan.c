/* The tree of nodes, and packets through it. */
#include "tests/net/wan/wan.h"

#include "tests/net/wan/die.h"

#include <assert.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	ROUTE_KEY = 17, /* a prefix and its length */
	HOST_KEY = 20,  /* a node and an address */
	FLOW_KEY = 8,   /* two hosts */
	READ_BATCH = 32,
};

uint64_t
wan_clock(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* The tables' hash needs no secret here, and a run is to be repeatable. */
static void
fill_zeros(void *ctx, void *buf, size_t n)
{
	(void)ctx;
	memset(buf, 0, n);
}

void
wan_init(struct wan *w)
{
	*w = (struct wan){ .rng = { fill_zeros, NULL }, .seed = 1 };
	w->begin = w->now = wan_clock();
	map_init(&w->by_name, WAN_NAME_SIZE - 32, &w->rng);
	map_init(&w->by_address, HOST_KEY, &w->rng);
	map_init(&w->by_hosts, FLOW_KEY, &w->rng);
	(void)wan_add(w, "core", NULL);
}

/* ---- nodes ---- */

struct node *
wan_find(const struct wan *w, const char *name)
{
	char key[WAN_NAME_SIZE - 32] = { 0 };

	if (strlen(name) >= sizeof(key))
		return NULL;
	memcpy(key, name, strlen(name));
	return map_get(&w->by_name, key);
}

/* Dice of their own for each node and each use of them. */
static void
seed_node(const struct wan *w, struct node *n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (const char *s = n->name; *s; s++)
		h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
	h ^= w->seed * UINT64_C(0x9e3779b97f4a7c15);
	n->up.random = h ^ 0x1111;
	n->down.random = h ^ 0x2222;
	n->nat.random = h ^ 0x3333;
	n->firewall.random = h ^ 0x4444;
	n->nat.next_port = 20000 + (unsigned)(dice_u64(&n->nat.random) % 20000);
}

void
wan_seed(struct wan *w, uint64_t seed)
{
	w->seed = seed;
	for (unsigned i = 0; i < w->n_nodes; i++)
		seed_node(w, w->node[i]);
}

struct node *
wan_add(struct wan *w, const char *name, struct node *parent)
{
	char key[WAN_NAME_SIZE - 32] = { 0 };
	struct node *n;

	if (strlen(name) >= sizeof(key) || wan_find(w, name) ||
	    w->n_nodes == WAN_NODES)
		return NULL;
	n = alloc(sizeof(*n));
	memcpy(key, name, strlen(name));
	memcpy(n->name, key, sizeof(key));
	die_unless(map_put(&w->by_name, key, n));
	n->index = w->n_nodes;
	n->parent = parent;
	n->tun = n->gate = -1;
	n->is_intranet = true;
	link_init(&n->up);
	link_init(&n->down);
	nat_init(&n->nat, &w->rng);
	nat_init(&n->firewall, &w->rng);
	map_init(&n->routes, ROUTE_KEY, &w->rng);
	seed_node(w, n);
	w->node[w->n_nodes++] = n;
	return n;
}

/* ---- routes ---- */

static void
route_key(const struct endpoint *e, unsigned bits, uint8_t key[ROUTE_KEY])
{
	assert(bits <= 128);
	memset(key, 0, ROUTE_KEY);
	memcpy(key, e->addr, (bits + 7) / 8);
	if (bits % 8 > 0)
		key[bits / 8] &= (uint8_t)(0xff << (8 - bits % 8));
	key[ROUTE_KEY - 1] = (uint8_t)bits;
}

/* A length of IPv4 counts in ::ffff:0:0/96. */
static bool
parse_prefix(const char *text, uint8_t key[ROUTE_KEY])
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	uint64_t bits = 128;
	char addr[WAN_NAME_SIZE];
	struct endpoint e;
	unsigned skip;

	if (n >= sizeof(addr))
		return false;
	memcpy(addr, text, n);
	addr[n] = '\0';
	if (!parse_address(addr, &e))
		return false;
	skip = endpoint_family(&e) == FAMILY_V4 ? 96 : 0;
	if (slash) {
		if (!parse_number(slash + 1, 128 - skip, &bits))
			return false;
		bits += skip;
	}
	route_key(&e, (unsigned)bits, key);
	return true;
}

bool
wan_route(struct node *n, const char *prefix)
{
	struct node *p = n->parent;
	uint8_t key[ROUTE_KEY];
	uint8_t bits;
	size_t i = 0;

	if (!p || !parse_prefix(prefix, key))
		return false;
	bits = key[ROUTE_KEY - 1];
	while (i < p->n_prefixes && p->prefix[i] > bits)
		i++;
	if (i == p->n_prefixes || p->prefix[i] != bits) {
		if (p->n_prefixes == WAN_PREFIXES)
			return false;
		memmove(p->prefix + i + 1, p->prefix + i, p->n_prefixes - i);
		p->prefix[i] = bits;
		p->n_prefixes++;
	}
	die_unless(map_put(&p->routes, key, n));
	return true;
}

bool
wan_unroute(struct node *n, const char *prefix)
{
	uint8_t key[ROUTE_KEY];

	if (!n->parent || !parse_prefix(prefix, key) ||
	    map_get(&n->parent->routes, key) != n)
		return false;
	(void)map_del(&n->parent->routes, key);
	return true;
}

static struct node *
route_of(const struct node *n, const struct endpoint *to)
{
	uint8_t key[ROUTE_KEY];

	for (size_t i = 0; i < n->n_prefixes; i++) {
		struct node *found;

		route_key(to, n->prefix[i], key);
		found = map_get(&n->routes, key);
		if (found)
			return found;
	}
	return NULL;
}

/* ---- who talks to whom ---- */

static void
host_key(const struct node *n, const struct endpoint *e, uint8_t key[HOST_KEY])
{
	put32(key, n->index);
	memcpy(key + 4, e->addr, sizeof(e->addr));
}

static struct host *
host_of(struct wan *w, const struct node *n, const struct endpoint *addr)
{
	uint8_t key[HOST_KEY];
	struct host *h;

	host_key(n, addr, key);
	h = map_get(&w->by_address, key);
	if (h)
		return h;
	h = alloc(sizeof(*h));
	(void)snprintf(h->label, sizeof(h->label), "%.30s/?", n->name);
	h->node = n;
	h->index = w->n_hosts++;
	h->next = w->hosts;
	w->hosts = h;
	die_unless(map_put(&w->by_address, key, h));
	return h;
}

void
wan_label(struct wan *w, struct node *n, const struct endpoint *addr,
    const char *label)
{
	uint8_t key[HOST_KEY];
	struct host *h = w->hosts;

	while (h && (h->node != n || strcmp(h->label, label) != 0))
		h = h->next;
	if (h) {
		host_key(n, addr, key);
		die_unless(map_put(&w->by_address, key, h));
		return;
	}
	h = host_of(w, n, addr);
	(void)snprintf(h->label, sizeof(h->label), "%s", label);
}

static void
count_flow(
    struct wan *w, const struct host *from, const struct host *to, size_t bytes)
{
	uint8_t key[FLOW_KEY];
	struct flow *f;

	put32(key, from->index);
	put32(key + 4, to->index);
	f = map_get(&w->by_hosts, key);
	if (!f) {
		f = alloc(sizeof(*f));
		f->from = from;
		f->to = to;
		f->next = w->flows;
		w->flows = f;
		die_unless(map_put(&w->by_hosts, key, f));
	}
	f->packets++;
	f->bytes += bytes;
}

/* ---- packets ---- */

static struct packet *
packet_new(struct wan *w)
{
	struct packet *p = w->spare;

	if (p)
		w->spare = p->next;
	else
		p = alloc(sizeof(*p));
	p->due = (struct heap_node){ .owner = p };
	p->sender = NULL;
	return p;
}

static void
packet_free(struct wan *w, struct packet *p)
{
	p->next = w->spare;
	w->spare = p;
}

static void
drop(struct wan *w, struct link *l, enum drop why, struct packet *p)
{
	l->drops[why]++;
	packet_free(w, p);
}

/* On its way until then. The low bits keep the order of those that are due at
 * the same time. */
static void
push(struct wan *w, struct packet *p, struct node *n, enum way way, uint64_t t)
{
	p->node = n;
	p->way = way;
	assert(t >= w->begin);
	die_unless(heap_set(
	    &w->due, &p->due, (t - w->begin) << 16 | (w->n_pushed++ & 0xffff)));
}

static uint64_t
due_time(const struct wan *w, const struct heap_node *h)
{
	return w->begin + (h->at_ms >> 16);
}

/* An ICMP error about a packet at the link of n, back to its sender. */
static void
complain(struct wan *w, struct node *n, enum way way, enum icmp_why why,
    const struct view *about)
{
	const struct link *l = way == WAY_DOWN ? &n->up : &n->down;
	struct packet *p = packet_new(w);

	p->n = icmp_write(why, l->rules.mtu, about, p->b);
	if (p->n == 0)
		packet_free(w, p);
	else
		push(w, p, n, way, w->now);
}

/* Waits in the queue and on the line. */
static void
enqueue(struct wan *w, struct node *n, enum way way, struct packet *p,
    const struct link_dice *dice)
{
	struct link *l = way == WAY_UP ? &n->up : &n->down;
	uint64_t t;

	if (!link_time(l, p->n, dice, w->now, &t)) {
		drop(w, l, DROP_QUEUE, p);
		return;
	}
	push(w, p, n, way, t);
	if (link_doubles(l, dice)) {
		struct packet *copy = packet_new(w);

		copy->sender = p->sender;
		copy->n = p->n;
		memcpy(copy->b, p->b, p->n);
		push(w, copy, n, way, t);
	}
}

static void
send_fragments(struct wan *w, struct node *n, enum way way,
    const struct packet *p, const struct view *v, const struct link_dice *dice)
{
	const struct link *l = way == WAY_UP ? &n->up : &n->down;
	struct packet *f = packet_new(w);
	size_t at = 0;

	while (view_fragment(v, l->rules.mtu, &at, f->b, &f->n)) {
		f->sender = p->sender;
		enqueue(w, n, way, f, dice);
		f = packet_new(w);
	}
	packet_free(w, f);
}

/* Onto the link of n, up or down. */
static void
send_link(struct wan *w, struct node *n, enum way way, struct packet *p,
    struct view *v)
{
	struct link *l = way == WAY_UP ? &n->up : &n->down;
	enum way back = way == WAY_UP ? WAY_DOWN : WAY_UP;
	struct link_dice dice = link_throw(l);
	const struct link_rules *r = &l->rules;

	if (n->is_cut) {
		drop(w, l, DROP_CUT, p);
		return;
	}
	l->packets++;
	l->bytes += p->n;
	if (link_loses(l, &dice)) {
		drop(w, l, DROP_LOSS, p);
	} else if (r->hops > 0 && !view_take_hops(v, r->hops)) {
		complain(w, n, back, ICMP_TTL, v);
		drop(w, l, DROP_TTL, p);
	} else if (r->mtu == 0 || p->n <= r->mtu) {
		enqueue(w, n, way, p, &dice);
	} else if (r->is_black || v->is_indivisible) {
		if (!r->is_black)
			complain(w, n, back, ICMP_TOO_BIG, v);
		drop(w, l, DROP_MTU, p);
	} else {
		send_fragments(w, n, way, p, v, &dice);
		packet_free(w, p);
	}
}

static uint64_t
payload(const struct view *v)
{
	return v->protocol == IP_UDP && v->part != PART_LATER ? v->n - v->l4 - 8
	                                                      : 0;
}

static void
write_tun(struct wan *w, struct node *n, struct packet *p, const struct view *v)
{
	struct host *h = host_of(w, n, &v->dst);

	if (write(n->tun, p->b, p->n) != (ssize_t)p->n) {
		drop(w, &n->down, DROP_TUN, p);
		return;
	}
	w->out++;
	h->got++;
	h->got_bytes += p->n;
	h->got_payload += payload(v);
	if (p->sender)
		count_flow(w, p->sender, h, p->n);
	capture(w, n, p);
	packet_free(w, p);
}

/* To somebody behind n. */
static void
deliver(struct wan *w, struct node *n, struct packet *p, struct view *v)
{
	struct node *child;

	if (n->tun >= 0) {
		write_tun(w, n, p, v);
		return;
	}
	child = route_of(n, &v->dst);
	if (child)
		send_link(w, child, WAY_DOWN, p, v);
	else
		drop(w, &n->down, DROP_NO_ROUTE, p);
}

static struct nat *
nat_of(struct node *n, const struct view *v)
{
	return v->family == FAMILY_V4 ? &n->nat : &n->firewall;
}

/* From behind n to its parent. */
static void
leave(struct wan *w, struct node *n, struct packet *p, struct view *v)
{
	struct nat *t = nat_of(n, v);
	enum drop why = DROP_NONE;

	if (n->is_cut) {
		drop(w, &n->up, DROP_CUT, p);
		return;
	}
	if (!t->is_on) {
		send_link(w, n, WAY_UP, p, v);
		return;
	}
	why = nat_out(t, v, w->now);
	if (why == DROP_BLOCKED && t->reject)
		complain(w, n, WAY_INSIDE, ICMP_PROHIBITED, v);
	if (why != DROP_NONE) {
		drop(w, &n->up, why, p);
	} else if (t->is_firewall || !nat_is_own(t, &v->dst)) {
		send_link(w, n, WAY_UP, p, v);
	} else {
		why = t->hairpin ? nat_in(t, v, w->now) : DROP_NO_HAIRPIN;
		if (why == DROP_NONE)
			deliver(w, n, p, v);
		else
			drop(w, &n->up, why, p);
	}
}

/* From the parent of n. */
static void
enter(struct wan *w, struct node *n, struct packet *p, struct view *v)
{
	struct nat *t = nat_of(n, v);
	enum drop why = t->is_on ? nat_in(t, v, w->now) : DROP_NONE;

	if (why == DROP_NONE) {
		deliver(w, n, p, v);
		return;
	}
	if (t->reject && v->protocol == IP_UDP && why != DROP_BLOCKED)
		complain(w, n, WAY_UP, ICMP_NO_PORT, v);
	drop(w, &n->down, why, p);
}

/* At the parent of n, from n. */
static void
climb(struct wan *w, struct node *n, struct packet *p, struct view *v)
{
	struct node *parent = n->parent;
	struct node *to = route_of(parent, &v->dst);
	bool is_local = view_is_local(v);

	capture(w, parent, p);
	if (!to && parent->parent && !is_local)
		leave(w, parent, p, v);
	else if (!to || is_local || (!parent->is_intranet && to != n))
		drop(w, &n->up, DROP_NO_ROUTE, p);
	else if (n->group != to->group)
		drop(w, &n->up, DROP_GROUP, p);
	else if (n->is_stranger && to->is_stranger && view_is_dht(v))
		drop(w, &n->up, DROP_STRANGERS, p);
	else
		send_link(w, to, WAY_DOWN, p, v);
}

static void
arrive(struct wan *w, struct packet *p)
{
	struct node *n = p->node;
	struct link *l = p->way == WAY_UP ? &n->up : &n->down;
	struct view v;

	if (n->is_cut) {
		drop(w, l, DROP_CUT, p);
		return;
	}
	if (!view_read(p->b, p->n, false, &v)) {
		drop(w, l, DROP_BAD, p);
		return;
	}
	switch (p->way) {
	case WAY_UP:
		climb(w, n, p, &v);
		break;
	case WAY_DOWN:
		enter(w, n, p, &v);
		break;
	case WAY_INSIDE:
		deliver(w, n, p, &v);
		break;
	}
}

uint64_t
wan_run(struct wan *w)
{
	uint64_t clock = wan_clock();
	struct heap_node *h;

	while ((h = heap_top(&w->due)) != NULL) {
		uint64_t t = due_time(w, h);

		if (t > clock)
			clock = wan_clock();
		if (t > clock)
			return t - clock;
		w->late = clock - t > w->late ? clock - t : w->late;
		w->now = t;
		heap_remove(&w->due, h);
		arrive(w, h->owner);
	}
	return UINT64_MAX;
}

/* What a kernel says by itself on a link: neighbours, groups. */
static bool
is_chatter(const struct view *v)
{
	bool is_link = v->family == FAMILY_V6 && v->src.addr[0] == 0xfe;

	return v->protocol != IP_UDP && (view_is_local(v) || is_link);
}

void
wan_read(struct wan *w, struct node *n)
{
	for (unsigned i = 0; i < READ_BATCH; i++) {
		struct packet *p = packet_new(w);
		ssize_t got = read(n->tun, p->b, sizeof(p->b));
		struct view v;
		struct host *h;

		if (got <= 0) {
			packet_free(w, p);
			return;
		}
		p->n = (size_t)got;
		w->now = wan_clock();
		w->in++;
		if (!view_read(p->b, p->n, false, &v)) {
			drop(w, &n->up, DROP_BAD, p);
			continue;
		}
		if (is_chatter(&v)) {
			packet_free(w, p);
			continue;
		}
		h = host_of(w, n, &v.src);
		h->sent++;
		h->sent_bytes += p->n;
		h->sent_payload += payload(&v);
		p->sender = h;
		capture(w, n, p);
		leave(w, n, p, &v);
	}
}

void
wan_sweep(struct wan *w)
{
	w->now = wan_clock();
	for (unsigned i = 0; i < w->n_nodes; i++) {
		nat_sweep(&w->node[i]->nat, w->now);
		nat_sweep(&w->node[i]->firewall, w->now);
	}
}
