/*
 * A backup that somebody hands us: the file as it is, or its content, sealed
 * as the passphrase seals it. It is read whole, or refused.
 */
#include "daemon/backup.h"
#include "daemon/log.h"
#include "proto/base/text.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CHUNK = 65536, HEAD = 16 + 16 + crypto_pwhash_SALTBYTES };

static const char pass[] = "pass";
static int file = -1;

static void
put(const void *bytes, size_t n)
{
	assert(write(file, bytes, n) == (ssize_t)n);
}

/* With the least work that is allowed. */
static void
seal(struct span content)
{
	static uint8_t
	    box[CHUNK + crypto_secretstream_xchacha20poly1305_ABYTES];
	crypto_secretstream_xchacha20poly1305_state s;
	uint8_t head[crypto_secretstream_xchacha20poly1305_HEADERBYTES];
	uint8_t begin[HEAD] = "btchat vault 1\n";
	uint8_t key[32];
	bool last = false;

	begin[16] = crypto_pwhash_OPSLIMIT_MIN;
	begin[25] = crypto_pwhash_MEMLIMIT_MIN >> 8;
	assert(
	    crypto_pwhash(key, sizeof(key), pass, sizeof(pass) - 1, begin + 32,
	        crypto_pwhash_OPSLIMIT_MIN, crypto_pwhash_MEMLIMIT_MIN,
	        crypto_pwhash_ALG_ARGON2ID13) == 0);
	(void)crypto_secretstream_xchacha20poly1305_init_push(&s, head, key);
	put(begin, sizeof(begin));
	put(head, sizeof(head));
	while (!last) {
		size_t n = content.n < CHUNK ? content.n : CHUNK;

		last = n < CHUNK;
		(void)crypto_secretstream_xchacha20poly1305_push(&s, box, NULL,
		    content.p, n, NULL, 0,
		    last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : 0);
		put(box, n + crypto_secretstream_xchacha20poly1305_ABYTES);
		content.p += n;
		content.n -= n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct backup_about about = { .whole = false };
	struct id_seed seed;
	struct span by = span_str(pass);
	enum err err, same;

	if (file < 0) {
		assert(sodium_init() >= 0);
		log_init(LOG_ERR, false);
		file = memfd_create("backup", MFD_CLOEXEC);
	}
	assert(file >= 0 && ftruncate(file, 0) == 0);
	assert(lseek(file, 0, SEEK_SET) == 0);
	if (size > 0 && data[0] & 1)
		seal(span_of(data + 1, size - 1));
	else if (size > 0)
		put(data + 1, size - 1);
	err = backup_verify(file, by, &about);
	same = backup_identity(file, by, &seed, &about);
	assert(err == same);
	if (err)
		return 0;
	assert(utf8_valid(span_str(about.name)));
	assert(about.bytes > 0);
	return 0;
}
