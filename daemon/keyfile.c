#include "daemon/keyfile.h"

#include "daemon/keyslot.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
	PAGE_KEYS = 100,
	ENTRY = 8 + KEYFILE_KEY_SIZE,
	PAGES_MAX = KEYFILE_KEYS_MAX / PAGE_KEYS,
};
_Static_assert(PAGE_KEYS *(int)ENTRY <= KEYSLOT_PLAIN, "they fit");

/* What the transaction is about to do with a key. */
enum state {
	FREE = 0,
	NEW,    /* added, in memory only */
	COMING, /* to be a spare, in memory only */
	SPARE,  /* in the file, for who wants one; no number to look up */
	FRESH,  /* added, in the file */
	LIVE,   /* committed */
	DOOMED, /* dropped; lives until the commit */
	DEAD,   /* to be overwritten in the file */
};

struct entry {
	uint64_t number;
	enum state state;
};

struct page {
	uint64_t generation; /* of what is in the file */
	unsigned next;       /* the slot to write first */
	bool dirty;          /* a new key is to be written */
	bool erase;          /* a dead one is to be overwritten */
	bool bad;            /* neither slot opens */
};

/* By number, for look-ups; without the dead. */
struct place {
	uint64_t number;
	uint32_t at; /* of the entry */
};

struct keyfile {
	struct keyslots slots;
	size_t n_pages, cap_pages;
	struct page *pages;                /* owned */
	struct entry *entries;             /* owned; PAGE_KEYS a page */
	uint8_t (*keys)[KEYFILE_KEY_SIZE]; /* owned, locked memory */
	struct place *places;              /* owned, sorted */
	size_t n_places;
	size_t free_from; /* no free entry below */
	uint64_t last_number;
	uint32_t spares[KEYFILE_SPARES]; /* entries */
	size_t n_spares;
	bool changed; /* the transaction added or dropped */
};

/* ---- memory ---- */

/* Locked, or not at all. */
static void *
locked_alloc(size_t n)
{
	void *p = sodium_malloc(n);

	if (p && sodium_mlock(p, n) != 0) {
		sodium_free(p);
		return NULL;
	}
	return p;
}

static void *
grown(const void *old, size_t n_old, size_t n_new)
{
	void *p = calloc(1, n_new);

	if (p && n_old > 0)
		memcpy(p, old, n_old);
	return p;
}

static enum err
reserve_pages(struct keyfile *f, size_t n)
{
	size_t cap = f->cap_pages ? f->cap_pages : 1;
	size_t old = f->n_pages;
	struct page *pages;
	struct entry *entries;
	struct place *places;
	uint8_t(*keys)[KEYFILE_KEY_SIZE];

	if (n > PAGES_MAX)
		return ERR_LIMIT;
	if (n <= f->cap_pages)
		return ERR_OK;
	while (cap < n)
		cap *= 2;
	pages = grown(f->pages, old * sizeof(*pages), cap * sizeof(*pages));
	entries = grown(f->entries, old * PAGE_KEYS * sizeof(*entries),
	    cap * PAGE_KEYS * sizeof(*entries));
	places = grown(f->places, f->n_places * sizeof(*places),
	    cap * PAGE_KEYS * sizeof(*places));
	keys = locked_alloc(cap * PAGE_KEYS * sizeof(*keys));
	if (!pages || !entries || !places || !keys) {
		free(pages);
		free(entries);
		free(places);
		sodium_free(keys);
		return ERR_NOMEM;
	}
	if (old > 0)
		memcpy(keys, f->keys, old * PAGE_KEYS * sizeof(*keys));
	free(f->pages);
	free(f->entries);
	free(f->places);
	sodium_free(f->keys); /* wipes */
	f->pages = pages;
	f->entries = entries;
	f->places = places;
	f->keys = keys;
	f->cap_pages = cap;
	return ERR_OK;
}

/* ---- by number ---- */

/* The first place that is not below. */
static size_t
place_of(const struct keyfile *f, uint64_t number)
{
	size_t low = 0;
	size_t high = f->n_places;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (f->places[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct place *
find(const struct keyfile *f, uint64_t number)
{
	size_t i = place_of(f, number);

	if (i < f->n_places && f->places[i].number == number)
		return &f->places[i];
	return NULL;
}

static void
place_add(struct keyfile *f, uint64_t number, uint32_t at)
{
	size_t i = place_of(f, number);

	assert(f->n_places < f->cap_pages * PAGE_KEYS);
	memmove(&f->places[i + 1], &f->places[i],
	    (f->n_places - i) * sizeof(f->places[0]));
	f->places[i] = (struct place){ number, at };
	f->n_places++;
}

static void
place_remove(struct keyfile *f, uint64_t number)
{
	struct place *p = find(f, number);

	assert(p != NULL);
	f->n_places--;
	memmove(p, p + 1, (size_t)(&f->places[f->n_places] - p) * sizeof(*p));
}

/* ---- entries ---- */

static void
set_free(struct keyfile *f, size_t at)
{
	sodium_memzero(f->keys[at], sizeof(f->keys[at]));
	f->entries[at] = (struct entry){ 0, FREE };
	if (at < f->free_from)
		f->free_from = at;
}

/* In the file or not, it is no key any more. */
static void
set_dead(struct keyfile *f, size_t at)
{
	struct entry *e = &f->entries[at];

	place_remove(f, e->number);
	if (e->state == NEW) {
		set_free(f, at);
		return;
	}
	e->state = DEAD;
	sodium_memzero(f->keys[at], sizeof(f->keys[at]));
	f->pages[at / PAGE_KEYS].erase = true;
}

static size_t
find_free(struct keyfile *f)
{
	size_t n = f->n_pages * PAGE_KEYS;
	size_t at = f->free_from;

	while (at < n &&
	       (f->entries[at].state != FREE || f->pages[at / PAGE_KEYS].bad))
		at++;
	f->free_from = at;
	return at;
}

const uint8_t *
keyfile_find(const struct keyfile *f, uint64_t number)
{
	const struct place *p = find(f, number);

	return p ? f->keys[p->at] : NULL;
}

static enum err
draw(struct keyfile *f, enum state state, size_t *ret_at)
{
	size_t at = find_free(f);
	enum err err;

	if (at == f->n_pages * PAGE_KEYS) {
		err = reserve_pages(f, f->n_pages + 1);
		if (err)
			return err;
		f->pages[f->n_pages++] = (struct page){ .next = 0 };
	}
	randombytes_buf(f->keys[at], sizeof(f->keys[at]));
	f->entries[at] = (struct entry){ ++f->last_number, state };
	f->pages[at / PAGE_KEYS].dirty = true;
	*ret_at = at;
	return ERR_OK;
}

enum err
keyfile_add(struct keyfile *f, uint64_t *ret_number)
{
	size_t at;
	enum err err = ERR_OK;

	if (f->n_spares > 0) {
		at = f->spares[--f->n_spares];
		f->entries[at].state = FRESH;
	} else {
		err = draw(f, NEW, &at);
	}
	if (err)
		return err;
	f->changed = true;
	*ret_number = f->entries[at].number;
	place_add(f, *ret_number, (uint32_t)at);
	return ERR_OK;
}

enum err
keyfile_put(
    struct keyfile *f, uint64_t number, const uint8_t key[KEYFILE_KEY_SIZE])
{
	size_t at;
	enum err err;

	if (number == 0)
		return ERR_MALFORMED;
	if (find(f, number))
		return ERR_EXISTS;
	err = draw(f, NEW, &at);
	if (err)
		return err;
	f->changed = true;
	keyfile_reserve(f, number);
	f->entries[at].number = number;
	memcpy(f->keys[at], key, KEYFILE_KEY_SIZE);
	place_add(f, number, (uint32_t)at);
	return ERR_OK;
}

void
keyfile_reserve(struct keyfile *f, uint64_t number)
{
	if (number > f->last_number)
		f->last_number = number;
}

void
keyfile_drop(struct keyfile *f, uint64_t number)
{
	const struct place *p = find(f, number);

	if (!p)
		return;
	f->changed = true;
	if (f->entries[p->at].state == NEW)
		set_dead(f, p->at);
	else
		f->entries[p->at].state = DOOMED;
}

void
keyfile_each(
    const struct keyfile *f, bool (*row)(void *ctx, uint64_t number), void *ctx)
{
	for (size_t i = 0; i < f->n_pages * PAGE_KEYS; i++)
		if (f->entries[i].state == LIVE &&
		    !row(ctx, f->entries[i].number))
			break;
}

/* ---- pages ---- */

/* The page as it is to be, where a slot has it. */
static void
make_page(const struct keyfile *f, size_t page, uint8_t out[KEYSLOT_SIZE])
{
	const struct entry *e = &f->entries[page * PAGE_KEYS];
	struct writer w = wr_init(out + KEYSLOT_HEAD, KEYSLOT_PLAIN);

	memset(out, 0, KEYSLOT_SIZE);
	for (size_t i = 0; i < PAGE_KEYS; i++) {
		if (e[i].state == FREE || e[i].state == DEAD)
			continue;
		wr_u64le(&w, e[i].number);
		wr_bytes(&w, f->keys[page * PAGE_KEYS + i], KEYFILE_KEY_SIZE);
	}
	assert(!w.bad);
}

static bool
is_due(const struct page *p, bool erase)
{
	return !p->bad && (erase ? p->erase : p->dirty || p->erase);
}

static enum err
write_slots(struct keyfile *f, bool erase)
{
	uint8_t buf[KEYSLOT_SIZE];
	enum err err = ERR_OK;

	for (size_t i = 0; i < f->n_pages && !err; i++) {
		if (!is_due(&f->pages[i], erase))
			continue;
		make_page(f, i, buf);
		err = keyslots_write(&f->slots, i, f->pages[i].next,
		    f->pages[i].generation, buf);
	}
	return err;
}

/* Writes pages that are due to one slot each, syncs, writes the others. The
 * first ones are durable then; the others may be torn, so that the next write
 * begins with them. */
static enum err
write_pages(struct keyfile *f, bool erase)
{
	enum err err;

	for (size_t i = 0; i < f->n_pages; i++)
		if (is_due(&f->pages[i], erase))
			f->pages[i].generation++;
	err = write_slots(f, erase);
	if (!err)
		err = keyslots_sync(&f->slots);
	if (err)
		return err;
	for (size_t i = 0; i < f->n_pages; i++)
		if (is_due(&f->pages[i], erase))
			f->pages[i].next = 1 - f->pages[i].next;
	return write_slots(f, erase);
}

/* ---- the transaction ---- */

static bool
any_due(const struct keyfile *f, bool erase)
{
	for (size_t i = 0; i < f->n_pages; i++)
		if (!f->pages[i].bad &&
		    (erase ? f->pages[i].erase : f->pages[i].dirty))
			return true;
	return false;
}

/* Those that come cost nothing more now. */
static void
add_spares(struct keyfile *f)
{
	for (size_t n = f->n_spares; n < KEYFILE_SPARES; n++) {
		size_t at;

		if (draw(f, COMING, &at))
			break; /* there are none then */
	}
}

enum err
keyfile_sync(struct keyfile *f)
{
	enum err err;

	if (!any_due(f, false))
		return ERR_OK;
	add_spares(f);
	err = write_pages(f, false);
	for (size_t i = 0; i < f->n_pages * PAGE_KEYS && !err; i++) {
		struct entry *e = &f->entries[i];

		if (e->state == NEW) {
			e->state = FRESH;
		} else if (e->state == COMING) {
			e->state = SPARE;
			f->spares[f->n_spares++] = (uint32_t)i;
		}
	}
	for (size_t i = 0; i < f->n_pages && !err; i++)
		f->pages[i].dirty = false;
	return err;
}

/* Both slots without the dead ones, and both synced. */
static enum err
erase_dead(struct keyfile *f)
{
	enum err err;

	if (!any_due(f, true))
		return ERR_OK;
	err = write_pages(f, true);
	if (!err)
		err = keyslots_sync(&f->slots);
	if (err)
		return err;
	for (size_t i = 0; i < f->n_pages * PAGE_KEYS; i++)
		if (f->entries[i].state == DEAD)
			set_free(f, i);
	for (size_t i = 0; i < f->n_pages; i++)
		f->pages[i].erase = f->pages[i].bad && f->pages[i].erase;
	return ERR_OK;
}

enum err
keyfile_commit(struct keyfile *f)
{
	for (size_t i = 0; i < f->n_pages * PAGE_KEYS && f->changed; i++) {
		assert(f->entries[i].state != NEW);
		if (f->entries[i].state == FRESH)
			f->entries[i].state = LIVE;
		else if (f->entries[i].state == DOOMED)
			set_dead(f, i);
	}
	f->changed = false;
	return erase_dead(f);
}

void
keyfile_rollback(struct keyfile *f)
{
	f->changed = false;
	for (size_t i = 0; i < f->n_pages * PAGE_KEYS; i++) {
		enum state state = f->entries[i].state;

		if (state == NEW || state == FRESH)
			set_dead(f, i);
		else if (state == COMING)
			set_free(f, i);
		else if (state == DOOMED)
			f->entries[i].state = LIVE;
	}
	/* A write that failed half-way may have put it into the file. */
	for (size_t i = 0; i < f->n_pages; i++) {
		f->pages[i].erase |= f->pages[i].dirty;
		f->pages[i].dirty = false;
	}
}

bool
keyfile_is_broken(const struct keyfile *f)
{
	return f->slots.broken;
}

/* ---- opening ---- */

static void
take_entries(struct keyfile *f, size_t page, const uint8_t slot[KEYSLOT_SIZE])
{
	struct reader r =
	    rd_init(span_of(slot + KEYSLOT_HEAD, PAGE_KEYS * ENTRY));

	for (size_t i = 0; i < PAGE_KEYS; i++) {
		size_t at = page * PAGE_KEYS + i;
		uint64_t number = rd_u64le(&r);

		rd_bytes(&r, f->keys[at], KEYFILE_KEY_SIZE);
		if (number == 0)
			continue;
		keyfile_reserve(f, number);
		f->entries[at] = (struct entry){ number, LIVE };
		/* Twice: written by two transactions, neither committed. */
		if (find(f, number)) {
			f->entries[at].state = DEAD;
			f->pages[page].erase = true;
		} else {
			place_add(f, number, (uint32_t)at);
		}
	}
}

/* Is there a key in the old slot that is not in the new one? */
static bool
holds_more(const uint8_t old[KEYSLOT_PLAIN], const uint8_t now[KEYSLOT_PLAIN])
{
	for (size_t i = 0; i < PAGE_KEYS; i++) {
		bool found = sodium_is_zero(old + i * ENTRY, 8);

		for (size_t k = 0; k < PAGE_KEYS && !found; k++)
			found =
			    memcmp(old + i * ENTRY, now + k * ENTRY, 8) == 0;
		if (!found)
			return true;
	}
	return false;
}

static enum err
load_page(struct keyfile *f, size_t page)
{
	struct page *p = &f->pages[page];
	uint8_t slot[2][KEYSLOT_SIZE];
	uint64_t generation[2] = { 0, 0 };
	bool good[2], empty[2];
	unsigned best;
	enum err err = ERR_OK;

	for (unsigned i = 0; i < 2 && !err; i++) {
		err = keyslots_read(
		    &f->slots, page, i, slot[i], &generation[i], &empty[i]);
		good[i] = generation[i] != 0;
	}
	if (err)
		goto out;
	best = generation[1] > generation[0];
	p->generation = generation[best];
	p->next = 1 - best;
	p->bad = !good[0] && !good[1] && !(empty[0] && empty[1]);
	if (good[best])
		take_entries(f, page, slot[best]);
	/* One was torn or damaged: the next commit makes two of it again. Or a
	 * crash was between the two writes that destroy a key. */
	if (good[0] != good[1] || (good[0] && good[1] &&
	                              holds_more(slot[1 - best] + KEYSLOT_HEAD,
	                                  slot[best] + KEYSLOT_HEAD)))
		p->erase = true;
out:
	sodium_memzero(slot, sizeof(slot));
	return err;
}

static enum err
load(struct keyfile *f)
{
	size_t n = 0;
	enum err err = keyslots_count(&f->slots, &n);

	if (!err)
		err = reserve_pages(f, n > 0 ? n : 1);
	if (err)
		return err == ERR_LIMIT ? ERR_MALFORMED : err;
	f->n_pages = n;
	/* Of a process that was killed, nothing may be durable yet. */
	err = keyslots_sync(&f->slots);
	for (size_t i = 0; i < n && !err; i++)
		err = load_page(f, i);
	return err;
}

enum err
keyfile_open(const char *dir, const uint8_t seal[KEYFILE_KEY_SIZE],
    bool may_create, struct keyfile **ret)
{
	struct keyfile *f = locked_alloc(sizeof(*f));
	enum err err;

	if (!f)
		return ERR_NOMEM;
	*f = (struct keyfile){ .slots = { .fd = -1 } };
	memcpy(f->slots.seal, seal, sizeof(f->slots.seal));
	err = keyslots_open(&f->slots, dir, may_create);
	if (!err)
		err = load(f);
	if (err)
		keyfile_close(f);
	else
		*ret = f;
	return err;
}

void
keyfile_close(struct keyfile *f)
{
	if (!f)
		return;
	keyslots_close(&f->slots);
	free(f->pages);
	free(f->entries);
	free(f->places);
	sodium_free(f->keys);
	sodium_free(f);
}

bool
keyfile_is_damaged(const struct keyfile *f)
{
	for (size_t i = 0; i < f->n_pages; i++)
		if (f->pages[i].bad)
			return true;
	return false;
}

void
keyfile_forgive(struct keyfile *f)
{
	for (size_t i = 0; i < f->n_pages; i++)
		f->pages[i].bad = false;
}
