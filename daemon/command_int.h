/* What the command*.c have in common; nobody else includes this. */
#ifndef DAEMON_COMMAND_INT_H
#define DAEMON_COMMAND_INT_H

#include "daemon/command.h"
#include "daemon/json_out.h"

/* Before a command: effects of before are not its own. */
MUST_USE enum api_error command_begin(struct daemon *d);
/* Applies what the node did for a command, with what belongs to it. */
MUST_USE enum api_error
command_apply(struct daemon *d, const struct command *c);
/* A write of the store failed: the turn is lost. */
enum api_error command_lost(struct daemon *d);
/* Closes the body of an event of a conversation (NULL: of none), logs it and
 * frees it. */
MUST_USE enum api_error command_log(struct daemon *d, enum event_type type,
    const struct contact_id *conv, struct json_out *o);
/* With the address. */
MUST_USE enum api_error
command_identity_event(struct daemon *d, enum event_type type);
/* The keys are open: gives them to the store and to a node made anew, and
 * tells. */
MUST_USE enum api_error
command_begin_identity(struct daemon *d, enum event_type type);

#endif /* DAEMON_COMMAND_INT_H */
