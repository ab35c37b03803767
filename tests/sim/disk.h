/*
 * What is durable of one participant, as plain C: the rows that the daemon
 * keeps in its database, and one transaction under way that a crash loses.
 */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include "proto/node.h"
#include "tests/sim/ids.h"

enum { DISK_DHT_MAX = NODE_SAVED_NODES_MAX };

struct disk_record {
	size_t n;
	uint8_t b[NODE_RECORD_MAX];
};

struct disk_contact {
	struct contact_id id;
	struct id_pk pk;
	enum contact_state state;
	bool gone;
	struct disk_record record;
};

struct disk_invite {
	struct message_id id;
	uint64_t expires_s;
	bool gone;
	bool used;
	struct contact_id contact; /* who used it */
	struct disk_record record;
};

/* A row of the history, either direction. Stays when its contact goes: the
 * checker wants to know. */
struct disk_message {
	struct node_message m; /* m.text is owned */
};

/* A change of the transaction under way; what it borrows is copied. */
struct disk_change {
	struct change c;
	uint8_t *bytes; /* owned: record or text */
	struct node_saved nodes[DISK_DHT_MAX];
};

enum disk_result {
	DISK_DONE = 0,
	DISK_KNOWN,    /* a received message that is there already */
	DISK_CONFLICT, /* the same, with another text */
	DISK_BAD,      /* no owner may be asked for this; disk.why says more */
};

struct disk {
	struct disk_record self;
	struct disk_contact *contacts; /* owned */
	size_t n_contacts;
	struct disk_invite *invites; /* owned */
	size_t n_invites;
	struct disk_message *messages; /* owned, in the order of insertion */
	size_t n_messages, cap_messages;
	struct ids ids; /* of the messages */
	struct node_saved dht[DISK_DHT_MAX];
	size_t n_dht;
	struct disk_change *pending; /* owned, in order */
	size_t n_pending, cap_pending;
	uint64_t n_commits;
	const char *why;
};

/* Called for each change of a commit, after it was applied. */
struct disk_watch {
	void (*applied)(
	    void *ctx, const struct change *c, enum disk_result result);
	void *ctx;
};

void disk_clear(struct disk *d);
void disk_store(struct disk *d, const struct change *c); /* into pending */
void disk_commit(struct disk *d, const struct disk_watch *watch);
void disk_rollback(struct disk *d);
/* What is durable, as an image of it has it; for disk_clear. */
void disk_copy(const struct disk *d, struct disk *ret);

/* NULL if there is none. Gone ones are found, too. */
struct disk_contact *
disk_contact(const struct disk *d, const struct contact_id *id);
struct disk_contact *
disk_contact_of(const struct disk *d, const struct id_pk *pk); /* not gone */
struct disk_invite *
disk_invite(const struct disk *d, const struct message_id *id);
struct disk_message *disk_message(const struct disk *d,
    const struct contact_id *contact, const struct message_id *id);

/* Gives everything durable to a new node, as the daemon does at start. */
MUST_USE enum err disk_load(const struct disk *d, struct node *n,
    const struct id_seed *seed, struct now now);

#endif /* TESTS_SIM_DISK_H */
