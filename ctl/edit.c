/* The line being typed: waiting, signals, and lines as they come. */
#include "ctl/edit_impl.h"

#include "ctl/client.h"
#include "ctl/value.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Those after the first three only where a line is edited. */
static const int signals[EDIT_SIGNALS] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH,
	SIGTSTP, SIGCONT };
enum { PLAIN_SIGNALS = 3 };

static volatile sig_atomic_t got[EDIT_SIGNALS];

static void
note_signal(int number)
{
	for (int i = 0; i < EDIT_SIGNALS; i++)
		if (signals[i] == number)
			got[i] = 1;
}

static int
signals_of(const struct edit *e)
{
	return e->line != NULL ? EDIT_SIGNALS : PLAIN_SIGNALS;
}

/* They are blocked but while we wait, so that none slips in between a look at
 * `got` and the wait. */
static void
catch_signals(struct edit *e)
{
	struct sigaction sa = { .sa_handler = note_signal };
	sigset_t set;

	(void)sigemptyset(&set);
	for (int i = 0; i < signals_of(e); i++) {
		got[i] = 0;
		(void)sigaddset(&set, signals[i]);
		(void)sigaction(signals[i], &sa, &e->old[i]);
	}
	(void)sigprocmask(SIG_BLOCK, &set, &e->before);
}

static void
release_signals(struct edit *e)
{
	for (int i = 0; i < signals_of(e); i++)
		(void)sigaction(signals[i], &e->old[i], NULL);
	(void)sigprocmask(SIG_SETMASK, &e->before, NULL);
}

struct edit *
edit_new(const struct edit_hooks *hooks, bool wish)
{
	struct edit *e = value_alloc(sizeof(*e));

	e->hooks = *hooks;
	if (wish)
		e->line = edit_line_new(e);
	if (e->line == NULL)
		e->buf = value_alloc(EDIT_LINE_MAX + 1);
	catch_signals(e);
	return e;
}

void
edit_free(struct edit *e)
{
	if (e == NULL)
		return;
	release_signals(e);
	edit_line_free(e->line);
	free(e->preset);
	free(e->prompt);
	free(e->text);
	free(e->buf);
	free(e);
}

bool
edit_is_fancy(const struct edit *e)
{
	return e != NULL && e->line != NULL;
}

int
edit_signal(const struct edit *e)
{
	return e->signal;
}

char *
edit_text(const struct edit *e)
{
	if (e->line != NULL && e->end == EDIT_NONE)
		return edit_line_text(e->line);
	return value_strdup(e->text != NULL ? e->text : "");
}

void
edit_preset(struct edit *e, const char *text)
{
	free(e->preset);
	e->preset = value_strdup(text);
}

void
edit_prompt(struct edit *e, const char *prompt)
{
	free(e->prompt);
	e->prompt = value_strdup(prompt);
}

void
edit_hide(struct edit *e)
{
	if (e->line != NULL)
		edit_line_hide(e);
}

void
edit_show(struct edit *e)
{
	if (e->line != NULL)
		edit_line_show(e);
}

/* ---- waiting ---- */

static bool
take_signal(int number)
{
	bool was = false;

	for (int i = 0; i < EDIT_SIGNALS; i++) {
		if (signals[i] != number)
			continue;
		was = got[i] != 0;
		got[i] = 0;
	}
	return was;
}

/* False: one of them ends the line. */
static bool
handle_signals(struct edit *e)
{
	if (take_signal(SIGINT))
		e->end = EDIT_INTERRUPT;
	for (int i = 1; i < PLAIN_SIGNALS; i++) {
		if (!take_signal(signals[i]))
			continue;
		e->end = EDIT_SIGNAL;
		e->signal = signals[i];
	}
	if (e->line != NULL && e->end == EDIT_NONE && take_signal(SIGTSTP))
		edit_line_suspend(e);
	if (e->line != NULL && (take_signal(SIGWINCH) || take_signal(SIGCONT)))
		edit_line_resized(e);
	return e->end == EDIT_NONE;
}

/* What ppoll takes; NULL: for ever. */
static const struct timespec *
time_left(uint64_t due_ms, struct timespec *ret)
{
	uint64_t now_ms = client_now_ms();
	uint64_t left = due_ms > now_ms ? due_ms - now_ms : 0;

	if (due_ms == NEVER)
		return NULL;
	ret->tv_sec = (time_t)(left / 1000);
	ret->tv_nsec = (long)(left % 1000) * 1000000;
	return ret;
}

bool
edit_wait(struct edit *e)
{
	struct pollfd p[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
		{ .events = POLLIN } };

	while (handle_signals(e)) {
		struct timespec ts;
		uint64_t due_ms = e->hooks.due_ms(e->hooks.ctx);

		p[0].revents = 0;
		p[1].revents = 0;
		p[1].fd = e->hooks.fd(e->hooks.ctx);
		if (ppoll(p, 2, time_left(due_ms, &ts), &e->before) < 0 &&
		    errno != EINTR) {
			e->end = EDIT_EOF;
			return false;
		}
		if (p[1].revents != 0 || client_now_ms() >= due_ms) {
			if (!e->hooks.wake(e->hooks.ctx))
				e->end = EDIT_STOPPED;
		}
		if (p[0].revents != 0 && e->end == EDIT_NONE)
			return handle_signals(e);
	}
	return false;
}

/* ---- lines as they come ---- */

/* A line out of the n bytes at start, and their LF or the end of all. */
static enum edit_end
take_line(struct edit *e, size_t n, char **ret)
{
	char *line = value_alloc(n + 1);
	bool dropped = e->skipping;

	memcpy(line, e->buf + e->start, n);
	e->start += n < e->n - e->start ? n + 1 : n;
	e->skipping = false;
	if (dropped || memchr(line, '\0', n) != NULL) {
		free(line);
		return EDIT_TOO_LONG;
	}
	*ret = line;
	return EDIT_LINE;
}

/* More bytes, at the end of what is kept; all that is too much is dropped. */
static void
fill(struct edit *e)
{
	ssize_t n;

	memmove(e->buf, e->buf + e->start, e->n - e->start);
	e->n -= e->start;
	e->start = 0;
	if (e->n == EDIT_LINE_MAX) {
		e->n = 0;
		e->skipping = true;
	}
	n = read(STDIN_FILENO, e->buf + e->n, EDIT_LINE_MAX - e->n);
	if (n > 0)
		e->n += (size_t)n;
	else if (n == 0 || errno != EINTR)
		e->eof = true;
}

static enum edit_end
read_plain(struct edit *e, char **ret)
{
	for (;;) {
		const char *from = e->buf + e->start;
		const char *lf = memchr(from, '\n', e->n - e->start);

		if (lf != NULL)
			return take_line(e, (size_t)(lf - from), ret);
		if (e->eof && e->n > e->start)
			return take_line(e, e->n - e->start, ret);
		if (e->eof)
			return EDIT_EOF;
		if (!edit_wait(e))
			return e->end;
		fill(e);
	}
}

enum edit_end
edit_read(struct edit *e, char **ret)
{
	enum edit_end end;

	e->end = EDIT_NONE;
	free(e->text);
	e->text = NULL;
	end = e->line != NULL ? edit_line_read(e, ret) : read_plain(e, ret);
	assert(end != EDIT_NONE);
	e->end = end;
	return end;
}
