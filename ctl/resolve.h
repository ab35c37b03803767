/*
 * From what a user types to a contact: an id, an address, or a name (exact,
 * then in any case, then a unique beginning). [btchatctl(1)]
 */
#ifndef CTL_RESOLVE_H
#define CTL_RESOLVE_H

#include "ctl/ctl.h"

/*
 * The contact object of contact.list or contact.get; owned by the caller.
 * CTL_NOT_FOUND, or CTL_FAILED with the candidates if the name is not unique.
 */
MUST_USE int resolve_contact(struct ctl *ctl, const char *who, cJSON **ret);
/* Calls row for every contact, or those that have query in their name or
 * begin with it in address or id, until it returns false. */
MUST_USE int resolve_each(struct ctl *ctl, const char *query,
    bool (*row)(void *ctx, const cJSON *contact), void *ctx);
/* Name to show for a contact: its name, or its short address or id. */
const char *resolve_name(const cJSON *contact, char buf[128]);

#endif /* CTL_RESOLVE_H */
