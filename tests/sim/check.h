/*
 * The truth beside the nodes' opinion: who wanted whom, what was really
 * written, and the laws that must hold after every commit:
 *
 *   nothing acknowledged is lost, nothing is shown twice or out of order,
 *   nothing is shown that was not written by that contact, and so: words that
 *   change earlier ones, too, are shown once, in order, about those and with
 *   the time that was given to them; nothing is heard of what its sender took
 *   back, and no gap where it was; nobody becomes a contact who is not wanted,
 *   an invitation brings one contact at most.
 */
#ifndef TESTS_SIM_CHECK_H
#define TESTS_SIM_CHECK_H

#include "tests/sim/disk.h"

enum { CHECK_PEOPLE_MAX = 8, CHECK_WHY_MAX = 240 };
#define CHECK_NOBODY UINT32_MAX

/* A message that somebody really wrote. */
struct check_message {
	struct message_id id;
	struct contact_id lane; /* the sender's name for whom it is for */
	uint32_t from, to;
	enum message_kind kind;
	bool has_ref;
	struct message_id ref;
	uint32_t ttl_s;
	uint64_t seq;     /* 0 until durable */
	uint8_t text[16]; /* hash */
	size_t text_bytes;
	uint64_t sent_ms, received_ms, delivered_ms; /* virtual */
	bool durable;                                /* at the sender */
	bool received;  /* durable at the receiver */
	bool delivered; /* durable at the sender, that it is */
	bool forgotten; /* by who has an older disk now */
	bool unwanted;  /* the sender takes it back, or what it is about */
	bool cancelled; /* so it is, durably */
};

/* The last that was received of one sender's row of messages. */
struct check_lane {
	struct contact_id id;
	struct contact_id at; /* the receiver's name for the sender */
	uint64_t seq;
	bool is_renewed; /* the sender counts anew, from anywhere */
};

struct check {
	bool failed;
	char why[CHECK_WHY_MAX]; /* of the first failure */
	uint64_t now_ms;         /* virtual, set by the world */
	uint32_t n_people;
	struct id_pk pk[CHECK_PEOPLE_MAX];
	const struct disk *disk[CHECK_PEOPLE_MAX]; /* borrowed */
	bool lies[CHECK_PEOPLE_MAX]; /* nothing holds for it, with it */
	/* [a][b]: a asked for b; a had b durable; a had b ready. */
	bool wanted[CHECK_PEOPLE_MAX][CHECK_PEOPLE_MAX];
	bool known[CHECK_PEOPLE_MAX][CHECK_PEOPLE_MAX];
	bool ready[CHECK_PEOPLE_MAX][CHECK_PEOPLE_MAX];
	bool deleted[CHECK_PEOPLE_MAX][CHECK_PEOPLE_MAX]; /* now */
	bool parted[CHECK_PEOPLE_MAX][CHECK_PEOPLE_MAX];  /* once */
	bool restored[CHECK_PEOPLE_MAX];                  /* once */
	/* The number of theirs that somebody says to have read. */
	uint64_t read_seq[CHECK_PEOPLE_MAX][CHECK_PEOPLE_MAX];
	uint64_t ready_ms[CHECK_PEOPLE_MAX][CHECK_PEOPLE_MAX];
	struct check_message *messages; /* owned */
	size_t n_messages, cap_messages;
	struct ids ids;           /* of the messages */
	struct check_lane *lanes; /* owned */
	size_t n_lanes;
	uint64_t n_received, n_repeated, n_reads, n_cancelled, n_again;
};

void check_clear(struct check *c);
/* Keeps the first reason. */
void check_fail(struct check *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void check_person(struct check *c, uint32_t who, const struct id_pk *pk,
    const struct disk *disk);
uint32_t check_who(const struct check *c, const struct id_pk *pk);
struct check_message *
check_find(const struct check *c, const struct message_id *id);

/* One of the two lies: only what protects the other from it is law. */
bool check_is_spoiled(const struct check *c, uint32_t a, uint32_t b);

/* A node took a text; the change must follow. */
void check_written(struct check *c, uint32_t from, uint32_t to,
    const struct contact_id *lane, const struct message_id *id,
    const struct node_words *words);
/* A change of `who` was applied. */
void check_applied(struct check *c, uint32_t who, const struct change *change,
    enum disk_result result);
/* `who` has an older disk now. What only the newer one had is forgotten, and
 * no more is lost. */
void check_restored(struct check *c, uint32_t who);
/* How many messages between people who still have each other are not yet
 * known to be delivered. */
size_t check_missing(const struct check *c);
bool check_is_missing(const struct check *c, const struct check_message *m);
/* Whether a and b are contacts of each other that nobody has deleted. */
bool check_are_contacts(const struct check *c, uint32_t a, uint32_t b);
/* The whole history once more, at the end. */
void check_history(struct check *c);

#endif /* TESTS_SIM_CHECK_H */
