/* A message as log and chat show it. */
#ifndef CTL_MESSAGE_H
#define CTL_MESSAGE_H

#include "ctl/ctl.h"

/* How the lines of one conversation look. All strings are borrowed. */
struct message_style {
	const char *name;  /* of the contact, not escaped yet */
	const char *lead;  /* before the time; "" for none */
	const char *reply; /* before the text, if it answers a message */
	bool mark;         /* how far an own one came, behind the text */
};

bool message_is_ours(const cJSON *m);
/* How far one of ours came, as a sign. */
const char *message_sign(const char *state);
void message_print_human(
    const struct ctl *ctl, const cJSON *m, const struct message_style *style);
/* id, time, conv, from, state, text. */
void message_print_plain(const struct ctl *ctl, const cJSON *m);

#endif /* CTL_MESSAGE_H */
