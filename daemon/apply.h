/* What an effect of the node, or of time, means to the store, the event log and
 * those who wait. Only turn.c and loop.c call it. */
#ifndef DAEMON_APPLY_H
#define DAEMON_APPLY_H

#include "daemon/daemon.h"

/* Both: an error means that a write failed, the turn is lost. */
MUST_USE enum err apply_change(struct daemon *d, const struct change *c);
MUST_USE enum err apply_event(struct daemon *d, const struct effect *e);

/* Deletes texts that disappear now, not all at once; an error as above. */
MUST_USE enum err apply_timers(struct daemon *d);

/* For the turn: a message got a state; told after the commit. */
void turn_message_moved(
    struct daemon *d, const struct message_id *id, enum message_state state);
/* The same: a contact has answered. */
void
turn_pong(struct daemon *d, const struct contact_id *contact, uint64_t rtt_ms);

#endif /* DAEMON_APPLY_H */
