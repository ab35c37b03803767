/* What the two files of the line being typed share. */
#ifndef CTL_EDIT_IMPL_H
#define CTL_EDIT_IMPL_H

#include "ctl/edit.h"

enum { EDIT_SIGNALS = 6 };

struct edit_line; /* the part that is libedit's */

struct edit {
	struct edit_hooks hooks;
	struct edit_line *line; /* owned; NULL: lines are read as they come */
	char *preset, *prompt;  /* owned; NULL: none */
	char *text;             /* owned: what was typed when reading ended */
	char *buf;              /* owned: bytes read and not used, plain only */
	size_t start, n;
	bool skipping; /* the rest of a line that is too long */
	bool eof;
	enum edit_end end;
	int signal;
	sigset_t before; /* signals that were blocked before */
	struct sigaction old[EDIT_SIGNALS];
};

/* Waits for standard input, and does all else that comes in between. False:
 * e->end says why there is nothing to wait for. */
bool edit_wait(struct edit *e);

/* NULL: not possible here. */
struct edit_line *edit_line_new(struct edit *e);
void edit_line_free(struct edit_line *l);
enum edit_end edit_line_read(struct edit *e, char **ret);
char *edit_line_text(const struct edit_line *l);
void edit_line_hide(struct edit *e);
void edit_line_show(struct edit *e);
void edit_line_resized(struct edit *e);
void edit_line_suspend(struct edit *e);

#endif /* CTL_EDIT_IMPL_H */
