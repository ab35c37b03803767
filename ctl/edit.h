/*
 * The line that is being typed, while other things happen: reads lines from
 * standard input and watches a descriptor and a clock meanwhile. On a terminal
 * with libedit the line can be edited, and what is printed between edit_hide
 * and edit_show appears above it; elsewhere lines are read as they come.
 */
#ifndef CTL_EDIT_H
#define CTL_EDIT_H

#include "proto/base/err.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A line that is longer is dropped as a whole, EDIT_TOO_LONG. */
enum { EDIT_LINE_MAX = 128 * 1024 };

enum edit_end {
	EDIT_NONE, /* still reading */
	EDIT_LINE,
	EDIT_TOO_LONG,
	EDIT_EOF,
	EDIT_INTERRUPT, /* Ctrl-C; edit_text has what was typed */
	EDIT_SIGNAL,    /* asked to end; edit_signal says by which */
	EDIT_STOPPED,   /* wake said so */
};

struct edit_hooks {
	void *ctx;
	int (*fd)(void *ctx); /* to be watched; -1: none */
	/* When to wake though nothing came, as client_now_ms; NEVER. */
	uint64_t (*due_ms)(void *ctx);
	bool (*wake)(void *ctx);  /* false: no more lines */
	void (*typed)(void *ctx); /* the line has another text */
	void (*page)(void *ctx);  /* Page Up */
};

struct edit;

/* hooks: borrowed until edit_free. wish: edit if that is possible here. */
struct edit *edit_new(const struct edit_hooks *hooks, bool wish);
void edit_free(struct edit *e);
bool edit_can(void); /* built with libedit, and the terminal is one */
bool edit_is_fancy(const struct edit *e);

/* The next line without its LF; owned by the caller, set for EDIT_LINE only.
 * The line is not on the screen any more. */
enum edit_end edit_read(struct edit *e, char **ret);
int edit_signal(const struct edit *e);
/* What is typed now, or was when reading ended; owned by the caller. */
char *edit_text(const struct edit *e);
/* The next line begins with this. */
void edit_preset(struct edit *e, const char *text);
/* The prompt, shown at the next edit_show; what stands between two \001 has
 * no width. */
void edit_prompt(struct edit *e, const char *prompt);
void edit_hide(struct edit *e);
void edit_show(struct edit *e);

#endif /* CTL_EDIT_H */
