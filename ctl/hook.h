/* Programs of the user, one for each type of event. */
#ifndef CTL_HOOK_H
#define CTL_HOOK_H

#include <cJSON.h>

enum {
	HOOK_MAX_S = 300,      /* then it is ended by SIGALRM */
	HOOK_AGAIN = 75,       /* its exit status: not now, ask again */
	HOOK_AGAIN_MAX_S = 60, /* pause before that, at most */
};

/*
 * Runs DIRECTORY/TYPE, if there is such a program: the event as a line of JSON
 * on its standard input, BTCHAT_EVENT and BTCHAT_SEQ in its environment. Comes
 * back when it is done with the event; how it failed is reported.
 */
void hook_run(const char *directory, const cJSON *event);

#endif /* CTL_HOOK_H */
