/*
 * What is left on a disk: a store in an ext4 of its own on a loop device, of
 * which every byte is read after a deletion. Where that cannot be had, skipped.
 * The file system keeps old blocks of the database, which the figures show; of
 * keys that were destroyed nothing may be left, for the key that seals them
 * lives on.
 */
#include "daemon/log.h"
#include "daemon/store_keys.h"
#include "tests/support/store_world.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum {
	IMAGE = 16 * 1024 * 1024,
	SLOT = 4096,
	HEAD = 8 + 24,
	SECTOR = 512,
	PAGES = 8, /* as many as such a store can have */
	SEEN_MAX = 4096,
	TEXTS = 200,
};

static int
run(const char *a, const char *b, const char *c, const char *d, const char *e)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		(void)dup2(null, 1);
		(void)dup2(null, 2);
		(void)execlp(a, a, b, c, d, e, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

struct disk {
	struct tempdir dir;
	char image[300], mount[300];
	bool mounted;
};

static bool
disk_mount(struct disk *d)
{
	d->mounted = run("mount", "-o", "loop", d->image, d->mount) == 0;
	return d->mounted;
}

static void
disk_unmount(struct disk *d)
{
	if (d->mounted)
		assert_int_equal(run("umount", d->mount, NULL, NULL, NULL), 0);
	d->mounted = false;
}

/* False: not here. */
static bool
disk_make(struct disk *d)
{
	int fd;

	d->dir = tempdir_new();
	(void)snprintf(
	    d->image, sizeof(d->image), "%s", tempdir_file(&d->dir, "image"));
	(void)snprintf(
	    d->mount, sizeof(d->mount), "%s", tempdir_file(&d->dir, "mount"));
	fd = open(d->image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && ftruncate(fd, IMAGE) == 0);
	(void)close(fd);
	assert_int_equal(mkdir(d->mount, 0700), 0);
	return geteuid() == 0 &&
	       run("mkfs.ext4", "-q", "-F", d->image, NULL) == 0 &&
	       disk_mount(d) && chmod(d->mount, 0700) == 0;
}

/* ---- what the disk holds ---- */

struct seen {
	uint64_t number[SEEN_MAX];
	size_t n, slots;
};

static bool
has_seen(const struct seen *s, uint64_t number)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->number[i] == number)
			return true;
	return false;
}

/* Notes the numbers of keys in it, if it opens as a slot of that page. */
static void
open_as(struct seen *s, const uint8_t *p, uint64_t page, const uint8_t key[32])
{
	uint8_t aad[32], plain[SLOT];
	struct writer w = wr_init(aad, sizeof(aad));
	struct reader r;

	wr_span(&w, span_str("btchat/1 keys"));
	wr_u64le(&w, page);
	wr_bytes(&w, p, 8);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(
	        plain, NULL, NULL, p + HEAD, SLOT - HEAD, aad, w.n, p + 8, key))
		return;
	s->slots++;
	r = rd_init(span_of(plain, 100 * 40));
	while (r.n > 0) {
		uint64_t number = rd_u64le(&r);

		(void)rd_span(&r, 32);
		if (number > 0 && !has_seen(s, number) && s->n < SEEN_MAX)
			s->number[s->n++] = number;
	}
}

/* Every key of which any block of the disk holds a trace. */
static void
search_keys(const uint8_t *image, struct seen *s, const uint8_t key[32])
{
	memset(s, 0, sizeof(*s));
	for (size_t at = 0; at + SLOT <= IMAGE; at += SECTOR) {
		if (sodium_is_zero(image + at, SECTOR))
			continue;
		for (uint64_t page = 0; page < PAGES; page++)
			open_as(s, image + at, page, key);
	}
}

static uint8_t *
read_image(struct disk *d)
{
	size_t n = 0;
	uint8_t *p;

	disk_unmount(d);
	p = file_get(d->image, &n);
	assert_int_equal(n, IMAGE);
	return p;
}

static unsigned
count(const uint8_t *image, const void *what, size_t n)
{
	unsigned found = 0;

	for (const uint8_t *p = image;
	     (p = memmem(p, (size_t)(image + IMAGE - p), what, n)); p++)
		found++;
	return found;
}

/* ---- the store ---- */

static void
fill(struct store *s)
{
	for (unsigned c = 1; c <= 2; c++) {
		struct contact_id id = store_world_contact(c);

		store_world_add(s, c, "RECORD-OF-CONTACT");
		assert_int_equal(
		    store_contact_rename(s, &id, span_str("NAME-OF-SOMEBODY")),
		    ERR_OK);
		for (unsigned n = 1; n <= TEXTS; n++) {
			struct store_message m =
			    store_world_message(c, n, "A-TEXT-TO-LOOK-FOR");

			assert_int_equal(store_message_add(s, &m), ERR_OK);
			store_world_event(s, EVENT_MESSAGE_NEW, &id, &m.m.id);
			assert_int_equal(store_commit(s), ERR_OK);
		}
	}
}

/* The numbers of a contact's keys. */
static size_t
keys_of(struct store *s, unsigned contact, uint64_t ret[64])
{
	struct contact_id c = store_world_contact(contact);
	struct query q =
	    db_query(s, "SELECT k FROM seal_key WHERE contact = ?1");
	size_t n = 0;

	db_bind_blob(&q, c.b, sizeof(c.b));
	while (n < 64 && db_row(&q) == ERR_OK)
		ret[n++] = (uint64_t)db_int(&q, 0);
	db_end(&q);
	return n;
}

/* The beginning of a message's sealed body, and its key. */
static int64_t
sealed_body(struct store *s, unsigned contact, unsigned n, uint8_t ret[64])
{
	struct contact_id c = store_world_contact(contact);
	struct query q = db_query(
	    s, "SELECT k, body FROM message WHERE id = ?1 AND contact = ?2");
	struct message_id id;
	int64_t k = 0;

	store_world_id(id.b, n);
	db_bind_blob(&q, id.b, sizeof(id.b));
	db_bind_blob(&q, c.b, sizeof(c.b));
	assert_int_equal(db_row(&q), ERR_OK);
	k = db_int(&q, 0);
	memcpy(ret, db_blob(&q, 1).p, 64);
	db_end(&q);
	return k;
}

static void
expect_gone(const struct seen *s, const uint64_t *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_false(has_seen(s, keys[i]));
}

static const char *const words[] = { "A-TEXT-TO-LOOK-FOR", "NAME-OF-SOMEBODY",
	"RECORD-OF-CONTACT", "IDENTITY-OF-SOMEBODY" };

static void
expect_nothing_plain(const uint8_t *image)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_int_equal(count(image, words[i], strlen(words[i])), 0);
}

static void
deleted_keys_are_nowhere_on_the_disk(void **state)
{
	struct disk d = { .mounted = false };
	struct contact_id one = store_world_contact(1);
	struct contact_id two = store_world_contact(2);
	struct seen *seen = calloc(1, sizeof(*seen));
	uint64_t keys[64];
	uint8_t ring[32], whole[64], single[64];
	size_t n_keys;
	uint64_t block;
	struct message_id id;
	struct store *s;
	uint8_t *image;

	(void)state;
	if (!disk_make(&d)) {
		print_message("no loop device or no ext4: skipped\n");
		disk_unmount(&d);
		tempdir_free(&d.dir);
		free(seen);
		skip();
	}
	s = store_world_open(d.mount);
	fill(s);
	memcpy(ring, s->keys->ring, sizeof(ring));
	n_keys = keys_of(s, 1, keys);
	assert_true(n_keys >= 4); /* itself, its events, two blocks */
	(void)sealed_body(s, 1, 5, whole);
	block = (uint64_t)sealed_body(s, 2, 5, single);
	store_close(s);
	image = read_image(&d);
	expect_nothing_plain(image);
	search_keys(image, seen, ring);
	for (size_t i = 0; i < n_keys; i++) /* the search sees */
		assert_true(has_seen(seen, keys[i]));
	assert_true(has_seen(seen, block));
	free(image);
	/* A conversation, and one text of another. */
	assert_true(disk_mount(&d));
	s = store_world_open(d.mount);
	assert_int_equal(
	    store_contact_remove(s, &one, true, STORE_WORLD_MS), ERR_OK);
	store_world_id(id.b, 5);
	assert_int_equal(store_message_delete(s, &two, &id), ERR_OK);
	assert_int_equal(store_commit(s), ERR_OK);
	store_close(s);
	image = read_image(&d);
	search_keys(image, seen, ring);
	print_message("%zu slots of keys on the disk; of a text that was"
	              " deleted %u blocks, of a conversation %u, none of which"
	              " opens\n",
	    seen->slots, count(image, single, sizeof(single)),
	    count(image, whole, sizeof(whole)));
	expect_nothing_plain(image);
	expect_gone(seen, keys, n_keys);
	expect_gone(seen, &block, 1);
	free(image);
	/* What was not deleted is there. */
	assert_true(disk_mount(&d));
	s = store_world_open(d.mount);
	for (unsigned n = 1; n <= TEXTS; n++) {
		struct store_message m;

		store_world_id(id.b, n);
		assert_int_equal(store_message_get(s, &two, &id, &m), ERR_OK);
		assert_true(m.deleted == (n == 5));
	}
	store_close(s);
	disk_unmount(&d);
	tempdir_free(&d.dir);
	free(seen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deleted_keys_are_nowhere_on_the_disk),
	};

	log_init(LOG_ERR, false);
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
