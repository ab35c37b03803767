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
