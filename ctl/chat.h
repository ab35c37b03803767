/*
 * chat: one conversation on the screen. What was shown is remembered by a
 * number, which is how the user points at a message, and by which nothing is
 * shown twice.
 */
#ifndef CTL_CHAT_H
#define CTL_CHAT_H

#include "ctl/ctl.h"
#include "ctl/edit.h"
#include "ctl/when.h"

enum {
	CHAT_ID_SIZE = 32,
	CHAT_NAME_SIZE = 128,
	CHAT_STATE_SIZE = 16,
	CHAT_PAGE = 20,            /* messages, unless the terminal says more */
	CHAT_REPLY_MS = 10 * 1000, /* then the daemon counts as gone */
	CHAT_RETRY_MIN_MS = 50,    /* between two tries to connect, doubled */
	CHAT_RETRY_MAX_MS = 1000,
	CHAT_DRAFT_MS = 1000,      /* after the last key the draft is kept */
	CHAT_TYPING_MS = 1000,     /* at most so often they hear of keys */
	CHAT_LEAVE_MS = 10 * 1000, /* for what is not handed over at the end */
};

/* A message that was shown; its number is its place in the list, from 1. */
struct chat_shown {
	char id[CHAT_ID_SIZE];
	bool ours, deleted;
	uint64_t edited_ms;
	char *reactions[2]; /* owned; of them, of us; NULL: none */
};

struct chat {
	struct ctl *ctl;   /* borrowed */
	struct edit *edit; /* owned; NULL until the first page was shown */
	char conv[CHAT_ID_SIZE], name[CHAT_NAME_SIZE];
	int status; /* when it is over */
	bool over;  /* no more lines are read */

	/* What is shown. */
	struct chat_shown *list; /* owned */
	size_t n, cap;
	char *older; /* owned: where the page before begins; NULL: nowhere */
	char newest[CHAT_ID_SIZE];
	char day[WHEN_SIZE]; /* of the last line */

	/* In the prompt. */
	bool online, typing;
	char last_ours[CHAT_ID_SIZE], state[CHAT_STATE_SIZE];

	/* The place in the event log. */
	char epoch[64];
	uint64_t seq;
	uint64_t retry_at_ms, retry_ms; /* while the daemon is gone */

	/* What is to be told the daemon. */
	cJSON *outbox;                 /* owned array of method, params */
	char awaited[CHAT_ID_SIZE];    /* sent, and not shown yet */
	char read_up_to[CHAT_ID_SIZE]; /* shown and not marked; "": none */
	char *draft;                   /* owned: as the daemon has it */
	uint64_t draft_at_ms;          /* NEVER: nothing to keep */
	uint64_t typing_at_ms;         /* they may hear of keys again */
	bool told_typing;
};

/* ---- chat_link.c: the connection ---- */

/* A call, if there is a connection; ERR_IO: there is none any more. */
enum err chat_call(
    struct chat *c, const char *method, cJSON *params, struct ctl_outcome *ret);
/* Told, and no matter if it is not heard; the answer is dropped. params is
 * owned by the call. */
void chat_tell(struct chat *c, const char *method, cJSON *params);
/* A call that must not get lost: again after a reconnection, in order.
 * params is owned by the call. */
void chat_hand_over(struct chat *c, const char *method, cJSON *params);
/* Events, behind the last one that came, or from now on. */
enum err chat_subscribe(struct chat *c, bool go_on, struct ctl_outcome *out);
/* The last messages, or those after one. */
enum err
chat_get_page(struct chat *c, const char *after, struct ctl_outcome *out);
/* Shows what came, without waiting, and not for ever. */
void chat_take_events(struct chat *c);
/* One try; if it fails, c->retry_at_ms is when to try again. */
void chat_reconnect(struct chat *c);

/* ---- chat_show.c: output ---- */

/* Puts the message on the screen unless it is there. */
void chat_show_message(struct chat *c, const cJSON *m);
bool chat_has_shown(const struct chat *c, const char *id);
/* A page of message.history, newest first: prints it oldest first. */
void chat_show_page(struct chat *c, const cJSON *page, bool old);
void chat_show_event(struct chat *c, const cJSON *event);
/* A remark of ours; nothing for programs. */
__attribute__((format(printf, 2, 3))) void
chat_say(const struct chat *c, const char *format, ...);
void chat_show_prompt(struct chat *c);
/* NULL: nothing has that number. */
const struct chat_shown *chat_by_number(const struct chat *c, const char *word);
void chat_clear_shown(struct chat *c);
size_t chat_page_size(const struct chat *c);

/* ---- chat_word.c: what was entered ---- */

void chat_take_line(struct chat *c, const char *line);
void chat_older(struct chat *c);

#endif /* CTL_CHAT_H */
