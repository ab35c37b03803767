/*
 * What contacts say to each other on the stream of a link: records, each an
 * LE32 length and a bencoded dictionary. [SPEC §7.5]
 *
 *   message  h prev[32]  i id[16]  k kind  n seq  r id[16] of another one
 *            s sender's Unix ms  t seconds, of a text that disappears  x text
 *   ack      e db epoch[8] of the one whose messages are acked
 *            h hash[8] of the one with that seq  k 2  n seq
 *   read     e and n as in an ack  k 8
 *   typing   k 9  n 1, or 0 when it is over
 *   refused  c why  e, h, n as in an ack, of the message that is not taken,
 *            nor what follows it until it is named by a resumed  k 10
 *   resumed  k 11  n the message that was refused: what follows is sent again
 *
 * Messages, by k and what r and x are:
 *   1 text      what it replies to, if anything   what is said
 *   3 edit      an earlier text of the sender     what is said instead
 *   4 delete    an earlier text of the sender     empty
 *   5 reaction  any text                          a few characters; empty:
 *                                                 it is taken back
 *   6 timer     none                              empty; t: texts disappear so
 *                                                 long after they were read,
 *                                                 0: they stay
 *   7 profile   none                              what the sender wants to be
 *                                                 called; empty: nothing
 *
 * An ack says: all your messages up to seq are durable here. Read says: a
 * person has seen them. A record of an unknown kind is ignored, so that later
 * kinds can be added; a message of one with m 1 is refused.
 */
#ifndef PROTO_CHAT_MESSAGE_H
#define PROTO_CHAT_MESSAGE_H

#include "proto/base/bytes.h"
#include "proto/base/err.h"
#include "proto/crypto/types.h"

enum {
	RECORD_HEAD = 4,    /* bytes of the length */
	RECORD_MAX = 66048, /* bytes after it: 64 KiB of text and the rest */
	MESSAGE_TEXT_MAX = 65536, /* bytes of UTF-8 [SPEC §7.5] */
	MESSAGE_HASH_SIZE = 32,
	MESSAGE_HEAD_SIZE = 8, /* of its hash: what an ack names */
	DB_EPOCH_SIZE = 8,
	RECORD_ACK_MAX = 64,       /* bytes of an encoded ack with its length */
	MESSAGE_REACTION_MAX = 64, /* bytes of UTF-8 */
	MESSAGE_PROFILE_MAX = 256,
	MESSAGE_TTL_MAX_S = 366 * 86400,
};

enum record_kind {
	RECORD_UNKNOWN = 0,
	RECORD_TEXT = 1,
	RECORD_ACK = 2,
	RECORD_EDIT = 3,
	RECORD_DELETE = 4,
	RECORD_REACTION = 5,
	RECORD_TIMER = 6,
	RECORD_PROFILE = 7,
	RECORD_READ = 8,
	RECORD_TYPING = 9,
	RECORD_REFUSED = 10,
	RECORD_RESUMED = 11,
	/* A message that is not to be taken, by `refusal`: it has what
	 * record_hash needs. */
	RECORD_NOT_TAKEN,
};

/* Why a message is not taken; on the wire. Of the unknown ones a sender thinks
 * as of REFUSAL_UNKNOWN. */
enum refusal {
	REFUSAL_NONE = 0,
	REFUSAL_TOO_LONG = 1, /* for good */
	REFUSAL_UNKNOWN = 2,  /* of a kind that must be known: for good */
	REFUSAL_MANY = 3,     /* for now */
	REFUSAL_NO_ROOM = 4,  /* for now */
};
enum { REFUSAL_WIRE_MAX = 255 };

static inline bool
refusal_is_for_now(uint8_t why)
{
	return why == REFUSAL_MANY || why == REFUSAL_NO_ROOM;
}

/* A message has all but what names another kind; the others have that, kind
 * and, but for TYPING, seq. */
struct record {
	enum record_kind kind;
	/* Its own; ACK, READ: the highest of theirs; REFUSED, RESUMED: of the
	 * one that is not taken; 1.. */
	uint64_t seq;
	struct message_id id;
	uint8_t prev[MESSAGE_HASH_SIZE]; /* hash of the one before */
	int64_t sent_ms;                 /* sender's clock, as it came */
	bool has_ref;
	struct message_id ref;
	uint32_t ttl_s;   /* TEXT: 0: it stays; TIMER */
	struct span text; /* valid UTF-8 without NUL; borrowed */
	/* As it came: up to and with the key of text, also what we do not
	 * know; borrowed. Empty: as it is encoded. */
	struct span before;
	uint8_t epoch[DB_EPOCH_SIZE];    /* ACK, READ, REFUSED */
	uint8_t head[MESSAGE_HEAD_SIZE]; /* ACK, REFUSED: of its hash */
	bool on;                         /* TYPING: it goes on */
	uint8_t refusal; /* REFUSED, NOT_TAKEN: enum refusal, or another */
};

static inline bool
record_is_message(const struct record *r)
{
	return r->kind != RECORD_ACK && r->kind >= RECORD_TEXT &&
	       r->kind <= RECORD_PROFILE;
}

/* Do ref, time and text go with the kind of a message? ERR_TOO_LONG: the text;
 * ERR_MALFORMED: all else. */
MUST_USE enum err record_check(const struct record *in);

/* Length and dictionary; ret->bad if it does not fit. */
void record_encode(const struct record *in, struct writer *ret);
/* A dictionary without its length. ERR_MALFORMED: not canonical, a field
 * missing, and as record_check, but that a text too long is NOT_TAKEN. */
MUST_USE enum err record_decode(struct span in, struct record *ret);
/* What the next message of the same sender names as prev: over the encoded
 * dictionary, without the length of its text and its end. */
void record_hash(const struct record *in, uint8_t ret[MESSAGE_HASH_SIZE]);

/* The sender's clock as far as it can be true, for sorting: what is before
 * 2026 or more than a day ahead of now_ms becomes now_ms, and false. */
bool record_clock(const struct record *in, uint64_t now_ms, uint64_t *ret);

/* Bytes that record_encode writes for a text of n bytes, at most. */
static inline size_t
record_text_size(size_t n)
{
	return n + 256;
}

/*
 * Cuts the stream of one link into records. Memory is taken for a record
 * under way only, at most RECORD_HEAD + RECORD_MAX, doubled.
 */
struct record_reader {
	uint8_t *buf;  /* owned, or NULL */
	size_t n, cap; /* bytes held of the record under way, with its head */
};

void record_reader_init(struct record_reader *r);
void record_reader_clear(struct record_reader *r);
/*
 * Takes bytes from *in and gives the next whole record, if there is one:
 * *got says so, ret is borrowed until the next call. Called until *got is
 * false. ERR_TOO_LONG: a length over RECORD_MAX or 0; ERR_NOMEM. Both end
 * the stream.
 */
MUST_USE enum err record_reader_next(
    struct record_reader *r, struct span *in, bool *got, struct span *ret);

#endif /* PROTO_CHAT_MESSAGE_H */
