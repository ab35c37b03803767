#include "daemon/keyfile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "btchat keys 1\n"

enum {
	SLOT = 4096,
	PAGE_KEYS = 100,
	HEAD = 8 + 24,
	PLAIN = SLOT - HEAD - 16,
	ENTRY = 8 + KEYFILE_KEY_SIZE,
	PAGES_MAX = KEYFILE_KEYS_MAX / PAGE_KEYS,
	AAD_SIZE = 32,
};
_Static_assert(PAGE_KEYS *(int)ENTRY <= PLAIN, "they fit");

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
	int fd;
	uint8_t seal[KEYFILE_KEY_SIZE];
	bool broken;
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

/* ---- slots ---- */

static size_t
aad_write(size_t page, uint64_t generation, uint8_t aad[AAD_SIZE])
{
	struct writer w = wr_init(aad, AAD_SIZE);

	wr_span(&w, span_str("btchat/1 keys"));
	wr_u64le(&w, page);
	wr_u64le(&w, generation);
	assert(!w.bad);
	return w.n;
}

static off_t
slot_at(size_t page, unsigned slot)
{
	return (off_t)SLOT * (off_t)(1 + 2 * page + slot);
}

static enum err
write_at(struct keyfile *f, const uint8_t *p, size_t n, off_t at)
{
	while (n > 0) {
		ssize_t r = pwrite(f->fd, p, n, at);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return errno == ENOSPC || errno == EDQUOT ? ERR_LIMIT
			                                          : ERR_IO;
		p += r;
		n -= (size_t)r;
		at += r;
	}
	return ERR_OK;
}

/* A failed sync is not tried again: the system may have dropped the bytes and
 * forgotten that. */
static enum err
sync_file(struct keyfile *f)
{
	if (f->broken || fdatasync(f->fd)) {
		f->broken = true;
		return ERR_IO;
	}
	return ERR_OK;
}

/* What is past the end reads as zeros. */
static enum err
read_slot(struct keyfile *f, size_t page, unsigned slot, uint8_t buf[SLOT])
{
	size_t n = 0;

	memset(buf, 0, SLOT);
	while (n < SLOT) {
		ssize_t r = pread(
		    f->fd, buf + n, SLOT - n, slot_at(page, slot) + (off_t)n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return ERR_IO;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	return ERR_OK;
}

/* Opens it in place; the plaintext begins at buf + HEAD. */
static bool
open_slot(const struct keyfile *f, size_t page, uint8_t buf[SLOT],
    uint64_t *ret_generation)
{
	uint8_t aad[AAD_SIZE];
	struct reader r = rd_init(span_of(buf, SLOT));
	uint64_t generation = rd_u64le(&r);
	size_t n = aad_write(page, generation, aad);
	uint8_t nonce[24];

	rd_bytes(&r, nonce, sizeof(nonce));
	if (generation == 0 ||
	    crypto_aead_xchacha20poly1305_ietf_decrypt(buf + HEAD, NULL, NULL,
	        buf + HEAD, SLOT - HEAD, aad, n, nonce, f->seal))
		return false;
	*ret_generation = generation;
	return true;
}

/* The page as it is to be, sealed. */
static void
seal_page(const struct keyfile *f, size_t page, uint8_t out[SLOT])
{
	const struct entry *e = &f->entries[page * PAGE_KEYS];
	uint64_t generation = f->pages[page].generation;
	uint8_t aad[AAD_SIZE];
	size_t aad_n = aad_write(page, generation, aad);
	struct writer w = wr_init(out, SLOT);

	memset(out, 0, SLOT);
	wr_u64le(&w, generation);
	randombytes_buf(out + 8, 24);
	w = wr_init(out + HEAD, PLAIN);
	for (size_t i = 0; i < PAGE_KEYS; i++) {
		if (e[i].state == FREE || e[i].state == DEAD)
			continue;
		wr_u64le(&w, e[i].number);
		wr_bytes(&w, f->keys[page * PAGE_KEYS + i], KEYFILE_KEY_SIZE);
	}
	assert(!w.bad);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(out + HEAD, NULL,
	    out + HEAD, PLAIN, aad, aad_n, NULL, out + 8, f->seal);
}

static bool
is_due(const struct page *p, bool erase)
{
	return !p->bad && (erase ? p->erase : p->dirty || p->erase);
}

static enum err
write_slots(struct keyfile *f, bool erase)
{
	uint8_t buf[SLOT];
	enum err err = ERR_OK;

	for (size_t i = 0; i < f->n_pages && !err; i++) {
		if (!is_due(&f->pages[i], erase))
			continue;
		seal_page(f, i, buf);
		err = write_at(f, buf, SLOT, slot_at(i, f->pages[i].next));
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
		err = sync_file(f);
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
		err = sync_file(f);
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
	return f->broken;
}

/* ---- opening ---- */

static void
take_entries(struct keyfile *f, size_t page, const uint8_t slot[SLOT])
{
	struct reader r = rd_init(span_of(slot + HEAD, PAGE_KEYS * ENTRY));

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
holds_more(const uint8_t old[PLAIN], const uint8_t now[PLAIN])
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
	uint8_t slot[2][SLOT];
	uint64_t generation[2] = { 0, 0 };
	bool good[2], empty = true;
	unsigned best;
	enum err err = ERR_OK;

	for (unsigned i = 0; i < 2 && !err; i++) {
		err = read_slot(f, page, i, slot[i]);
		empty = empty && sodium_is_zero(slot[i], SLOT);
		good[i] = !err && open_slot(f, page, slot[i], &generation[i]);
	}
	if (err)
		goto out;
	best = generation[1] > generation[0];
	p->generation = generation[best];
	p->next = 1 - best;
	p->bad = !good[0] && !good[1] && !empty;
	if (good[best])
		take_entries(f, page, slot[best]);
	/* One was torn or damaged: the next commit makes two of it again. Or a
	 * crash was between the two writes that destroy a key. */
	if (good[0] != good[1] ||
	    (good[0] && good[1] &&
	        holds_more(slot[1 - best] + HEAD, slot[best] + HEAD)))
		p->erase = true;
out:
	sodium_memzero(slot, sizeof(slot));
	return err;
}

static enum err
load(struct keyfile *f)
{
	char magic[sizeof(MAGIC) - 1];
	struct stat st;
	size_t n;
	enum err err;

	if (fstat(f->fd, &st))
		return ERR_IO;
	if (!S_ISREG(st.st_mode) ||
	    pread(f->fd, magic, sizeof(magic), 0) != (ssize_t)sizeof(magic) ||
	    memcmp(magic, MAGIC, sizeof(magic)) != 0)
		return ERR_MALFORMED;
	n = st.st_size <= SLOT
	        ? 0
	        : ((size_t)st.st_size - SLOT + 2 * SLOT - 1) / (2 * SLOT);
	err = reserve_pages(f, n);
	f->n_pages = err ? 0 : n;
	/* Of a process that was killed, nothing may be durable yet. */
	if (!err)
		err = sync_file(f);
	for (size_t i = 0; i < n && !err; i++)
		err = load_page(f, i);
	return err == ERR_LIMIT ? ERR_MALFORMED : err;
}

/* Makes it, whole or not at all. */
static enum err
create(int dir_fd)
{
	static const char temp[] = KEYFILE_NAME ".new";
	uint8_t head[SLOT] = MAGIC;
	struct keyfile f = { .fd = -1 };
	enum err err;

	(void)unlinkat(dir_fd, temp, 0); /* of a start that was cut off */
	f.fd = openat(dir_fd, temp,
	    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f.fd < 0)
		return errno == ENOSPC || errno == EDQUOT ? ERR_LIMIT : ERR_IO;
	err = write_at(&f, head, sizeof(head), 0);
	if (!err)
		err = sync_file(&f);
	(void)close(f.fd);
	if (!err && linkat(dir_fd, temp, dir_fd, KEYFILE_NAME, 0))
		err = ERR_IO;
	(void)unlinkat(dir_fd, temp, 0);
	if (!err && fsync(dir_fd))
		err = ERR_IO;
	return err;
}

static enum err
open_file(int dir_fd, bool may_create, int *ret)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int fd = openat(dir_fd, KEYFILE_NAME, flags);
	enum err err;

	if (fd < 0 && errno == ENOENT) {
		if (!may_create)
			return ERR_NOT_FOUND;
		err = create(dir_fd);
		if (err)
			return err;
		fd = openat(dir_fd, KEYFILE_NAME, flags);
	}
	if (fd < 0)
		return ERR_IO;
	*ret = fd;
	return ERR_OK;
}

enum err
keyfile_open(const char *dir, const uint8_t seal[KEYFILE_KEY_SIZE],
    bool may_create, struct keyfile **ret)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct keyfile *f;
	enum err err;

	if (dir_fd < 0)
		return ERR_IO;
	f = locked_alloc(sizeof(*f));
	if (!f) {
		(void)close(dir_fd);
		return ERR_NOMEM;
	}
	*f = (struct keyfile){ .fd = -1 };
	memcpy(f->seal, seal, sizeof(f->seal));
	err = open_file(dir_fd, may_create, &f->fd);
	(void)close(dir_fd);
	if (!err)
		err = reserve_pages(f, 1);
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
	if (f->fd >= 0)
		(void)close(f->fd);
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
