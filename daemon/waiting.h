/* What is told after the commit of a turn, in order: ephemeral events, and what
 * front ends wait for. Of a lost turn nobody hears. */
#ifndef DAEMON_WAITING_H
#define DAEMON_WAITING_H

#include "daemon/daemon.h"

void waiting_init(struct waiting_list *l);
void waiting_drop(struct waiting_list *l);
/* Calls the hooks, and the list is empty. */
void waiting_tell(struct daemon *d);

/* A message of ours has that state now; id NULL: any may have it. */
void waiting_message_moved(
    struct daemon *d, const struct message_id *id, enum message_state state);
/* A contact has answered. */
void waiting_pong(
    struct daemon *d, const struct contact_id *contact, uint64_t rtt_ms);

#endif /* DAEMON_WAITING_H */
