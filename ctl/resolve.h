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
/* Name to show for a contact: its name, or its short address or id. */
const char *resolve_name(const cJSON *contact, char buf[128]);

#endif /* CTL_RESOLVE_H */
