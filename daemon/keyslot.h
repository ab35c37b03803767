/*
 * The pages of store.keys on disk, each in two slots of 4096 bytes behind a
 * first one that says what the file is: generation[8] (LE) ‖ nonce[24] ‖
 * XChaCha20-Poly1305 of the page, AAD = label ‖ page[8] ‖ generation[8]. Which
 * slot counts, and when which is written, is keyfile.c's.
 */
#ifndef DAEMON_KEYSLOT_H
#define DAEMON_KEYSLOT_H

#include "daemon/keyfile.h"

enum {
	KEYSLOT_SIZE = 4096,
	KEYSLOT_HEAD = 8 + 24, /* the page stands behind it */
	KEYSLOT_PLAIN = KEYSLOT_SIZE - KEYSLOT_HEAD - 16,
};

struct keyslots {
	int fd; /* owned; -1: none */
	uint8_t seal[KEYFILE_KEY_SIZE];
	bool broken; /* a sync failed: nothing more is durable */
};

/* dir/store.keys; s->seal is set. As keyfile_open; then keyslots_close. */
MUST_USE enum err
keyslots_open(struct keyslots *s, const char *dir, bool may_create);
void keyslots_close(struct keyslots *s);
/* How many pages the file has room for, the last may be torn. ERR_IO. */
MUST_USE enum err keyslots_count(const struct keyslots *s, size_t *ret);

/* buf: the slot, its page opened in place. *ret_generation 0: it does not open;
 * *ret_empty: never written. ERR_IO. */
MUST_USE enum err
keyslots_read(const struct keyslots *s, size_t page, unsigned slot,
    uint8_t buf[KEYSLOT_SIZE], uint64_t *ret_generation, bool *ret_empty);
/* The page is in buf, and is sealed there. ERR_LIMIT, ERR_IO. */
MUST_USE enum err keyslots_write(const struct keyslots *s, size_t page,
    unsigned slot, uint64_t generation, uint8_t buf[KEYSLOT_SIZE]);
/* A failed sync is not tried again: the system may have dropped the bytes and
 * forgotten that. */
MUST_USE enum err keyslots_sync(struct keyslots *s);

#endif /* DAEMON_KEYSLOT_H */
