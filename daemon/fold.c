#include "daemon/fold.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { POINTS_MAX = 18 }; /* that one code point becomes, at most */

static enum err
grow(struct fold *f, size_t more)
{
	size_t cap = f->cap ? f->cap : 256;
	struct fold_point *p;

	while (cap < f->n + more)
		cap *= 2;
	if (cap == f->cap)
		return ERR_OK;
	p = malloc(cap * sizeof(*p));
	if (!p)
		return ERR_NOMEM;
	if (f->n > 0)
		memcpy(p, f->p, f->n * sizeof(*p));
	if (f->p)
		sodium_memzero(f->p, f->cap * sizeof(*p));
	free(f->p);
	f->p = p;
	f->cap = cap;
	return ERR_OK;
}

void
fold_clear(struct fold *f)
{
	if (f->p)
		sodium_memzero(f->p, f->cap * sizeof(*f->p));
	free(f->p);
	*f = (struct fold){ 0 };
}

/* Scripts in which words stand together: Thai to Khmer, kana, Han. */
static bool
is_unparted(uint32_t c)
{
	return (c >= 0x0e00 && c <= 0x0eff) || (c >= 0x1000 && c <= 0x109f) ||
	       (c >= 0x1780 && c <= 0x17ff) || (c >= 0x3040 && c <= 0x30ff) ||
	       (c >= 0x3400 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) ||
	       (c >= 0x20000 && c <= 0x3ffff);
}

static bool
is_of_word(uint32_t c)
{
	utf8proc_category_t k;

	if (c < 0x80)
		return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
	k = utf8proc_category((utf8proc_int32_t)c);
	return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NO) ||
	       k == UTF8PROC_CATEGORY_SO; /* emoji */
}

static void
add(struct fold *f, uint32_t c, size_t at)
{
	struct fold_point *p = &f->p[f->n];
	bool parted = f->n == 0 || f->p[f->n - 1].point == 0;

	if (!is_of_word(c)) {
		if (parted)
			return;
		c = 0;
	}
	*p = (struct fold_point){ c, (uint32_t)at, false };
	p->begins = c != 0 && (parted || is_unparted(c) ||
	                          is_unparted(f->p[f->n - 1].point));
	f->n++;
}

/* One code point of text from *at on. */
static void
fold_one(struct fold *f, struct span text, size_t *at)
{
	static const utf8proc_option_t how =
	    (utf8proc_option_t)(UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE |
	                        UTF8PROC_CASEFOLD | UTF8PROC_STRIPMARK |
	                        UTF8PROC_IGNORE);
	utf8proc_int32_t c, to[POINTS_MAX];
	utf8proc_ssize_t n;
	int last = UTF8PROC_BOUNDCLASS_START;
	size_t from = *at;

	if (text.p[from] < 0x80) { /* mostly */
		uint8_t b = text.p[from];

		add(f, b >= 'A' && b <= 'Z' ? b + 32u : b, from);
		++*at;
		return;
	}
	n = utf8proc_iterate(
	    text.p + from, (utf8proc_ssize_t)(text.n - from), &c);
	assert(n > 0); /* it was valid */
	*at += (size_t)n;
	n = utf8proc_decompose_char(c, to, POINTS_MAX, how, &last);
	for (utf8proc_ssize_t i = 0; i < n && i < POINTS_MAX; i++)
		add(f, (uint32_t)to[i], from);
}

enum err
fold_text(struct fold *f, struct span text)
{
	enum err err = ERR_OK;

	assert(text.n <= UINT32_MAX);
	f->n = 0;
	for (size_t at = 0; at < text.n && !err;) {
		err = grow(f, POINTS_MAX);
		if (!err)
			fold_one(f, text, &at);
	}
	return err;
}

bool
fold_matches(
    const struct fold *f, size_t i, const struct fold_point *word, size_t n)
{
	if (!f->p[i].begins || f->n - i < n)
		return false;
	for (size_t k = 0; k < n; k++)
		if (f->p[i + k].point != word[k].point)
			return false;
	return true;
}

size_t
fold_bits(const struct fold_point *word, size_t n, uint8_t ret[FOLD_PREFIX])
{
	uint32_t h = 2166136261u;
	size_t i;

	for (i = 0; i < n && i < FOLD_PREFIX && word[i].point != 0; i++) {
		h = (h ^ word[i].point) * 16777619u;
		ret[i] = (uint8_t)((h ^ h >> 8 ^ h >> 16 ^ h >> 24) & 0xff);
	}
	return i;
}
