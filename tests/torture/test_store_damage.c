/* What lies still and is damaged all the same: a bit, a sector, a page of the
 * database, of its log or of the file of keys. It is refused, or what is read
 * is what was written, and what is missing is told. Hostile inputs 46, 49,
 * 55. */
#include "daemon/log.h"
#include "daemon/store_keys.h"
#include "tests/support/rng.h"
#include "tests/support/store_world.h"
#include "tests/torture/memory.h"
#include "tests/torture/picture.h"
#include "tests/torture/play.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGE = 4096, SECTOR = 512, TEXTS_MAX = 1024 };

static struct test_rng dice;

/* ---- what is told ---- */

/* A message as far as it must be right: who said it, and what. */
struct texts {
	struct {
		struct contact_id contact;
		struct message_id id;
		uint8_t hash[32]; /* of the text, and who said it */
		bool found;
	} e[TEXTS_MAX];
	size_t n;
};

static bool
take_text(void *ctx, const struct store_message *m)
{
	struct texts *t = ctx;
	uint8_t key[32] = { store_message_is_ours(m), m->deleted };

	assert_true(t->n < TEXTS_MAX);
	t->e[t->n].contact = m->m.contact;
	t->e[t->n].id = m->m.id;
	t->e[t->n].found = false;
	(void)crypto_generichash(
	    t->e[t->n].hash, 32, m->m.text.p, m->m.text.n, key, sizeof(key));
	t->n++;
	return true;
}

static enum err
take_texts(struct store *s, struct texts *t)
{
	enum err err = ERR_OK;

	t->n = 0;
	for (unsigned i = 1; i <= PICTURE_CONTACTS && !err; i++) {
		struct store_history h = { .contact = store_world_contact(i),
			.limit = TEXTS_MAX };

		err = store_history(s, &h, take_text, t);
	}
	return err;
}

/* How many are missing. None is another one, none is there twice. */
static size_t
compare(struct texts *want, const struct texts *have)
{
	size_t missing = want->n;

	for (size_t k = 0; k < want->n; k++)
		want->e[k].found = false;
	for (size_t i = 0; i < have->n; i++) {
		size_t k = 0;

		while (k < want->n &&
		       (memcmp(&want->e[k].id, &have->e[i].id, 16) != 0 ||
		           memcmp(&want->e[k].contact, &have->e[i].contact,
		               16) != 0))
			k++;
		assert_true(k < want->n);
		assert_false(want->e[k].found);
		assert_memory_equal(want->e[k].hash, have->e[i].hash, 32);
		want->e[k].found = true;
		missing--;
	}
	return missing;
}

/* ---- one damage ---- */

struct tally {
	unsigned refused, failed, told, right;
	unsigned shorter; /* as it was before the last steps */
	unsigned silent;  /* something is missing, and nothing told it */
};

static char picture[PICTURE_MAX];

/* Reads all that there is. */
static void
read_all(const char *dir, struct texts *want, struct tally *t)
{
	static struct texts have;
	struct store *s = NULL;
	size_t missing;

	if (play_open(dir, &s)) {
		t->refused++;
		return;
	}
	if (picture_take(s, picture) || take_texts(s, &have)) {
		t->failed++;
		store_close(s);
		return;
	}
	missing = compare(want, &have);
	if (store_tampered(s) > 0)
		t->told++;
	else if (missing > 0)
		t->silent++;
	else
		t->right++;
	store_close(s);
}

static void
print_tally(const char *what, const struct tally *t)
{
	print_message("%s: %u refused, %u failed, %u told, %u right,"
	              " %u shorter, %u silent\n",
	    what, t->refused, t->failed, t->told, t->right, t->shorter,
	    t->silent);
}

static void
damage(const char *path, unsigned how)
{
	size_t n = 0;
	uint8_t *p = file_get(path, &n);
	size_t at = rng_below(&dice.rng, (uint32_t)n);

	switch (how % 5) {
	case 0: /* a bit */
		p[at] ^= (uint8_t)(1U << rng_below(&dice.rng, 8));
		break;
	case 1: /* a sector of zeros */
		at -= at % SECTOR;
		memset(p + at, 0, n - at < SECTOR ? n - at : SECTOR);
		break;
	case 2: /* a page of anything */
		at -= at % PAGE;
		randombytes_buf(p + at, n - at < PAGE ? n - at : PAGE);
		break;
	case 3: /* a page where another one belongs */
		if (n >= (size_t)2 * PAGE)
			memcpy(p + at / PAGE % (n / PAGE) * PAGE,
			    p + rng_below(&dice.rng, (uint32_t)(n / PAGE)) *
			            PAGE,
			    PAGE);
		break;
	default: /* cut */
		n = at;
		break;
	}
	file_put(path, p, n);
	free(p);
}

static void
damage_at_rest(const char *name, unsigned rounds)
{
	static struct texts want;
	struct play *p = play_new(&story_life);
	struct tally t = { 0 };
	struct store *s = NULL;
	char path[512];

	assert_int_equal(play_open(play_put_end(p, false), &s), ERR_OK);
	assert_int_equal(take_texts(s, &want), ERR_OK);
	assert_true(want.n > 100);
	store_close(s);
	for (unsigned i = 0; i < rounds; i++) {
		const char *dir = play_put_end(p, false);

		(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
		damage(path, i);
		read_all(dir, &want, &t);
	}
	print_tally(name, &t);
	assert_int_equal(t.silent, 0);
	play_free(p);
}

static void
a_damaged_database_is_never_believed(void **state)
{
	(void)state;
	damage_at_rest(STORE_FILE, test_rounds(100));
}

/* Where a log is damaged it ends: what stands before is there, as it was after
 * one of the steps. That it was longer, nothing tells. */
static void
a_damaged_log_ends_there(void **state)
{
	struct play *p = play_new(&story_life);
	struct tally t = { 0 };
	unsigned rounds = test_rounds(100);
	size_t last = story_steps(&story_life);
	size_t step = 0;
	char path[512];

	(void)state;
	for (unsigned i = 0; i < rounds; i++) {
		const char *dir = play_put_end(p, true);
		struct store *s = NULL;

		(void)snprintf(
		    path, sizeof(path), "%s/%s-wal", dir, STORE_FILE);
		damage(path, i);
		if (play_open(dir, &s)) {
			t.refused++;
			continue;
		}
		if (picture_take(s, picture))
			t.failed++;
		else if (store_tampered(s) > 0)
			t.told++;
		else if (!play_was(p, picture, &step))
			t.silent++;
		else if (step < last)
			t.shorter++;
		else
			t.right++;
		store_close(s);
	}
	print_tally("log", &t);
	assert_int_equal(t.silent, 0);
	assert_true(t.right > 0 && t.shorter > 0);
	play_free(p);
}

static void
run_sql(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	char *why = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why))
		fail_msg("%s", why);
	(void)sqlite3_close(db);
}

/* A row that is in its table and not in its index is not found. */
static void
an_index_that_hides_a_row_is_told(void **state)
{
	static const char hide[] =
	    "PRAGMA writable_schema = ON;"
	    "CREATE TABLE aside AS SELECT * FROM sqlite_schema"
	    "  WHERE name = 'message_conv';"
	    "DELETE FROM sqlite_schema WHERE name = 'message_conv';";
	static const char add[] = "UPDATE message SET contact = zeroblob(16)"
	                          "  WHERE row = 3;";
	static const char again[] =
	    "PRAGMA writable_schema = ON;"
	    "INSERT INTO sqlite_schema SELECT * FROM aside;"
	    "DROP TABLE aside;";
	struct tempdir dir = tempdir_new();
	struct store *s = store_world_open(dir.path);
	const char *path = tempdir_file(&dir, STORE_FILE);

	(void)state;
	for (unsigned n = 1; n <= 3; n++) {
		struct store_message m = store_world_message(1, n, "text");

		assert_int_equal(store_message_add(s, &m), ERR_OK);
	}
	assert_int_equal(store_commit(s), ERR_OK);
	store_close(s);
	run_sql(path, hide);
	run_sql(path, add);
	run_sql(path, again);
	s = store_world_open(dir.path);
	assert_int_equal(store_tampered(s), 1);
	store_close(s);
	tempdir_free(&dir);
}

static void
a_damaged_file_of_keys_is_never_believed(void **state)
{
	(void)state;
	damage_at_rest(KEYFILE_NAME, test_rounds(100));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_damaged_database_is_never_believed),
		cmocka_unit_test(a_damaged_log_ends_there),
		cmocka_unit_test(an_index_that_hides_a_row_is_told),
		cmocka_unit_test(a_damaged_file_of_keys_is_never_believed),
	};

	log_init(LOG_CRIT, false);
	memory_begin();
	test_rng_init(&dice, test_seed((uint64_t)getpid()));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
