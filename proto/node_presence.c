/*
 * Contacts who are not to see when we are there: while nothing waits for one of
 * them, he is treated as if he were blocked, so that we are to him as if we
 * were gone. What he writes comes when we write. [SPEC §7.6]
 */
#include "proto/node_int.h"

#include <assert.h>

bool
peer_is_shut(const struct peer *p)
{
	return p->c.blocked || p->c.quiet;
}

static bool
is_beside(const struct contact *c, const struct endpoint *at)
{
	bool is_global = endpoint_scope(at) == SCOPE_GLOBAL;

	for (uint8_t i = 0; i < c->n_candidates; i++)
		if (is_global ? endpoint_same_network(&c->candidates[i], at)
		              : endpoint_eq(&c->candidates[i], at))
			return true;
	return false;
}

bool
presence_avoids(const struct node *n, const struct dht_node *node)
{
	enum family f = endpoint_family(&node->at);

	for (size_t i = 0; n->hides && i < n->peers_cap; i++) {
		const struct peer *p = n->peers[i];

		if (p != NULL && peer_is_shut(p) &&
		    ((node_key_is_set(&node->n) &&
		         node_key_eq(&p->shut_keys[f], &node->n)) ||
		        is_beside(&p->c, &node->at)))
			return true;
	}
	return false;
}

static bool
wants_quiet(const struct peer *p)
{
	return p->c.hides && p->c.ready && p->outbox.n == 0;
}

void
presence_settle(struct node *n, struct peer *p)
{
	if (p->c.blocked || (!p->c.hides && !p->c.quiet))
		return;
	if (!wants_quiet(p)) {
		p->quiet_at_ms = NEVER;
		if (p->c.quiet) {
			p->c.quiet = false;
			peer_store(n, p);
			peer_open(n, p);
		}
	} else if (!p->c.quiet && p->quiet_at_ms == NEVER) {
		p->quiet_at_ms =
		    n->now.mono_ms + (p->online ? NODE_QUIET_MS : 0);
	}
	meet_retime(n, p);
}

void
presence_decided(struct node *n, struct peer *p)
{
	presence_settle(n, p);
	p->quiet_at_ms = wants_quiet(p) && !p->c.quiet ? n->now.mono_ms : NEVER;
	meet_retime(n, p);
}

bool
presence_run(struct node *n, struct peer *p)
{
	if (p->quiet_at_ms > n->now.mono_ms)
		return false;
	p->quiet_at_ms = NEVER;
	if (p->c.blocked || !wants_quiet(p))
		return false;
	assert(!p->c.quiet);
	p->c.quiet = true; /* durable before it is so */
	peer_shut(n, p);
	peer_store(n, p);
	return true;
}
