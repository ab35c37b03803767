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
/* UTF-8 of at most max bytes, without controls. */
bool command_is_line(struct span s, size_t max);
/* Closes the body of an event of a conversation (NULL: of none), logs it and
 * frees it. */
MUST_USE enum api_error command_log(struct daemon *d, enum event_type type,
    const struct contact_id *conv, struct json_out *o);
/* With the address. */
MUST_USE enum api_error
command_identity_event(struct daemon *d, enum event_type type);
/* Requests that may come twice: what they ask for, whether they did, what came
 * of it. An empty client_id is none. */
void command_digest(
    const char *method, struct span a, struct span b, uint8_t ret[32]);
/* *ret_done: it did, and ret is what came of it. CLIENT_ID_REUSED,
 * STORAGE_ERROR. */
MUST_USE enum api_error
command_was_done(struct daemon *d, struct span client_id,
    const uint8_t digest[32], uint8_t ret[16], bool *ret_done);
MUST_USE enum api_error command_remember(struct daemon *d,
    struct span client_id, const uint8_t digest[32], const uint8_t result[16]);
/* The key file was not made. */
enum api_error command_no_key(enum err err);
/* The keys are open: gives them to the store and to a node made anew, and
 * tells. */
MUST_USE enum api_error
command_begin_identity(struct daemon *d, enum event_type type);

#endif /* DAEMON_COMMAND_INT_H */
