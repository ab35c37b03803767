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

#endif /* DAEMON_APPLY_H */
