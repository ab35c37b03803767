#include "daemon/keyring.h"

#include "daemon/file.h"

#include "proto/base/bytes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC_PLAIN  "btchat key 1 plain\n"
#define MAGIC_SEALED "btchat key 1 sealed\n"
#define MAGIC_ANY    "btchat key "

enum {
	SECRETS = 64, /* seed and store key */
	SUM = 32,     /* BLAKE2b at the end */
	SALT = 16,
	NONCE = 24,
	BOX = SECRETS + 16,
	PLAIN_SIZE = sizeof(MAGIC_PLAIN) - 1 + SECRETS + SUM,
	SEALED_HEAD = sizeof(MAGIC_SEALED) - 1 + 8 + 8 + SALT + NONCE,
	SEALED_SIZE = SEALED_HEAD + BOX + SUM,
	FILE_MAX = 4096,
};

_Static_assert(SALT == crypto_pwhash_SALTBYTES, "salt of Argon2id");
_Static_assert(NONCE == crypto_secretbox_NONCEBYTES, "nonce of the box");
_Static_assert(BOX == SECRETS + crypto_secretbox_MACBYTES, "size of the box");

struct secrets {
	struct id_seed seed;
	struct store_key store;
};
_Static_assert(sizeof(struct secrets) == SECRETS, "no padding");

struct sealed {
	uint64_t opslimit, memlimit;
	uint8_t salt[SALT], nonce[NONCE], box[BOX];
};

struct keyring {
	int dir_fd; /* borrowed */
	enum keyring_state state;
	bool is_sealed;
	struct sealed sealed;    /* if is_sealed */
	struct secrets *secrets; /* owned, locked memory */
};

static enum err __attribute__((format(printf, 3, 4)))
refuse(char why[KEYRING_WHY_SIZE], enum err err, const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(why, KEYRING_WHY_SIZE, "%s: ", KEYRING_FILE);

	assert(n > 0 && n < KEYRING_WHY_SIZE);
	va_start(ap, fmt);
	(void)vsnprintf(why + n, KEYRING_WHY_SIZE - (size_t)n, fmt, ap);
	va_end(ap);
	return err;
}

/* ---- reading ---- */

static enum err
check_file(int fd, char why[KEYRING_WHY_SIZE])
{
	struct stat st;

	if (fstat(fd, &st))
		return refuse(why, ERR_IO, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(why, ERR_STATE, "is not a regular file");
	if (st.st_uid != geteuid())
		return refuse(why, ERR_STATE,
		    "belongs to uid %u; repair: chown it to the daemon's user",
		    (unsigned)st.st_uid);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return refuse(why, ERR_STATE,
		    "others may read it (mode %04o); repair: chmod 600 %s, and"
		    " think of the identity as known to them",
		    (unsigned)(st.st_mode & 07777), KEYRING_FILE);
	return ERR_OK;
}

static bool
begins_with(struct span in, const char *magic)
{
	size_t n = strlen(magic);

	return in.n >= n && memcmp(in.p, magic, n) == 0;
}

/* Names what is wrong with a file of a wrong kind or size. */
static enum err
refuse_form(struct span in, char why[KEYRING_WHY_SIZE])
{
	if (in.n == 0)
		return refuse(why, ERR_MALFORMED,
		    "is empty; repair: put back a copy of it, or remove it to"
		    " begin with a new identity");
	if (begins_with(in, MAGIC_PLAIN) || begins_with(in, MAGIC_SEALED))
		return refuse(why, ERR_MALFORMED,
		    "has %zu bytes, not %d: cut short or added to; repair: put"
		    " back a copy of it",
		    in.n,
		    begins_with(in, MAGIC_PLAIN) ? (int)PLAIN_SIZE
		                                 : (int)SEALED_SIZE);
	if (begins_with(in, MAGIC_ANY))
		return refuse(why, ERR_UNSUPPORTED,
		    "has a format this btchatd does not know; repair: use the"
		    " version that wrote it");
	return refuse(why, ERR_MALFORMED,
	    "is not a key file of btchatd; repair: put back a copy of it, or"
	    " move it away");
}

static bool
sum_is_good(struct span in)
{
	uint8_t sum[SUM];

	(void)crypto_generichash(sum, sizeof(sum), in.p, in.n - SUM, NULL, 0);
	return sodium_memcmp(sum, in.p + in.n - SUM, SUM) == 0;
}

static bool
limits_are_sane(const struct sealed *b)
{
	return b->opslimit >= crypto_pwhash_OPSLIMIT_MIN &&
	       b->opslimit <= crypto_pwhash_OPSLIMIT_SENSITIVE &&
	       b->memlimit >= crypto_pwhash_MEMLIMIT_MIN &&
	       b->memlimit <= crypto_pwhash_MEMLIMIT_SENSITIVE;
}

static enum err
parse(struct keyring *k, struct span in, char why[KEYRING_WHY_SIZE])
{
	bool plain = begins_with(in, MAGIC_PLAIN) && in.n == PLAIN_SIZE;
	bool boxed = begins_with(in, MAGIC_SEALED) && in.n == SEALED_SIZE;
	struct reader r = rd_init(in);

	if (!plain && !boxed)
		return refuse_form(in, why);
	if (!sum_is_good(in))
		return refuse(why, ERR_MALFORMED,
		    "is damaged; repair: put back a copy of it");
	if (plain) {
		(void)rd_span(&r, sizeof(MAGIC_PLAIN) - 1);
		rd_bytes(&r, k->secrets, SECRETS);
		k->state = KEYRING_OPEN;
		return ERR_OK;
	}
	(void)rd_span(&r, sizeof(MAGIC_SEALED) - 1);
	k->sealed.opslimit = rd_u64le(&r);
	k->sealed.memlimit = rd_u64le(&r);
	rd_bytes(&r, k->sealed.salt, SALT);
	rd_bytes(&r, k->sealed.nonce, NONCE);
	rd_bytes(&r, k->sealed.box, BOX);
	assert(!r.bad);
	if (!limits_are_sane(&k->sealed))
		return refuse(why, ERR_UNSUPPORTED,
		    "asks for more work than this btchatd does");
	k->is_sealed = true;
	k->state = KEYRING_LOCKED;
	return ERR_OK;
}

static enum err
load(struct keyring *k, char why[KEYRING_WHY_SIZE])
{
	uint8_t buf[FILE_MAX];
	size_t n = 0;
	enum err err;
	int fd = openat(k->dir_fd, KEYRING_FILE,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT)
		return ERR_OK;
	if (fd < 0 && errno == ELOOP)
		return refuse(why, ERR_STATE, "is a symbolic link");
	if (fd < 0)
		return refuse(why, ERR_IO, "%s", strerror(errno));
	err = check_file(fd, why);
	if (err)
		goto out;
	err = file_read(fd, FILE_HERE, buf, FILE_MAX, &n);
	if (err) {
		(void)refuse(why, err, "%s", strerror(errno));
		goto out;
	}
	err = parse(k, span_of(buf, n), why);
out:
	sodium_memzero(buf, sizeof(buf));
	(void)close(fd);
	return err;
}

enum err
keyring_open(int dir_fd, struct keyring **ret, char why[KEYRING_WHY_SIZE])
{
	struct keyring *k = calloc(1, sizeof(*k));
	enum err err;

	if (!k)
		return refuse(why, ERR_NOMEM, "no memory");
	k->dir_fd = dir_fd;
	k->secrets = sodium_malloc(sizeof(*k->secrets));
	/* sodium_malloc goes on when it cannot lock: ask again and look. */
	if (!k->secrets || sodium_mlock(k->secrets, sizeof(*k->secrets)) != 0) {
		err = refuse(why, ERR_NOMEM,
		    "no locked memory for it; raise the limit memlock");
		goto out;
	}
	err = load(k, why);
	if (err)
		goto out;
	file_tidy(dir_fd, KEYRING_FILE); /* of a life that was cut off */
	*ret = k;
	return ERR_OK;
out:
	keyring_close(k);
	return err;
}

void
keyring_close(struct keyring *k)
{
	if (!k)
		return;
	sodium_free(k->secrets); /* wipes */
	sodium_memzero(&k->sealed, sizeof(k->sealed));
	free(k);
}

/* ---- the passphrase ---- */

static enum err
stretch(const struct sealed *b, struct span pass,
    uint8_t key[crypto_secretbox_KEYBYTES])
{
	if (crypto_pwhash(key, crypto_secretbox_KEYBYTES, (const char *)pass.p,
	        pass.n, b->salt, b->opslimit, (size_t)b->memlimit,
	        crypto_pwhash_ALG_ARGON2ID13))
		return ERR_NOMEM;
	return ERR_OK;
}

/* What is in the box; ret is as it was on failure. */
static enum err
open_box(const struct sealed *b, struct span passphrase, uint8_t ret[SECRETS])
{
	uint8_t key[crypto_secretbox_KEYBYTES];
	enum err err;

	/* An empty one seals nothing. */
	if (passphrase.n == 0 || passphrase.n > KEYRING_PASS_MAX)
		return ERR_AUTH;
	err = stretch(b, passphrase, key);
	if (!err && crypto_secretbox_open_easy(ret, b->box, BOX, b->nonce, key))
		err = ERR_AUTH;
	sodium_memzero(key, sizeof(key));
	return err;
}

enum err
keyring_unlock(struct keyring *k, struct span passphrase)
{
	enum err err;

	if (k->state != KEYRING_LOCKED)
		return ERR_STATE;
	err = open_box(&k->sealed, passphrase, (uint8_t *)k->secrets);
	if (!err)
		k->state = KEYRING_OPEN;
	return err;
}

void
keyring_lock(struct keyring *k)
{
	assert(k->is_sealed);
	sodium_memzero(k->secrets, SECRETS);
	k->state = KEYRING_LOCKED;
}

void
keyring_forget(struct keyring *k)
{
	sodium_memzero(k->secrets, SECRETS);
	sodium_memzero(&k->sealed, sizeof(k->sealed));
	k->is_sealed = false;
	k->state = KEYRING_NONE;
}

/* ---- making ---- */

/* The secrets under a passphrase. */
static enum err
seal(const struct secrets *secrets, struct span passphrase, struct sealed *ret)
{
	uint8_t key[crypto_secretbox_KEYBYTES];
	enum err err;

	ret->opslimit = crypto_pwhash_OPSLIMIT_MODERATE;
	ret->memlimit = crypto_pwhash_MEMLIMIT_MODERATE;
	randombytes_buf(ret->salt, sizeof(ret->salt));
	randombytes_buf(ret->nonce, sizeof(ret->nonce));
	err = stretch(ret, passphrase, key);
	if (!err)
		(void)crypto_secretbox_easy(ret->box, (const uint8_t *)secrets,
		    SECRETS, ret->nonce, key);
	sodium_memzero(key, sizeof(key));
	return err;
}

/* b NULL: a plain file. */
static size_t
compose(const struct secrets *secrets, const struct sealed *b,
    uint8_t buf[FILE_MAX])
{
	struct writer w = wr_init(buf, FILE_MAX);
	uint8_t sum[SUM];

	if (b) {
		wr_span(&w, span_str(MAGIC_SEALED));
		wr_u64le(&w, b->opslimit);
		wr_u64le(&w, b->memlimit);
		wr_bytes(&w, b->salt, SALT);
		wr_bytes(&w, b->nonce, NONCE);
		wr_bytes(&w, b->box, BOX);
	} else {
		wr_span(&w, span_str(MAGIC_PLAIN));
		wr_bytes(&w, secrets, SECRETS);
	}
	(void)crypto_generichash(sum, sizeof(sum), buf, w.n, NULL, 0);
	wr_bytes(&w, sum, sizeof(sum));
	assert(!w.bad);
	assert(w.n == (b ? (size_t)SEALED_SIZE : (size_t)PLAIN_SIZE));
	return w.n;
}

/* Writes what k->secrets holds by file_create or file_replace. */
static enum err
write_file(struct keyring *k, struct span passphrase,
    enum err (*put)(int dir_fd, const char *name, struct span bytes))
{
	uint8_t buf[FILE_MAX];
	struct sealed sealed = { 0 };
	bool boxed = passphrase.n > 0;
	enum err err = ERR_OK;
	size_t n;

	if (boxed)
		err = seal(k->secrets, passphrase, &sealed);
	if (err)
		goto out;
	n = compose(k->secrets, boxed ? &sealed : NULL, buf);
	err = put(k->dir_fd, KEYRING_FILE, span_of(buf, n));
	if (err)
		goto out;
	k->sealed = sealed;
	k->is_sealed = boxed;
out:
	sodium_memzero(&sealed, sizeof(sealed));
	sodium_memzero(buf, sizeof(buf));
	return err;
}

static enum err
create(struct keyring *k, struct span passphrase)
{
	enum err err = write_file(k, passphrase, file_create);

	if (err)
		sodium_memzero(k->secrets, SECRETS);
	else
		k->state = KEYRING_OPEN;
	return err;
}

static enum err
may_create(const struct keyring *k, struct span passphrase)
{
	if (k->state != KEYRING_NONE)
		return ERR_EXISTS;
	return passphrase.n > KEYRING_PASS_MAX ? ERR_TOO_LONG : ERR_OK;
}

enum err
keyring_create(struct keyring *k, struct span passphrase)
{
	enum err err = may_create(k, passphrase);

	if (err)
		return err;
	randombytes_buf(k->secrets, SECRETS);
	return create(k, passphrase);
}

enum err
keyring_import(struct keyring *k, const struct id_seed *seed,
    const struct store_key *key, struct span passphrase)
{
	enum err err = may_create(k, passphrase);

	if (err)
		return err;
	randombytes_buf(k->secrets, SECRETS);
	k->secrets->seed = *seed;
	if (key)
		k->secrets->store = *key;
	return create(k, passphrase);
}

/* ---- another passphrase ---- */

enum err
keyring_check_passphrase(const struct keyring *k, struct span passphrase)
{
	uint8_t plain[SECRETS];
	enum err err;

	if (!k->is_sealed)
		return passphrase.n == 0 ? ERR_OK : ERR_AUTH;
	err = open_box(&k->sealed, passphrase, plain);
	sodium_memzero(plain, sizeof(plain));
	return err;
}

enum err
keyring_set_passphrase(struct keyring *k, struct span passphrase)
{
	if (k->state != KEYRING_OPEN)
		return ERR_STATE;
	if (passphrase.n > KEYRING_PASS_MAX)
		return ERR_TOO_LONG;
	return write_file(k, passphrase, file_replace);
}

/* ---- looking ---- */

enum keyring_state
keyring_state(const struct keyring *k)
{
	return k->state;
}

bool
keyring_sealed(const struct keyring *k)
{
	return k->is_sealed;
}

const struct id_seed *
keyring_seed(const struct keyring *k)
{
	assert(k->state == KEYRING_OPEN);
	return &k->secrets->seed;
}

const struct store_key *
keyring_store_key(const struct keyring *k)
{
	assert(k->state == KEYRING_OPEN);
	return &k->secrets->store;
}
