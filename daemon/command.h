/*
 * What a front end may ask for, as plain calls: the node, the store and the
 * durable event of each are kept together here, the RPC handlers only read
 * params and print results. All run inside a turn; their effects are durable
 * when hooks.after_commit says so.
 */
#ifndef DAEMON_COMMAND_H
#define DAEMON_COMMAND_H

#include "daemon/daemon.h"

/* What the effects of a command are to be stored with. */
struct command {
	struct span name;  /* of a new contact */
	struct span label; /* of a new invitation */
	bool history;      /* goes with the contact */
	bool revoked;      /* the invitation ends because we say so */
};

/* LOCKED is not an error of these two. ALREADY_EXISTS, BAD_PASSPHRASE,
 * INVALID_STATE (not locked, or the store is that of a key that is missing),
 * CRYPTO (not the key of this store), STORAGE_*. An empty passphrase makes a
 * plain key file. */
MUST_USE enum api_error
command_identity_create(struct daemon *d, struct span passphrase);
MUST_USE enum api_error
command_identity_unlock(struct daemon *d, struct span passphrase);

/* ---- command_lock.c ---- */

/* The keys and all that they opened leave the memory of this process; who is
 * subscribed is told. Locked already: OK. Where the store cannot be written it
 * is done without the event. IDENTITY_NOT_FOUND; INVALID_STATE: the key file
 * has no passphrase. The calls of this turn so far have been answered then. */
MUST_USE enum api_error command_identity_lock(struct daemon *d);
/* Seals the key file by another passphrase; empty: none. BAD_PASSPHRASE: the
 * old one (empty: none) is not that; LOCKED; INVALID_PARAMS; CRYPTO;
 * STORAGE_*. */
MUST_USE enum api_error command_identity_passphrase(
    struct daemon *d, struct span old, struct span fresh);

/* ---- command_delete.c ---- */

/* Keys, store and all, for good; the daemon goes on without an identity. The
 * log of events is another one then. INVALID_PARAMS: that is not our address;
 * IDENTITY_NOT_FOUND, LOCKED; STORAGE_*: nothing changed. As with
 * command_identity_lock, calls so far have been answered. */
MUST_USE enum api_error
command_identity_delete(struct daemon *d, struct span address);

/* ---- command.c ---- */

/* What we call this identity; the log tells of it. INVALID_PARAMS. */
MUST_USE enum api_error
command_identity_name(struct daemon *d, struct span name);
/* What contacts, also later ones, are told to call us; empty: nothing. */
MUST_USE enum api_error
command_identity_profile(struct daemon *d, struct span profile);

/* "[key@]host:port"; names are resolved in the background. INVALID_PARAMS. */
MUST_USE enum api_error
command_bootstrap(struct daemon *d, const char *host_port);

/* Asks a contact for an answer: hooks.pong tells of it. CONTACT_NOT_FOUND,
 * BLOCKED; OFFLINE: no node of the DHT answers; PEER_UNREACHABLE: no session.
 */
MUST_USE enum api_error
command_probe(struct daemon *d, const struct contact_id *id);

/* ---- command_contact.c ---- */

/* A name is UTF-8 without controls, at most STORE_NAME_MAX bytes; empty: the
 * one suggested by the address. client_id may be empty.
 * BAD_ADDRESS (*ret_why names it), ALREADY_EXISTS (*ret is that contact),
 * CLIENT_ID_REUSED, INVALID_PARAMS (name), QUOTA. */
struct command_contact {
	struct span address, name, client_id;
};
MUST_USE enum api_error
command_contact_add(struct daemon *d, const struct command_contact *in,
    struct contact_id *ret, const char **ret_why);
MUST_USE enum api_error command_contact_rename(
    struct daemon *d, const struct contact_id *id, struct span name);
/* CONTACT_NOT_FOUND. */
MUST_USE enum api_error command_contact_decide(struct daemon *d,
    const struct contact_id *id, const struct node_decision *what);
/* Nothing changes if it is so already. CONTACT_NOT_FOUND. */
MUST_USE enum api_error command_contact_block(
    struct daemon *d, const struct contact_id *id, bool blocked);
MUST_USE enum api_error command_contact_delete(
    struct daemon *d, const struct contact_id *id, bool history);

/* QUOTA (live ones), INVALID_PARAMS (label, ttl). */
MUST_USE enum api_error command_invite_create(struct daemon *d,
    struct span label, uint64_t ttl_ms, struct node_invite *ret);
MUST_USE enum api_error
command_invite_revoke(struct daemon *d, const struct message_id *id);
/* As contact_add; `address` is the invitation. */
MUST_USE enum api_error
command_invite_accept(struct daemon *d, const struct command_contact *in,
    struct contact_id *ret, const char **ret_why);

/* ---- command_message.c ---- */

struct command_send {
	struct contact_id to;
	struct node_words words;
	bool has_ttl; /* words.ttl_s counts, not that of the conversation */
	struct span client_id; /* may be empty */
};
/*
 * CONTACT_NOT_FOUND, MESSAGE_TOO_LONG, INVALID_PARAMS (UTF-8, empty), QUOTA,
 * CLIENT_ID_REUSED; MESSAGE_NOT_FOUND: the one that words.ref names, or its
 * text is gone; INVALID_STATE: it is not ours to edit or delete.
 * *ret_duplicate: it had been sent before, *ret is its id.
 */
MUST_USE enum api_error command_message_send(struct daemon *d,
    const struct command_send *in, struct message_id *ret, bool *ret_duplicate);
/*
 * A text of ours that never left is not sent, and has failed; it was taken back
 * before: OK. MESSAGE_NOT_FOUND; INVALID_STATE: it left, or is none of that.
 */
MUST_USE enum api_error command_message_cancel(struct daemon *d,
    const struct contact_id *conv, const struct message_id *id);
/*
 * A text of ours that has failed is sent once more, as the newest of its
 * conversation; it is on its way already: OK. MESSAGE_NOT_FOUND, also: the text
 * is gone; INVALID_STATE; CONTACT_NOT_FOUND, BLOCKED, QUOTA.
 */
MUST_USE enum api_error command_message_retry(struct daemon *d,
    const struct contact_id *conv, const struct message_id *id);
/* At this side alone. MESSAGE_NOT_FOUND. */
MUST_USE enum api_error command_message_forget(struct daemon *d,
    const struct contact_id *conv, const struct message_id *id);

/* ---- command_conv.c ---- */

/* Marks up to and including `up_to` (NULL: all) as read, and tells the contact
 * if receipts are on. */
MUST_USE enum api_error
command_conv_read(struct daemon *d, const struct contact_id *conv,
    const struct message_id *up_to, uint64_t *ret_unread);

/* What is to change of a conversation. */
struct command_conv {
	const struct store_conv *kept; /* as store_conv_set takes it, or NULL */
	bool has_draft, has_timer;
	struct span draft; /* empty: none */
	uint32_t ttl_s;    /* of texts of both sides; 0: they stay */
};
/* All of it, or an error and nothing. CONVERSATION_NOT_FOUND,
 * MESSAGE_TOO_LONG and INVALID_PARAMS (draft), BLOCKED and QUOTA (timer). */
MUST_USE enum api_error command_conv_set(struct daemon *d,
    const struct contact_id *conv, const struct command_conv *what);
struct command_clear {
	struct contact_id conv;
	bool drop;             /* what is not delivered yet is not sent */
	struct span client_id; /* may be empty */
};
/* CONVERSATION_NOT_FOUND, INVALID_PARAMS, CLIENT_ID_REUSED. */
MUST_USE enum api_error
command_conv_clear(struct daemon *d, const struct command_clear *in,
    struct store_cleared *ret, bool *ret_duplicate);
/* Somebody is typing there, or no longer. CONVERSATION_NOT_FOUND. */
MUST_USE enum api_error
command_typing(struct daemon *d, const struct contact_id *conv, bool on);

/* ---- command_backup.c; fd is a regular file, borrowed ---- */

struct backup_about;
/* All: BAD_PASSPHRASE, BACKUP_INVALID (not such a file, damaged, of a newer
 * version), STORAGE_FULL, STORAGE_ERROR, CRYPTO (no memory for the passphrase).
 * Restoring and importing: ALREADY_EXISTS: there is an identity;
 * INVALID_STATE: there is a store of another one. */
MUST_USE enum api_error command_backup_create(
    struct daemon *d, struct span pass, int fd, struct backup_about *ret);
MUST_USE enum api_error command_backup_verify(
    struct daemon *d, struct span pass, int fd, struct backup_about *ret);
MUST_USE enum api_error command_backup_restore(
    struct daemon *d, struct span pass, int fd, struct backup_about *ret);
MUST_USE enum api_error command_identity_export(
    struct daemon *d, struct span pass, int fd, struct backup_about *ret);
MUST_USE enum api_error command_identity_import(
    struct daemon *d, struct span pass, int fd, struct backup_about *ret);

#endif /* DAEMON_COMMAND_H */
