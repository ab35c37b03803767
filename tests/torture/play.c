#include "tests/torture/play.h"

#include "daemon/store_keys.h"
#include "tests/support/store_world.h"
#include "tests/torture/memory.h"
#include "tests/torture/picture.h"

#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { FILES = 3, PICTURES_MAX = 28 };
static const char *const files[FILES] = { STORE_FILE, STORE_FILE "-wal",
	KEYFILE_NAME };

/* Files of a directory; p NULL: it is not there. */
struct image {
	uint8_t *p[FILES]; /* owned */
	size_t n[FILES];
};

struct play {
	const struct story *t;
	size_t n_steps;
	struct tempdir dir, old; /* old: a copy beside newer keys */
	struct image begin, end, killed;
	char *pictures[PICTURES_MAX]; /* owned; after so many steps */
	unsigned n_disk, n_memory;
	struct store *s;
	/* Of one run: the database as it was before step i erased a text. */
	struct image before[PICTURES_MAX];
	struct play_fault fault; /* to be told of */
	sqlite3_int64 memory;    /* of SQLite, before the run */
	char seen[PICTURE_MAX];
};

static void __attribute__((noreturn))
broken(struct play *p, size_t step, const char *law)
{
	const struct play_fault *f = &p->fault;

	fail_msg("%s: %s (story %s, step %s, fault disk=%d memory=%d"
	         " for_ever=%d at=%u error=%d dies=%d keeps=%d reopens=%d)",
	    law, p->s ? "open" : "closed", p->t->name,
	    step == 0            ? "open"
	    : step <= p->n_steps ? p->t->steps[step - 1].name
	                         : "end",
	    (int)f->disk, f->memory, f->for_ever, f->at, f->error, f->dies,
	    (int)f->keeps, f->reopens);
	abort();
}

/* ---- files ---- */

static void
image_clear(struct image *i)
{
	for (size_t k = 0; k < FILES; k++)
		free(i->p[k]);
	*i = (struct image){ .n = { 0 } };
}

static void
image_take(struct image *i, const struct tempdir *dir)
{
	image_clear(i);
	for (size_t k = 0; k < FILES; k++)
		if (!access(tempdir_file(dir, files[k]), F_OK))
			i->p[k] =
			    file_get(tempdir_file(dir, files[k]), &i->n[k]);
}

static void
image_put(const struct image *i, const struct tempdir *dir)
{
	for (size_t k = 0; k < FILES; k++) {
		const char *path = tempdir_file(dir, files[k]);

		if (!access(path, F_OK) && remove(path))
			abort();
		if (i->p[k])
			file_put(path, i->p[k], i->n[k]);
	}
}

/* ---- the store ---- */

enum err
play_open(const char *dir, struct store **ret)
{
	char why[STORE_WHY_SIZE] = "";
	struct store *s = NULL;
	enum err err = store_open(dir, &s, why);

	if (err)
		return err;
	err = store_set_key(s, &store_world_key);
	if (!err)
		err = store_commit(s);
	if (err)
		store_close(s);
	else
		*ret = s;
	return err;
}

static void
close_store(struct play *p, size_t step)
{
	store_close(p->s);
	p->s = NULL;
	if (disk_n_open())
		broken(p, step, "a file stays open");
}

static void
check_integrity(struct play *p, size_t step)
{
	struct query q = db_query(p->s, "PRAGMA integrity_check");
	bool sound = !db_row(&q) && span_eq(db_blob(&q, 0), span_str("ok"));

	db_end(&q);
	if (!sound)
		broken(p, step, "the database is not sound");
	if (store_tampered(p->s))
		broken(p, step, "a row does not open");
}

/* Which of two pictures it is: their number. */
static size_t
look(struct play *p, size_t acked, bool may_be_next)
{
	if (picture_take(p->s, p->seen))
		broken(p, acked, "cannot be read");
	if (strcmp(p->seen, p->pictures[acked]) == 0)
		return acked;
	if (may_be_next && acked < p->n_steps &&
	    strcmp(p->seen, p->pictures[acked + 1]) == 0)
		return acked + 1;
	picture_compare(p->pictures[acked], p->seen);
	if (may_be_next && acked < p->n_steps)
		picture_compare(p->pictures[acked + 1], p->seen);
	broken(p, acked + 1, "neither before nor after");
}

/* ---- playing ---- */

/* Goes on from step `at`; how many were acknowledged in the end. */
static size_t
go_on(struct play *p, size_t at)
{
	while (at < p->n_steps) {
		const struct story_step *step = &p->t->steps[at];
		enum err err;

		memory_pause(true);
		if (step->erases)
			image_take(&p->before[at], &p->dir);
		memory_pause(false);
		/* What it reads comes from the disk. */
		(void)sqlite3_db_release_memory(p->s->db);
		/* What it reads comes from the disk. */
		(void)sqlite3_db_release_memory(p->s->db);
		err = step->run(p->s);
		if (!err)
			err = store_commit(p->s);
		if (err) {
			store_rollback(p->s);
			break;
		}
		at++;
	}
	return at;
}

static bool
holds(struct span in, const char *text)
{
	return in.n > 0 && memmem(in.p, in.n, text, strlen(text)) != NULL;
}

struct trace {
	const char *text;
	bool found;
};

static bool
look_for(void *ctx, const struct store_message *m)
{
	struct trace *t = ctx;

	t->found |= holds(m->m.text, t->text) || holds(m->unsent, t->text);
	return true;
}

/* A database of before, with the keys of now. */
static void
check_erased(struct play *p, size_t step, const struct image *now)
{
	struct trace t = { .text = p->t->steps[step].erases };
	struct image mixed = p->before[step];
	struct store *s = NULL;
	struct span draft;

	if (!mixed.p[0])
		return; /* not reached in this run */
	mixed.p[2] = now->p[2];
	mixed.n[2] = now->n[2];
	image_put(&mixed, &p->old);
	if (play_open(p->old.path, &s))
		return; /* opens no more at all */
	for (unsigned i = 1; i <= 3; i++) {
		struct store_history h = { .contact = store_world_contact(i),
			.limit = 10000 };

		if (store_history(s, &h, look_for, &t))
			break;
		if (!store_draft_get(s, &h.contact, &draft))
			t.found |= holds(draft, t.text);
	}
	store_close(s);
	if (t.found)
		broken(p, step + 1, "an erased text opens");
}

static void
check_all_erased(struct play *p, size_t acked)
{
	struct image now = { .n = { 0 } };

	image_take(&now, &p->dir);
	for (size_t i = 0; i < acked; i++)
		if (p->t->steps[i].erases)
			check_erased(p, i, &now);
	image_clear(&now);
}

/* Opens it after a fault: all is well now. */
static void
open_again(struct play *p, size_t step)
{
	if (play_open(p->dir.path, &p->s))
		broken(p, step, "does not open again");
}

/* The process is killed; of what was not synced so much is left. */
static void
kill_store(
    struct play *p, size_t step, enum disk_keeps keeps, const struct rng *rng)
{
	disk_fail_at(DISK_FOR_EVER, 1, EIO);
	close_store(p, step);
	disk_cut(keeps, rng);
}

static void
begin_run(struct play *p, const struct play_fault *f)
{
	disk_watch(NULL);
	image_put(&p->begin, &p->dir);
	(void)remove(tempdir_file(&p->dir, KEYFILE_NAME ".new"));
	disk_watch(p->dir.path);
	p->fault = *f;
	p->memory = sqlite3_memory_used();
	for (size_t i = 0; i < p->n_steps; i++)
		image_clear(&p->before[i]);
}

static void
end_run(struct play *p)
{
	disk_watch(NULL);
	memory_fail_at(0, false);
	if (sqlite3_memory_used() != p->memory)
		broken(p, p->n_steps, "memory of SQLite is left");
}

/* To the end, and to what is left after a cut there. */
static void
finish(struct play *p, size_t at, const struct rng *rng)
{
	size_t end = go_on(p, at);

	if (end != p->n_steps)
		broken(p, end + 1, "cannot be done afterwards");
	(void)look(p, end, false);
	check_integrity(p, end);
	kill_store(p, end,
	    rng_below(rng, 2) ? DISK_KEEPS_SOME : DISK_KEEPS_NOTHING, rng);
	check_all_erased(p, end);
	open_again(p, end);
	(void)look(p, end, false);
	check_integrity(p, end);
	close_store(p, end);
	end_run(p);
}

/* The process is no more. */
static void
die_and_come_again(struct play *p, bool opened, size_t acked,
    const struct play_fault *f, const struct rng *rng)
{
	size_t at;

	close_store(p, acked);
	memory_fail_at(0, false);
	disk_cut(f->keeps, rng);
	if (opened)
		check_all_erased(p, acked);
	open_again(p, acked);
	at = look(p, acked, opened);
	check_integrity(p, at);
	/* What it sees now it may tell to others. */
	kill_store(p, at, DISK_KEEPS_NOTHING, rng);
	open_again(p, at);
	if (look(p, at, false) != at)
		broken(p, at, "seen, and then lost");
	finish(p, at, rng);
}

/* It lives on, as the daemon does after a turn was lost. */
static void
live_on(struct play *p, bool opened, size_t acked, const struct play_fault *f,
    const struct rng *rng)
{
	size_t at;

	if (opened && f->disk == DISK_FULL) /* reading goes on */
		(void)look(p, acked, true);
	disk_fail_at(DISK_WELL, 0, 0);
	memory_fail_at(0, false);
	if (!opened) {
		open_again(p, acked);
	} else if (f->reopens || store_is_broken(p->s) ||
	           store_error(p->s) != API_STORAGE_FULL) {
		close_store(p, acked);
		open_again(p, acked);
	}
	at = look(p, acked, opened);
	if (store_probe(p->s))
		broken(p, at, "does not write again");
	finish(p, at, rng);
}

void
play_fault(struct play *p, const struct play_fault *f, const struct rng *rng)
{
	size_t acked = 0;
	bool opened;

	begin_run(p, f);
	if (f->memory)
		memory_fail_at(f->at, f->for_ever);
	else
		disk_fail_at(f->disk, f->at, f->error);
	opened = !play_open(p->dir.path, &p->s);
	if (opened)
		acked = go_on(p, 0);
	if (f->dies)
		die_and_come_again(p, opened, acked, f, rng);
	else
		live_on(p, opened, acked, f, rng);
}

bool
play_look(struct play *p, bool memory, bool for_ever, unsigned at)
{
	struct play_fault f = {
		.memory = memory, .for_ever = for_ever, .at = at
	};
	enum err err;
	bool hit;

	(void)play_put_end(p, false);
	p->fault = f;
	p->memory = sqlite3_memory_used();
	disk_watch(p->dir.path);
	if (memory)
		memory_fail_at(at, for_ever);
	else
		disk_fail_at(for_ever ? DISK_FOR_EVER : DISK_ONCE, at, EIO);
	err = play_open(p->dir.path, &p->s);
	if (!err) {
		(void)sqlite3_db_release_memory(p->s->db);
		err = picture_take(p->s, p->seen);
	}
	hit = memory ? memory_hit() : disk_hit();
	if (!err && strcmp(p->seen, p->pictures[p->n_steps]) != 0) {
		picture_compare(p->pictures[p->n_steps], p->seen);
		broken(p, p->n_steps, "a wrong picture");
	}
	if (err && !hit)
		broken(p, p->n_steps, "an error without a cause");
	close_store(p, p->n_steps);
	end_run(p);
	return hit;
}

/* ---- life ---- */

static void
keep_picture(struct play *p, size_t step)
{
	(void)look(p, step, false);
}

/* Each picture, which needs other calls than the story. */
static void
record_pictures(struct play *p)
{
	struct play_fault none = { .at = 0 };
	const size_t all = p->n_steps;

	begin_run(p, &none);
	open_again(p, 0);
	for (size_t i = 0; i <= all; i++) {
		p->n_steps = i;
		if (go_on(p, i ? i - 1 : 0) != i)
			broken(p, i, "fails without a fault");
		p->pictures[i] = malloc(PICTURE_MAX);
		if (!p->pictures[i] || picture_take(p->s, p->pictures[i]))
			broken(p, i, "no picture");
		keep_picture(p, i);
	}
	check_integrity(p, all);
	image_take(&p->killed, &p->dir);
	close_store(p, all);
	image_take(&p->end, &p->dir);
	end_run(p);
}

static void
record_calls(struct play *p)
{
	struct play_fault none = { .at = 0 };

	begin_run(p, &none);
	disk_fail_at(DISK_WELL, 0, 0);
	memory_fail_at(0, false);
	open_again(p, 0);
	if (go_on(p, 0) != p->n_steps)
		broken(p, 0, "fails without a fault");
	p->n_disk = disk_calls();
	p->n_memory = memory_calls();
	close_store(p, p->n_steps);
	end_run(p);
	if (p->n_disk < 20 || p->n_memory < 20)
		broken(p, 0, "calls are not seen");
}

struct play *
play_new(const struct story *t)
{
	struct play *p = calloc(1, sizeof(*p));

	assert(p && story_steps(t) < PICTURES_MAX);
	p->t = t;
	p->n_steps = story_steps(t);
	p->dir = tempdir_new();
	p->old = tempdir_new();
	if (t->begin)
		t->begin(p->dir.path);
	image_take(&p->begin, &p->dir);
	record_pictures(p);
	record_calls(p);
	return p;
}

void
play_free(struct play *p)
{
	disk_watch(NULL);
	for (size_t i = 0; i < PICTURES_MAX; i++) {
		free(p->pictures[i]);
		image_clear(&p->before[i]);
	}
	image_clear(&p->begin);
	image_clear(&p->end);
	image_clear(&p->killed);
	tempdir_free(&p->dir);
	tempdir_free(&p->old);
	free(p);
}

unsigned
play_disk_calls(const struct play *p)
{
	return p->n_disk;
}

unsigned
play_memory_calls(const struct play *p)
{
	return p->n_memory;
}

const char *
play_put_end(struct play *p, bool killed)
{
	disk_watch(NULL);
	image_put(killed ? &p->killed : &p->end, &p->dir);
	return p->dir.path;
}

bool
play_was(const struct play *p, const char *picture, size_t *ret_step)
{
	size_t i = p->n_steps + 1;

	while (i > 0 && strcmp(picture, p->pictures[i - 1]) != 0)
		i--;
	if (i > 0)
		*ret_step = i - 1;
	return i > 0;
}
