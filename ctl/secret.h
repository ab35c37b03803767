/* Passphrases: from the terminal, a descriptor or a file; never from the
 * command line or the environment, which other processes can read. */
#ifndef CTL_SECRET_H
#define CTL_SECRET_H

#include "ctl/ctl.h"

enum { SECRET_MAX = 1024 }; /* bytes of a passphrase */

struct secret {
	bool given; /* false: there is none, not even an empty one */
	char text[SECRET_MAX + 1];
};

/*
 * With --passphrase-fd or --passphrase-file the first line of that, which is
 * not empty; else
 * asked for, twice with `confirm`, if prompting is allowed; else not given.
 * The caller wipes *ret with secret_wipe.
 */
MUST_USE int secret_get(const struct ctl *ctl, const char *prompt, bool confirm,
    struct secret *ret);
/* The same with "--OPTION-fd" and "--OPTION-file". */
MUST_USE int secret_get_as(const struct ctl *ctl, const char *option,
    const char *prompt, bool confirm, struct secret *ret);
void secret_wipe(struct secret *s);

/* Asks a yes-or-no question; --yes answers it. False: no, or nobody to ask. */
bool secret_agree(const struct ctl *ctl, const char *question);

/* Asks for a line that is seen while it is typed. False: there was none, or
 * nobody to ask. */
bool secret_type(
    const struct ctl *ctl, const char *question, char ret[SECRET_MAX + 1]);

/* Puts the terminal back as it was; safe in a signal handler. */
void secret_restore_terminal(void);

#endif /* CTL_SECRET_H */
