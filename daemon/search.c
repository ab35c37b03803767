#include "daemon/search.h"

#include "daemon/fold.h"
#include "daemon/store_db.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
	PAGE_ROWS = 4096,
	PAGES_MAX = 1 << 20,
	OPENED_MAX = 20000,   /* rows that one call opens at most */
	LOOKED_MAX = 4000000, /* and whose bits it looks at */
};

struct bits {
	uint64_t w[4];
}; /* all ones: nobody looked at that row */

struct page {
	struct bits row[PAGE_ROWS];
};

struct search {
	struct store *store; /* borrowed */
	struct page **pages; /* owned, by row; NULL: nobody looked */
	size_t n_pages;
	/* Rows up to `known` were looked at, and those from `at` to `top`;
	 * between them is what is to be gathered. */
	int64_t known, at, top;
	struct fold fold;
	struct store_buf buf;
};

/* The words of a query. */
struct words {
	struct fold fold;
	struct {
		const struct fold_point *p;
		size_t n;
	} w[SEARCH_WORDS_MAX];
	size_t n;
	struct bits bits; /* that a text with all of them has */
};

void
search_free(struct search *s)
{
	if (!s)
		return;
	store_watch_texts(s->store, NULL, NULL);
	for (size_t i = 0; i < s->n_pages; i++) {
		if (s->pages[i])
			sodium_memzero(s->pages[i], sizeof(*s->pages[i]));
		free(s->pages[i]);
	}
	free(s->pages);
	fold_clear(&s->fold);
	store_buf_clear(&s->buf);
	free(s);
}

/* ---- bits ---- */

static void
set_bits(struct bits *b, const struct fold_point *word, size_t n)
{
	uint8_t bit[FOLD_PREFIX];
	size_t count = fold_bits(word, n, bit);

	for (size_t i = 0; i < count; i++)
		b->w[bit[i] / 64] |= UINT64_C(1) << bit[i] % 64;
}

static bool
has_bits(const struct bits *b, const struct bits *want)
{
	for (size_t i = 0; i < 4; i++)
		if ((b->w[i] & want->w[i]) != want->w[i])
			return false;
	return true;
}

static void
bits_of(const struct fold *f, struct bits *ret)
{
	*ret = (struct bits){ { 0 } };
	for (size_t i = 0; i < f->n; i++)
		if (f->p[i].begins)
			set_bits(ret, f->p + i, f->n - i);
	/* A very long text sets them all and looks as if nobody had looked:
	 * it is opened for each word, as it may hold any. */
}

/* NULL: nobody looked there. */
static struct bits *
find(const struct search *s, int64_t row)
{
	size_t page = (size_t)(row / PAGE_ROWS);

	if (page >= s->n_pages || !s->pages[page])
		return NULL;
	return &s->pages[page]->row[row % PAGE_ROWS];
}

static struct bits *
make(struct search *s, int64_t row)
{
	size_t page = (size_t)(row / PAGE_ROWS);

	if (page >= PAGES_MAX)
		return NULL;
	if (page >= s->n_pages) {
		size_t n = page + 64;
		struct page **p = realloc(s->pages, n * sizeof(*p));

		if (!p)
			return NULL;
		for (size_t i = s->n_pages; i < n; i++)
			p[i] = NULL;
		s->pages = p;
		s->n_pages = n;
	}
	if (!s->pages[page]) {
		s->pages[page] = malloc(sizeof(*s->pages[page]));
		if (!s->pages[page])
			return NULL;
		memset(s->pages[page], 0xff, sizeof(*s->pages[page]));
	}
	return &s->pages[page]->row[row % PAGE_ROWS];
}
/* ---- rows ---- */

/* Another text, or none, may stand there. */
static void
changed(void *ctx, int64_t row)
{
	struct search *s = ctx;
	struct bits *b = find(s, row);

	if (b)
		memset(b, 0xff, sizeof(*b));
}

struct search *
search_new(struct store *store)
{
	struct search *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->store = store;
	store_watch_texts(store, changed, s);
	return s;
}

static bool
is_known(const struct bits *b)
{
	static const struct bits unknown = { { UINT64_MAX, UINT64_MAX,
	    UINT64_MAX, UINT64_MAX } };

	return b && memcmp(b, &unknown, sizeof(unknown)) != 0;
}

/* Opens a row and learns its words; they are in s->fold then. ERR_NOT_FOUND:
 * there is no text. */
static enum err
look(struct search *s, int64_t row, struct store_message *ret)
{
	struct bits *b = make(s, row);
	enum err err = store_message_at(s->store, row, &s->buf, ret);

	if (err == ERR_AUTH)
		err = ERR_NOT_FOUND;
	if (!err && (ret->m.kind != MESSAGE_TEXT || ret->deleted))
		err = ERR_NOT_FOUND;
	if (!err)
		err = fold_text(&s->fold, ret->m.text);
	if (b && !err)
		bits_of(&s->fold, b);
	else if (b && err == ERR_NOT_FOUND)
		*b = (struct bits){ { 0 } };
	return err;
}

bool
search_gather(struct search *s, size_t n)
{
	struct store_message m;

	if (!store_has_key(s->store))
		return false;
	if (s->at <= s->known) { /* what came since then */
		int64_t top;

		if (store_last_row(s->store, &top))
			return false;
		s->known = s->top;
		s->top = s->at = top;
	}
	for (; s->at > s->known && n > 0; s->at--) {
		enum err err;

		if (is_known(find(s, s->at)))
			continue;
		err = look(s, s->at, &m);
		if (err && err != ERR_NOT_FOUND)
			return false; /* it is opened when somebody searches */
		n--;
	}
	return s->at > s->known;
}

/* ---- a query ---- */

static enum err
read_words(struct words *w, struct span text)
{
	enum err err = fold_text(&w->fold, text);

	for (size_t i = 0; i < w->fold.n && !err; i++) {
		size_t n = 0;

		if (w->fold.p[i].point == 0)
			continue;
		while (i + n < w->fold.n && w->fold.p[i + n].point != 0)
			n++;
		if (w->n == SEARCH_WORDS_MAX)
			return ERR_MALFORMED;
		w->w[w->n].p = w->fold.p + i;
		w->w[w->n++].n = n;
		set_bits(&w->bits, w->fold.p + i, n);
		i += n;
	}
	return err ? err : w->n > 0 ? ERR_OK : ERR_MALFORMED;
}

/* Where the match that begins at point i of n points ends in the text. */
static uint32_t
end_of(const struct fold *f, size_t i, size_t n, size_t text_n)
{
	uint32_t last = f->p[i + n - 1].at;

	for (size_t k = i + n; k < f->n; k++)
		if (f->p[k].at != last)
			return f->p[k].at;
	return (uint32_t)text_n;
}

static void
add_match(struct search_hit *h, uint32_t at, uint32_t end)
{
	size_t i = h->n_matches;

	if (i == SEARCH_MATCHES_MAX)
		return;
	while (i > 0 && h->match[i - 1].at > at) {
		h->match[i] = h->match[i - 1];
		i--;
	}
	h->match[i] = (struct search_match){ at, end - at };
	h->n_matches++;
}

/* Every word begins a word of the text in s->fold. */
static bool
is_hit(const struct search *s, const struct words *w, struct search_hit *ret)
{
	const struct fold *f = &s->fold;

	ret->n_matches = 0;
	for (size_t k = 0; k < w->n; k++) {
		bool any = false;

		for (size_t i = 0; i < f->n; i++) {
			if (!fold_matches(f, i, w->w[k].p, w->w[k].n))
				continue;
			any = true;
			add_match(ret, f->p[i].at,
			    end_of(f, i, w->w[k].n, ret->message->m.text.n));
		}
		if (!any)
			return false;
	}
	return true;
}

/* What a run has still to give. */
struct run {
	const struct search_query *q;
	struct words words; /* secret, owned */
	bool (*hit)(void *ctx, const struct search_hit *h);
	void *ctx;
	size_t n, opened, looked;
};

/* Is it one of those that are looked through? */
static bool
is_asked(const struct search_query *q, const struct store_message *m)
{
	if (q->has_conv &&
	    memcmp(&m->m.contact, &q->conv, sizeof(q->conv)) != 0)
		return false;
	if (q->has_ours && store_message_is_ours(m) != q->ours)
		return false;
	return m->m.sent_ms >= q->since_ms &&
	       (q->until_ms == 0 || m->m.sent_ms < q->until_ms);
}

static enum err
look_for(struct search *s, struct run *r, int64_t row, bool *ret_more)
{
	const struct bits *b = find(s, row);
	struct store_message m;
	struct search_hit h = { .message = &m };
	enum err err;

	*ret_more = true;
	r->looked++;
	if (b && !has_bits(b, &r->words.bits))
		return ERR_OK;
	r->opened++;
	err = look(s, row, &m);
	if (err)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	if (!is_asked(r->q, &m) || !is_hit(s, &r->words, &h))
		return ERR_OK;
	r->n++;
	*ret_more = r->hit(r->ctx, &h) && r->n < r->q->limit;
	return ERR_OK;
}

enum err
search_run(struct search *s, const struct search_query *q,
    bool (*hit)(void *ctx, const struct search_hit *h), void *ctx,
    int64_t *ret_next)
{
	struct run r = { .q = q, .hit = hit, .ctx = ctx };
	bool more = true;
	int64_t row = 0;
	enum err err;

	*ret_next = 0;
	if (!store_has_key(s->store))
		return ERR_STATE;
	err = read_words(&r.words, q->text);
	if (!err)
		err = store_last_row(s->store, &row);
	if (q->before > 0 && q->before <= row)
		row = q->before - 1;
	while (!err && more && row > 0 && r.opened < OPENED_MAX &&
	       r.looked < LOOKED_MAX)
		err = look_for(s, &r, row--, &more);
	if (!err && row > 0)
		*ret_next = row + 1;
	fold_clear(&r.words.fold);
	return err;
}
