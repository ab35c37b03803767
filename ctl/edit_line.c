/*
 * The line being typed, edited by libedit. Lines of others come while it
 * waits for a key, within its function that reads one: the rows of the line
 * are counted and cleared, the others printed, and the line drawn anew below.
 */
#include "ctl/edit_impl.h"

#ifndef BTCHAT_EDIT

bool
edit_can(void)
{
	return false;
}

struct edit_line *
edit_line_new(struct edit *e)
{
	(void)e;
	return NULL;
}

void
edit_line_free(struct edit_line *l)
{
	(void)l;
}

enum edit_end
edit_line_read(struct edit *e, char **ret)
{
	(void)e;
	(void)ret;
	return EDIT_EOF;
}

char *
edit_line_text(const struct edit_line *l)
{
	(void)l;
	return NULL;
}

void
edit_line_hide(struct edit *e)
{
	(void)e;
}

void
edit_line_show(struct edit *e)
{
	(void)e;
}

void
edit_line_resized(struct edit *e)
{
	(void)e;
}

void
edit_line_suspend(struct edit *e)
{
	(void)e;
}

#else

#include "ctl/value.h"

#include <errno.h>
#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

enum {
	REMEMBERED = 200, /* lines that the arrow keys bring back */
	COLUMNS_DEFAULT = 80,
	TAB_COLUMNS = 8,
	CONTROL_COLUMNS = 2,  /* ^A */
	UNKNOWN_COLUMNS = 7,  /* \U+1234, as libedit shows it */
	UNKNOWN_COLUMNS_L = 8 /* \U+12345 */
};

struct edit_line {
	EditLine *el;
	HistoryW *history;
	wchar_t *seen; /* owned: the text that hooks.typed was told of */
	size_t n_seen;
	mbstate_t mb; /* of the bytes of a key */
	bool reading, hidden;
	bool pasting; /* what comes is text, also line breaks and controls */
	bool escape;  /* but this, which may say that the paste ends */
	bool dirty;   /* there is text that the screen does not have */
	size_t dirty_row; /* where the cursor is then */
};

/* The terminal says where what is pasted begins and ends. */
#define PASTES_ON   "\033[?2004h"
#define PASTES_OFF  "\033[?2004l"
#define PASTE_BEGIN L"\033[200~"
#define PASTE_END   L"\033[201~"

bool
edit_can(void)
{
	const char *term = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term != NULL &&
	       term[0] != '\0' && strcmp(term, "dumb") != 0 && MB_CUR_MAX > 1;
}

/* ---- where the cursor is ---- */

static size_t
columns(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		return COLUMNS_DEFAULT;
	return size.ws_col;
}

struct place {
	size_t row, col, cols;
};

static void
advance(struct place *p, size_t width)
{
	if (p->col + width > p->cols) {
		p->row++;
		p->col = 0;
	}
	p->col += width;
	if (p->col >= p->cols) {
		p->row++;
		p->col = 0;
	}
}

/* As libedit draws a character, see refresh.c and chartype.c there. */
static void
pass(struct place *p, wchar_t c)
{
	int width = wcwidth(c);

	if (c == L'\n') {
		p->row++;
		p->col = 0;
	} else if (c == L'\t') {
		do
			advance(p, 1);
		while (p->col % TAB_COLUMNS != 0);
	} else if (c < L' ' || c == 0x7f) {
		for (int i = 0; i < CONTROL_COLUMNS; i++)
			advance(p, 1);
	} else if (width < 0) {
		int n = c > 0xffff ? UNKNOWN_COLUMNS_L : UNKNOWN_COLUMNS;

		for (int i = 0; i < n; i++)
			advance(p, 1);
	} else {
		advance(p, (size_t)width);
	}
}

static void
pass_prompt(struct place *p, const char *prompt)
{
	mbstate_t mb = { 0 };
	bool literal = false;
	wchar_t c;

	while (prompt != NULL && *prompt != '\0') {
		size_t n = mbrtowc(&c, prompt, strlen(prompt), &mb);

		if (n == 0 || n > strlen(prompt))
			return;
		prompt += n;
		if (c == L'\001')
			literal = !literal;
		else if (!literal)
			pass(p, c);
	}
}

/* Rows from the first one of the prompt down to what follows the text. */
static size_t
row_behind(const struct edit *e, const wchar_t *text, size_t n)
{
	struct place p = { .cols = columns() };

	pass_prompt(&p, e->prompt);
	for (size_t i = 0; i < n; i++)
		pass(&p, text[i]);
	return p.row;
}

static size_t
cursor_row(const struct edit *e)
{
	const LineInfoW *li = el_wline(e->line->el);

	return row_behind(e, li->buffer, (size_t)(li->cursor - li->buffer));
}

static void
clear_from(size_t rows_up)
{
	(void)fputs("\r", stdout);
	if (rows_up > 0)
		(void)printf("\033[%zuA", rows_up);
	(void)fputs("\033[J", stdout);
	(void)fflush(stdout);
}

void
edit_line_hide(struct edit *e)
{
	struct edit_line *l = e->line;

	if (!l->reading || l->hidden)
		return;
	clear_from(l->dirty ? l->dirty_row : cursor_row(e));
	l->hidden = true;
}

void
edit_line_show(struct edit *e)
{
	struct edit_line *l = e->line;

	if (!l->reading || !l->hidden)
		return;
	(void)fflush(stdout);
	(void)fflush(stderr);
	l->hidden = false;
	l->dirty = false;
	(void)el_wset(l->el, EL_REFRESH);
}

void
edit_line_resized(struct edit *e)
{
	edit_line_hide(e);
	el_resize(e->line->el);
	edit_line_show(e);
}

/* Ctrl-Z: the shell gets its terminal as it was. */
void
edit_line_suspend(struct edit *e)
{
	edit_line_hide(e);
	(void)el_wset(e->line->el, EL_PREP_TERM, 0);
	(void)raise(SIGSTOP);
	(void)el_wset(e->line->el, EL_PREP_TERM, 1);
	el_resize(e->line->el);
	edit_line_show(e);
}

/* ---- text ---- */

static char *
narrow(const wchar_t *text, size_t n)
{
	char *ret = value_alloc(n * MB_CUR_MAX + 1);
	mbstate_t mb = { 0 };
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		size_t more = wcrtomb(ret + used, text[i], &mb);

		if (more != (size_t)-1)
			used += more;
		else
			mb = (mbstate_t){ 0 };
	}
	ret[used] = '\0';
	return ret;
}

static wchar_t *
widen(const char *text)
{
	size_t n = strlen(text);
	wchar_t *ret = value_alloc((n + 1) * sizeof(*ret));
	mbstate_t mb = { 0 };
	size_t used = 0;

	while (n > 0) {
		size_t more = mbrtowc(&ret[used], text, n, &mb);

		if (more == 0 || more > n) { /* not UTF-8: one byte less */
			mb = (mbstate_t){ 0 };
			more = 1;
		} else {
			used++;
		}
		text += more;
		n -= more;
	}
	ret[used] = L'\0';
	return ret;
}

char *
edit_line_text(const struct edit_line *l)
{
	const LineInfoW *li = el_wline(l->el);

	return narrow(li->buffer, (size_t)(li->lastchar - li->buffer));
}

/* ---- reading ---- */

/* Says so once for each text that was there when a key was waited for. */
static void
tell_typed(struct edit *e)
{
	struct edit_line *l = e->line;
	const LineInfoW *li = el_wline(l->el);
	size_t n = (size_t)(li->lastchar - li->buffer);

	if (n == l->n_seen && (n == 0 || wmemcmp(li->buffer, l->seen, n) == 0))
		return;
	l->seen = value_realloc(l->seen, (n + 1) * sizeof(*l->seen));
	if (n > 0)
		(void)wmemcpy(l->seen, li->buffer, n);
	l->n_seen = n;
	e->hooks.typed(e->hooks.ctx);
}

static void
put_preset(struct edit *e)
{
	wchar_t *text = widen(e->preset);

	free(e->preset);
	e->preset = NULL;
	edit_line_hide(e);
	(void)el_winsertstr(e->line->el, text);
	edit_line_show(e);
	free(text);
}

/* One key, of one or more bytes. */
static int
read_key(struct edit *e, wchar_t *ret)
{
	struct edit_line *l = e->line;

	for (;;) {
		char c = 0;
		ssize_t got = read(STDIN_FILENO, &c, 1);
		size_t n;

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			e->end = EDIT_EOF;
			return 0;
		}
		n = mbrtowc(ret, &c, 1, &l->mb);
		if (n == (size_t)-1)
			l->mb = (mbstate_t){ 0 };
		else if (n != (size_t)-2)
			return 1;
	}
}

/* What is pasted becomes part of the line as it is: no line break sends it,
 * and no control character does anything. */
static bool
take_pasted(const struct edit *e, wchar_t c)
{
	const wchar_t text[] = { c == L'\r' ? L'\n' : c, L'\0' };
	struct edit_line *l = e->line;

	if (!l->pasting || c == L'\0')
		return false;
	if (c == L'\033' || l->escape) {
		l->escape =
		    c == L'\033' || c == L'[' || (c >= L'0' && c <= L'9');
		return false;
	}
	if (!l->dirty)
		l->dirty_row = cursor_row(e);
	l->dirty = true;
	(void)el_winsertstr(l->el, text);
	return true;
}

static struct edit *
edit_of(EditLine *el)
{
	struct edit *e = NULL;

	(void)el_wget(el, EL_CLIENTDATA, &e);
	return e;
}

static int
get_key(EditLine *el, wchar_t *ret)
{
	struct edit *e = edit_of(el);

	if (e->preset != NULL)
		put_preset(e);
	tell_typed(e);
	while (edit_wait(e) && read_key(e, ret) == 1)
		if (!take_pasted(e, *ret))
			return 1;
	e->text = edit_line_text(e->line);
	edit_line_hide(e);
	return 0;
}

static unsigned char
page_up(EditLine *el, int key)
{
	const struct edit *e = edit_of(el);

	(void)key;
	e->hooks.page(e->hooks.ctx);
	return CC_NORM;
}

static unsigned char
paste_begin(EditLine *el, int key)
{
	(void)key;
	edit_of(el)->line->pasting = true;
	return CC_NORM;
}

static unsigned char
paste_end(EditLine *el, int key)
{
	struct edit_line *l = edit_of(el)->line;

	(void)key;
	l->pasting = false;
	l->dirty = false;
	return CC_REFRESH;
}

static wchar_t *
give_prompt(EditLine *el)
{
	static wchar_t *kept;
	const struct edit *e = edit_of(el);

	free(kept);
	kept = widen(e->prompt != NULL ? e->prompt : "> ");
	return kept;
}

static void
bind_keys(EditLine *el)
{
	(void)el_wset(el, EL_EDITOR, L"emacs");
	(void)el_wset(
	    el, EL_ADDFN, L"page-up", L"show older messages", page_up);
	(void)el_wset(el, EL_BIND, L"\033[5~", L"page-up", NULL);
	(void)el_wset(el, EL_ADDFN, L"paste-begin", L"text comes", paste_begin);
	(void)el_wset(el, EL_ADDFN, L"paste-end", L"text came", paste_end);
	(void)el_wset(el, EL_BIND, PASTE_BEGIN, L"paste-begin", NULL);
	(void)el_wset(el, EL_BIND, PASTE_END, L"paste-end", NULL);
	(void)el_wset(el, EL_BIND, L"\033[3~", L"ed-delete-next-char", NULL);
	(void)el_wset(el, EL_BIND, L"\033[H", L"ed-move-to-beg", NULL);
	(void)el_wset(el, EL_BIND, L"\033[F", L"ed-move-to-end", NULL);
	(void)el_wset(el, EL_BIND, L"^R", L"em-inc-search-prev", NULL);
}

struct edit_line *
edit_line_new(struct edit *e)
{
	struct edit_line *l = value_alloc(sizeof(*l));
	HistEventW ev;

	l->el = el_init("btchatctl", stdin, stdout, stderr);
	l->history = history_winit();
	if (l->el == NULL || l->history == NULL) {
		edit_line_free(l);
		return NULL;
	}
	(void)history_w(l->history, &ev, H_SETSIZE, REMEMBERED);
	(void)history_w(l->history, &ev, H_SETUNIQUE, 1);
	(void)el_wset(l->el, EL_CLIENTDATA, e);
	(void)el_wset(l->el, EL_SIGNAL, 0);
	(void)el_wset(l->el, EL_GETCFN, get_key);
	(void)el_wset(l->el, EL_PROMPT_ESC, give_prompt, L'\001');
	(void)el_wset(l->el, EL_HIST, history_w, l->history);
	bind_keys(l->el);
	return l;
}

void
edit_line_free(struct edit_line *l)
{
	if (l == NULL)
		return;
	if (l->history != NULL)
		history_wend(l->history);
	if (l->el != NULL) {
		(void)el_wset(l->el, EL_PREP_TERM, 0);
		el_end(l->el);
	}
	free(l->seen);
	free(l);
}

/* What was entered goes from the screen: it comes back as a message. */
static enum edit_end
take_entered(struct edit *e, const wchar_t *text, size_t n, char **ret)
{
	HistEventW ev;

	/* libedit has given the terminal back, which would now eat a Ctrl-D
	 * that is typed while the line is sent. */
	(void)el_wset(e->line->el, EL_PREP_TERM, 1);
	if (n > 0 && text[n - 1] == L'\n')
		n--;
	clear_from(row_behind(e, text, n) + 1);
	if (n * MB_CUR_MAX > (size_t)EDIT_LINE_MAX * 4)
		return EDIT_TOO_LONG;
	*ret = narrow(text, n);
	if (n > 0) {
		wchar_t *copy = widen(*ret);

		(void)history_w(e->line->history, &ev, H_ENTER, copy);
		free(copy);
	}
	return EDIT_LINE;
}

enum edit_end
edit_line_read(struct edit *e, char **ret)
{
	struct edit_line *l = e->line;
	const wchar_t *text;
	int n = 0;

	l->reading = true;
	l->hidden = false;
	l->pasting = false;
	l->escape = false;
	l->dirty = false;
	l->n_seen = 0;
	(void)fputs(PASTES_ON, stdout);
	text = el_wgets(l->el, &n);
	(void)fputs(PASTES_OFF, stdout);
	if (e->end == EDIT_NONE && text == NULL) /* Ctrl-D on an empty line */
		edit_line_hide(e);
	l->reading = false;
	if (e->end != EDIT_NONE)
		return e->end;
	if (text == NULL || n <= 0)
		return EDIT_EOF;
	return take_entered(e, text, (size_t)n, ret);
}

#endif /* BTCHAT_EDIT */
