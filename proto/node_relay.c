/*
 * Contacts who relay: whom we have chosen to pass whole sessions for us, and
 * whom we pass them for. It is done by the introducers of the overlay; what is
 * here says who may, and how much. [SPEC §8.3]
 */
#include "proto/node_int.h"

#include <assert.h>
#include <string.h>

enum { RELAY_RATE = 64 * 1024 }; /* bytes a second, of one contact of ours */

/* ---- those who may use us ---- */

/* Another contact may have named the same N: he does not take it away. */
static void
untrust(struct node *n, struct peer *p, enum family f)
{
	struct dht *d = n->dht[net_of(DHT_OVERLAY, f)];
	struct node_key key;
	enum err err = ERR_OK;

	assert(p != NULL);
	key = p->trusted[f];
	if (!node_key_is_set(&key))
		return;
	p->trusted[f] = (struct node_key){ { 0 } };
	for (size_t i = 0; i < n->peers_cap; i++)
		if (n->peers[i] != NULL &&
		    node_key_eq(&n->peers[i]->trusted[f], &key))
			return;
	if (d != NULL)
		err = dht_set_trusted(d, &key, 0);
	assert(err == ERR_OK); /* taking back needs no room */
}

/* Who was here before may still have a handle; those who are go first. */
static void
untrust_absent(struct node *n, enum family f)
{
	for (size_t i = 0; i < n->peers_cap; i++)
		if (n->peers[i] != NULL && !n->peers[i]->online)
			untrust(n, n->peers[i], f);
}

static void
trust(struct node *n, struct peer *p, enum family f)
{
	struct dht *d = n->dht[net_of(DHT_OVERLAY, f)];
	const struct node_key *key = &p->keys[f];

	if (!n->relays || d == NULL || node_key_eq(&p->trusted[f], key))
		return;
	untrust(n, p, f);
	if (!node_key_is_set(key))
		return;
	if (dht_set_trusted(d, key, RELAY_RATE) != ERR_OK) {
		untrust_absent(n, f);
		if (dht_set_trusted(d, key, RELAY_RATE) != ERR_OK)
			return; /* he has what a stranger has */
	}
	p->trusted[f] = *key;
}

/* ---- those whom we use ---- */

static bool
is_relay(const struct peer *p)
{
	return p != NULL && p->c.relay &&
	       (p->capabilities & LINK_CAPABILITY_RELAY);
}

static void
list_relays(struct node *n)
{
	n->n_relays = 0;
	for (int absent = 0; absent < 2; absent++)
		for (size_t i = 0; i < n->peers_cap; i++) {
			if (n->n_relays == RELAYS_MAX)
				return;
			if (is_relay(n->peers[i]) &&
			    n->peers[i]->online == (absent == 0))
				n->relay[n->n_relays++] = (uint32_t)i;
		}
}

void
relays_changed(struct node *n)
{
	list_relays(n);
	intro_relay_changed(n);
}

static bool
has_key(const struct peer *p, const struct node_key *key)
{
	for (int f = 0; f < FAMILY_COUNT; f++)
		if (node_key_is_set(key) && node_key_eq(&p->keys[f], key))
			return true;
	return false;
}

bool
relay_is_contact(const struct node *n, const struct node_key *key)
{
	for (size_t i = 0; i < n->peers_cap; i++)
		if (n->peers[i] != NULL && has_key(n->peers[i], key))
			return true;
	return false;
}

const struct peer *
relay_of(const struct node *n, const struct node_key *key)
{
	for (size_t i = 0; i < n->n_relays; i++) {
		const struct peer *p = peer_by_slot(n, n->relay[i]);

		if (p != NULL && has_key(p, key))
			return p;
	}
	return NULL;
}

bool
relay_at(const struct node *n, const struct peer *p, struct dht_node *ret,
    unsigned *socket)
{
	struct route r;
	enum family f;

	*socket = 0;
	if (!p->online)
		return false;
	if (p->has_node) {
		*ret = p->node;
		return true;
	}
	if (!route_look(n, &p->path, &r) || r.kind != ROUTE_SOCKET)
		return false;
	f = endpoint_family(&r.at);
	*ret = (struct dht_node){ r.at, p->keys[f] };
	*socket = r.socket;
	return node_key_is_set(&p->keys[f]);
}

bool
relay_choose(const struct node *n, size_t i, struct dht_node *ret)
{
	const struct peer *p =
	    i < n->n_relays ? peer_by_slot(n, n->relay[i]) : NULL;
	unsigned socket;

	return p != NULL && relay_at(n, p, ret, &socket);
}

unsigned
relay_socket(const struct node *n, const struct endpoint *at)
{
	for (size_t i = 0; i < n->n_relays; i++) {
		const struct peer *p = peer_by_slot(n, n->relay[i]);
		struct dht_node node;
		unsigned socket;

		if (p != NULL && relay_at(n, p, &node, &socket) &&
		    endpoint_eq(&node.at, at))
			return socket;
	}
	return 0;
}

/* ---- what happens to a session ---- */

void
relay_on_up(struct node *n, struct peer *p, const struct link_hello *h)
{
	p->capabilities = h->capabilities;
	memcpy(p->keys, h->node, sizeof(p->keys));
	trust(n, p, FAMILY_V4);
	trust(n, p, FAMILY_V6);
}

bool
relay_on_hello(struct node *n, struct peer *p, const struct link_hello *h)
{
	if (memcmp(p->keys, h->node, sizeof(p->keys)) == 0)
		return false;
	for (int f = 0; f < FAMILY_COUNT; f++)
		routes_end(n, &p->keys[f]);
	relay_on_up(n, p, h);
	return true;
}

void
relay_forget(struct node *n, struct peer *p)
{
	bool was;

	assert(p != NULL);
	was = relay_of(n, &p->keys[FAMILY_V4]) == p ||
	      relay_of(n, &p->keys[FAMILY_V6]) == p;
	for (int f = 0; f < FAMILY_COUNT; f++) {
		untrust(n, p, (enum family)f);
		if (was)
			routes_end(n, &p->keys[f]);
		p->keys[f] = (struct node_key){ { 0 } };
	}
	p->capabilities = 0;
	if (was)
		relays_changed(n);
}

void
relay_decided(struct node *n, struct peer *p, bool was)
{
	if (was == p->c.relay)
		return;
	for (int f = 0; was && f < FAMILY_COUNT; f++)
		routes_end(n, &p->keys[f]);
	relays_changed(n);
}
