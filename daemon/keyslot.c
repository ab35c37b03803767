#include "daemon/keyslot.h"

#include "daemon/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "btchat keys 1\n"

enum { AAD_SIZE = 32 };

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
	return (off_t)KEYSLOT_SIZE * (off_t)(1 + 2 * page + slot);
}

enum err
keyslots_read(const struct keyslots *s, size_t page, unsigned slot,
    uint8_t buf[KEYSLOT_SIZE], uint64_t *ret_generation, bool *ret_empty)
{
	struct reader r = rd_init(span_of(buf, KEYSLOT_SIZE));
	uint8_t aad[AAD_SIZE], nonce[24];
	uint64_t generation;
	size_t n;
	enum err err;

	memset(buf, 0, KEYSLOT_SIZE); /* what is past the end */
	err = file_read(s->fd, slot_at(page, slot), buf, KEYSLOT_SIZE, &n);
	if (err)
		return err;
	*ret_empty = sodium_is_zero(buf, KEYSLOT_SIZE);
	*ret_generation = 0;
	generation = rd_u64le(&r);
	rd_bytes(&r, nonce, sizeof(nonce));
	n = aad_write(page, generation, aad);
	if (generation != 0 &&
	    crypto_aead_xchacha20poly1305_ietf_decrypt(buf + KEYSLOT_HEAD, NULL,
	        NULL, buf + KEYSLOT_HEAD, KEYSLOT_SIZE - KEYSLOT_HEAD, aad, n,
	        nonce, s->seal) == 0)
		*ret_generation = generation;
	return ERR_OK;
}

enum err
keyslots_write(const struct keyslots *s, size_t page, unsigned slot,
    uint64_t generation, uint8_t buf[KEYSLOT_SIZE])
{
	struct writer w = wr_init(buf, KEYSLOT_HEAD);
	uint8_t aad[AAD_SIZE];
	size_t aad_n = aad_write(page, generation, aad);

	wr_u64le(&w, generation);
	randombytes_buf(buf + 8, 24);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(buf + KEYSLOT_HEAD,
	    NULL, buf + KEYSLOT_HEAD, KEYSLOT_PLAIN, aad, aad_n, NULL, buf + 8,
	    s->seal);
	return file_write(s->fd, slot_at(page, slot), buf, KEYSLOT_SIZE);
}

enum err
keyslots_sync(struct keyslots *s)
{
	if (s->broken || fdatasync(s->fd)) {
		s->broken = true;
		return ERR_IO;
	}
	return ERR_OK;
}

enum err
keyslots_count(const struct keyslots *s, size_t *ret)
{
	struct stat st;
	size_t n;

	if (fstat(s->fd, &st))
		return ERR_IO;
	n = st.st_size <= KEYSLOT_SIZE ? 0 : (size_t)st.st_size - KEYSLOT_SIZE;
	*ret = (n + 2 * KEYSLOT_SIZE - 1) / (2 * KEYSLOT_SIZE);
	return ERR_OK;
}

/* ---- the file ---- */

static enum err
open_file(int dir_fd, bool may_create, int *ret)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	const uint8_t head[KEYSLOT_SIZE] = MAGIC;
	int fd = openat(dir_fd, KEYFILE_NAME, flags);
	enum err err;

	if (fd < 0 && errno == ENOENT) {
		if (!may_create)
			return ERR_NOT_FOUND;
		err = file_create(
		    dir_fd, KEYFILE_NAME, span_of(head, sizeof(head)));
		if (err)
			return err;
		fd = openat(dir_fd, KEYFILE_NAME, flags);
	}
	if (fd < 0)
		return ERR_IO;
	*ret = fd;
	return ERR_OK;
}

static enum err
check_file(const struct keyslots *s)
{
	char magic[sizeof(MAGIC) - 1];
	struct stat st;

	if (fstat(s->fd, &st))
		return ERR_IO;
	if (!S_ISREG(st.st_mode) ||
	    pread(s->fd, magic, sizeof(magic), 0) != (ssize_t)sizeof(magic) ||
	    memcmp(magic, MAGIC, sizeof(magic)) != 0)
		return ERR_MALFORMED;
	return ERR_OK;
}

enum err
keyslots_open(struct keyslots *s, const char *dir, bool may_create)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err err;

	if (dir_fd < 0)
		return ERR_IO;
	err = open_file(dir_fd, may_create, &s->fd);
	(void)close(dir_fd);
	return err ? err : check_file(s);
}

void
keyslots_close(struct keyslots *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
}
