/* What a front end may ask for, without the socket between. */
#include "tests/support/daemon_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

static const char *why;
static int disk_error; /* of every write to a file of ours; 0: none */

ssize_t
wrap_pwrite(int fd, const void *p, size_t n, off_t at) __asm__("__wrap_pwrite");
ssize_t
real_pwrite(int fd, const void *p, size_t n, off_t at) __asm__("__real_pwrite");

ssize_t
wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
	errno = disk_error;
	return disk_error ? -1 : real_pwrite(fd, p, n, at);
}

static enum api_error
add(struct daemon_world *w, const char *address, const char *name,
    const char *client_id, struct contact_id *ret)
{
	struct command_contact in = { span_str(address), span_str(name),
		span_str(client_id) };

	why = "";
	return command_contact_add(&w->d, &in, ret, &why);
}

static enum api_error
send_text(struct daemon_world *w, const struct contact_id *to, struct span text,
    const char *client_id, struct message_id *ret, bool *duplicate)
{
	struct command_send in = { .to = *to,
		.words = { .kind = MESSAGE_TEXT, .text = text },
		.client_id = span_str(client_id) };

	return command_message_send(&w->d, &in, ret, duplicate);
}

static void
a_contact_is_added_once(void **state)
{
	struct daemon_world *w = *state;
	char address[ADDRESS_SIZE];
	struct contact_id a;
	struct contact_id b = { { 0 } };
	struct store_contact c;

	daemon_world_address(1, address);
	assert_int_equal(add(w, address, "Bob", "", &a), API_OK);
	assert_int_equal(add(w, address, "Bob", "", &b), API_ALREADY_EXISTS);
	assert_memory_equal(a.b, b.b, 16);
	assert_int_equal(store_contact_get(w->d.store, &a, &c), ERR_OK);
	assert_string_equal(c.name, "Bob");
	assert_int_equal(c.state, CONTACT_WAITING);
	assert_string_equal(daemon_world_events(w, 1), "contact.added");
}

static void
a_name_suggested_by_the_address_is_taken(void **state)
{
	struct daemon_world *w = *state;
	char address[ADDRESS_SIZE];
	char uri[160];
	struct contact_id a;
	struct store_contact c;

	daemon_world_address(1, address);
	(void)snprintf(
	    uri, sizeof(uri), "btchat:%s?name=J%%C3%%BCrgen", address);
	assert_int_equal(add(w, uri, "", "", &a), API_OK);
	assert_int_equal(store_contact_get(w->d.store, &a, &c), ERR_OK);
	assert_string_equal(c.name, "J\xc3\xbcrgen");
}

static void
bad_addresses_and_names_are_refused(void **state)
{
	struct daemon_world *w = *state;
	char address[ADDRESS_SIZE];
	char longer[STORE_NAME_MAX + 2] = { 0 };
	struct contact_id a;
	struct id_pk own;

	daemon_world_address(1, address);
	address[20] = address[20] == 'q' ? 'p' : 'q';
	assert_int_equal(add(w, address, "", "", &a), API_BAD_ADDRESS);
	assert_string_not_equal(why, "");
	assert_int_equal(add(w, "", "", "", &a), API_BAD_ADDRESS);
	assert_true(node_id(w->d.node, &own));
	address_encode(&own, address);
	assert_int_equal(add(w, address, "", "", &a), API_BAD_ADDRESS);
	daemon_world_address(1, address);
	memset(longer, 'n', sizeof(longer) - 1);
	assert_int_equal(add(w, address, longer, "", &a), API_INVALID_PARAMS);
	assert_int_equal(
	    add(w, address, "a\x1b[2J", "", &a), API_INVALID_PARAMS);
	assert_int_equal(add(w, address, "\xff", "", &a), API_INVALID_PARAMS);
	assert_int_equal(add(w, address, "fine", "", &a), API_OK);
}

static void
a_repeated_request_gives_the_same_result(void **state)
{
	struct daemon_world *w = *state;
	struct contact_id to = daemon_world_add(w, 1);
	struct span text = span_str("hello");
	struct message_id first;
	struct message_id second;
	struct message_id other;
	bool duplicate = true;

	assert_int_equal(
	    send_text(w, &to, text, "c-1", &first, &duplicate), API_OK);
	assert_false(duplicate);
	assert_int_equal(
	    send_text(w, &to, text, "c-1", &second, &duplicate), API_OK);
	assert_true(duplicate);
	assert_memory_equal(first.b, second.b, 16);
	assert_int_equal(
	    send_text(w, &to, span_str("other"), "c-1", &other, &duplicate),
	    API_CLIENT_ID_REUSED);
	assert_int_equal(
	    send_text(w, &to, text, "c-2", &other, &duplicate), API_OK);
	assert_false(duplicate);
	assert_memory_not_equal(first.b, other.b, 16);
	assert_string_equal(
	    daemon_world_events(w, 2), "message.new message.new");
}

static void
one_client_id_serves_one_method(void **state)
{
	struct daemon_world *w = *state;
	struct contact_id to = daemon_world_add(w, 1);
	char address[ADDRESS_SIZE];
	struct contact_id a;
	struct contact_id b;
	struct message_id id;
	bool duplicate;

	daemon_world_address(2, address);
	assert_int_equal(add(w, address, "B", "k", &a), API_OK);
	assert_int_equal(add(w, address, "B", "k", &b), API_OK);
	assert_memory_equal(a.b, b.b, 16);
	assert_int_equal(add(w, address, "C", "k", &b), API_CLIENT_ID_REUSED);
	assert_int_equal(send_text(w, &to, span_str("x"), "k", &id, &duplicate),
	    API_CLIENT_ID_REUSED);
}

/* Hostile input 26, from our side. */
static void
texts_that_no_peer_would_take_are_refused(void **state)
{
	struct daemon_world *w = *state;
	struct contact_id to = daemon_world_add(w, 1);
	struct contact_id nobody = { { 9 } };
	struct message_id id;
	bool duplicate;
	char *longer = calloc(1, NODE_TEXT_MAX + 1);

	memset(longer, 't', NODE_TEXT_MAX + 1);
	assert_int_equal(send_text(w, &to, span_of(longer, NODE_TEXT_MAX + 1),
	                     "", &id, &duplicate),
	    API_MESSAGE_TOO_LONG);
	assert_int_equal(send_text(w, &to, span_of(longer, NODE_TEXT_MAX), "",
	                     &id, &duplicate),
	    API_OK);
	assert_int_equal(
	    send_text(w, &to, span_of(NULL, 0), "", &id, &duplicate),
	    API_INVALID_PARAMS);
	assert_int_equal(
	    send_text(w, &to, span_str("\xc3("), "", &id, &duplicate),
	    API_INVALID_PARAMS);
	assert_int_equal(
	    send_text(w, &nobody, span_str("x"), "", &id, &duplicate),
	    API_CONTACT_NOT_FOUND);
	free(longer);
}

static void
renaming_and_deleting_are_told(void **state)
{
	struct daemon_world *w = *state;
	struct contact_id c = daemon_world_add(w, 1);
	struct contact_id nobody = { { 9 } };
	struct store_contact got;

	assert_int_equal(
	    command_contact_rename(&w->d, &c, span_str("Zoe")), API_OK);
	assert_int_equal(store_contact_get(w->d.store, &c, &got), ERR_OK);
	assert_string_equal(got.name, "Zoe");
	assert_int_equal(
	    command_contact_rename(&w->d, &nobody, span_str("Zoe")),
	    API_CONTACT_NOT_FOUND);
	assert_int_equal(command_contact_delete(&w->d, &c, true), API_OK);
	assert_int_equal(
	    command_contact_delete(&w->d, &c, true), API_CONTACT_NOT_FOUND);
	assert_int_equal(
	    store_contact_get(w->d.store, &c, &got), ERR_NOT_FOUND);
	/* What told of the person went with him. */
	assert_string_equal(daemon_world_events(w, 1), "contact.removed");
}

static void
an_invitation_lives_until_it_is_revoked(void **state)
{
	struct daemon_world *w = *state;
	struct node_invite i;
	struct store_invite got;
	struct message_id none = { { 1 } };
	struct contact_id c;
	struct command_contact in = { 0 };

	assert_int_equal(
	    command_invite_create(&w->d, span_str("for Eve"), 600000, &i),
	    API_OK);
	assert_int_equal(store_invite_get(w->d.store, &i.id, &got), ERR_OK);
	assert_string_equal(got.label, "for Eve");
	in.address = span_str(i.text);
	assert_int_equal(command_invite_accept(&w->d, &in, &c, &why),
	    API_BAD_ADDRESS); /* our own */
	assert_int_equal(command_invite_revoke(&w->d, &i.id), API_OK);
	assert_int_equal(
	    command_invite_revoke(&w->d, &i.id), API_INVALID_STATE);
	assert_int_equal(
	    command_invite_revoke(&w->d, &none), API_INVITE_NOT_FOUND);
	assert_int_equal(store_invite_get(w->d.store, &i.id, &got), ERR_OK);
	assert_int_equal(got.state, STORE_INVITE_GONE);
	assert_string_equal(
	    daemon_world_events(w, 1), "invite.created invite.revoked");
	for (unsigned n = 0; n < NODE_INVITES_MAX; n++)
		assert_int_equal(
		    command_invite_create(&w->d, span_of(NULL, 0), 600000, &i),
		    API_OK);
	assert_int_equal(
	    command_invite_create(&w->d, span_of(NULL, 0), 600000, &i),
	    API_QUOTA);
	assert_int_equal(command_invite_create(&w->d, span_of(NULL, 0), 0, &i),
	    API_INVALID_PARAMS);
}

static void
reading_is_told_once(void **state)
{
	struct daemon_world *w = *state;
	struct contact_id c = daemon_world_add(w, 1);
	struct contact_id nobody = { { 9 } };
	struct message_id none = { { 8 } };
	struct store_message m = { 0 };
	uint64_t unread = 99;

	m.m.contact = c;
	m.m.id.b[0] = 5;
	m.m.kind = MESSAGE_TEXT;
	m.m.state = MESSAGE_RECEIVED;
	m.m.text = span_str("hi");
	assert_int_equal(store_message_add(w->d.store, &m), ERR_OK);
	assert_int_equal(
	    command_conv_read(&w->d, &c, &m.m.id, &unread), API_OK);
	assert_int_equal(unread, 0);
	assert_int_equal(command_conv_read(&w->d, &c, NULL, &unread), API_OK);
	assert_int_equal(command_conv_read(&w->d, &c, &none, &unread),
	    API_MESSAGE_NOT_FOUND);
	assert_int_equal(command_conv_read(&w->d, &nobody, NULL, &unread),
	    API_CONVERSATION_NOT_FOUND);
	assert_string_equal(daemon_world_events(w, 2), "conv.read");
}

static void
clearing_twice_with_one_client_id_clears_once(void **state)
{
	struct daemon_world *w = *state;
	struct command_clear in = { .conv = daemon_world_add(w, 1),
		.client_id = span_str("c-1") };
	struct store_cleared what;
	struct store_message m = { 0 };
	bool duplicate = true;

	m.m.contact = in.conv;
	m.m.kind = MESSAGE_TEXT;
	m.m.state = MESSAGE_RECEIVED;
	m.m.text = span_str("hi");
	for (uint8_t i = 1; i <= 2; i++) {
		m.m.id.b[0] = i;
		m.m.seq = i;
		assert_int_equal(store_message_add(w->d.store, &m), ERR_OK);
		assert_int_equal(
		    command_conv_clear(&w->d, &in, &what, &duplicate), API_OK);
		assert_int_equal(duplicate, i == 2);
		assert_int_equal(what.messages, 1);
		assert_int_equal(what.unsent, 0);
	}
	assert_int_equal(
	    store_message_get(w->d.store, &in.conv, &m.m.id, &m), ERR_OK);
	in.drop = true;
	assert_int_equal(command_conv_clear(&w->d, &in, &what, &duplicate),
	    API_CLIENT_ID_REUSED);
	in = (struct command_clear){ .conv = { { 9 } } };
	assert_int_equal(command_conv_clear(&w->d, &in, &what, &duplicate),
	    API_CONVERSATION_NOT_FOUND);
	assert_string_equal(daemon_world_events(w, 2), "conv.cleared");
}

static void
a_full_disk_is_told_from_a_broken_one(void **state)
{
	static const struct {
		int error;
		enum api_error code;
	} ends[] = { { ENOSPC, API_STORAGE_FULL }, { EDQUOT, API_STORAGE_FULL },
		{ EIO, API_STORAGE_ERROR }, { 0, API_OK } };
	struct daemon_world w = { .dir = tempdir_new() };

	(void)state;
	assert_true(daemon_world_start(&w));
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		disk_error = ends[i].error;
		assert_int_equal(
		    command_identity_create(&w.d, span_str("")), ends[i].code);
	}
	daemon_world_stop(&w);
	tempdir_free(&w.dir);
}

static void
a_locked_daemon_says_so(void **state)
{
	struct daemon_world w = { .dir = tempdir_new() };
	struct contact_id c;

	(void)state;
	assert_true(daemon_world_start(&w));
	assert_int_equal(daemon_ready(&w.d), API_IDENTITY_NOT_FOUND);
	assert_int_equal(add(&w, "x", "", "", &c), API_IDENTITY_NOT_FOUND);
	assert_int_equal(command_identity_unlock(&w.d, span_str("p")),
	    API_IDENTITY_NOT_FOUND);
	assert_int_equal(
	    command_identity_create(&w.d, span_str("secret")), API_OK);
	assert_int_equal(
	    command_identity_create(&w.d, span_str("s")), API_ALREADY_EXISTS);
	c = daemon_world_add(&w, 1);
	daemon_drain(&w.d);
	daemon_world_stop(&w);
	assert_true(daemon_world_start(&w));
	assert_int_equal(daemon_ready(&w.d), API_LOCKED);
	assert_int_equal(command_contact_delete(&w.d, &c, true), API_LOCKED);
	assert_int_equal(command_identity_unlock(&w.d, span_str("Secret")),
	    API_BAD_PASSPHRASE);
	assert_int_equal(
	    command_identity_unlock(&w.d, span_str("secret")), API_OK);
	assert_int_equal(command_identity_unlock(&w.d, span_str("secret")),
	    API_INVALID_STATE);
	assert_int_equal(command_contact_delete(&w.d, &c, true), API_OK);
	assert_string_equal(daemon_world_events(&w, 0),
	    "identity.changed identity.unlocked contact.removed");
	daemon_world_stop(&w);
	tempdir_free(&w.dir);
}

static void
what_was_asked_before_the_lock_is_there_after_it(void **state)
{
	struct daemon_world w = { .dir = tempdir_new() };
	struct store_contact contact;
	struct message_id id, again;
	struct contact_id c;
	bool duplicate;

	(void)state;
	assert_true(daemon_world_start(&w));
	assert_int_equal(command_identity_lock(&w.d), API_IDENTITY_NOT_FOUND);
	assert_int_equal(command_identity_create(&w.d, span_str("")), API_OK);
	assert_int_equal(command_identity_lock(&w.d), API_INVALID_STATE);
	assert_int_equal(
	    command_identity_passphrase(&w.d, span_str("x"), span_str("one")),
	    API_BAD_PASSPHRASE);
	assert_int_equal(
	    command_identity_passphrase(&w.d, span_str(""), span_str("one")),
	    API_OK);
	c = daemon_world_add(&w, 1);
	/* Nothing was committed since. */
	assert_int_equal(
	    send_text(&w, &c, span_str("hi"), "id-1", &id, &duplicate), API_OK);
	assert_non_null(daemon_search(&w.d));
	assert_int_equal(command_identity_lock(&w.d), API_OK);
	assert_int_equal(command_identity_lock(&w.d), API_OK);
	assert_null(w.d.search);
	assert_false(store_has_key(w.d.store));
	assert_int_equal(daemon_ready(&w.d), API_LOCKED);
	assert_int_equal(store_contact_get(w.d.store, &c, &contact), ERR_STATE);
	assert_int_equal(
	    send_text(&w, &c, span_str("hi"), "id-1", &again, &duplicate),
	    API_LOCKED);
	assert_int_equal(
	    command_identity_passphrase(&w.d, span_str("one"), span_str("two")),
	    API_LOCKED);
	daemon_drain(&w.d);
	assert_int_equal(
	    command_identity_unlock(&w.d, span_str("one")), API_OK);
	assert_int_equal(
	    send_text(&w, &c, span_str("hi"), "id-1", &again, &duplicate),
	    API_OK);
	assert_true(duplicate);
	assert_memory_equal(&id, &again, sizeof(id));
	daemon_drain(&w.d);
	assert_string_equal(daemon_world_events(&w, 2),
	    "contact.added message.new identity.locked identity.unlocked");
	daemon_world_stop(&w);
	tempdir_free(&w.dir);
}

/* The turn is lost, and so is the event; the keys go all the same. */
static void
a_store_that_fails_does_not_keep_it_open(void **state)
{
	struct daemon_world w = { .dir = tempdir_new() };

	(void)state;
	assert_true(daemon_world_start(&w));
	assert_int_equal(
	    command_identity_create(&w.d, span_str("one")), API_OK);
	daemon_drain(&w.d);
	w.d.turn_failed = true;
	assert_int_equal(command_identity_lock(&w.d), API_OK);
	assert_null(w.d.node);
	assert_int_equal(keyring_state(w.d.keyring), KEYRING_LOCKED);
	assert_false(store_has_key(w.d.store));
	daemon_world_stop(&w);
	assert_true(daemon_world_start(&w));
	assert_int_equal(
	    command_identity_unlock(&w.d, span_str("one")), API_OK);
	assert_string_equal(
	    daemon_world_events(&w, 0), "identity.changed identity.unlocked");
	daemon_world_stop(&w);
	tempdir_free(&w.dir);
}

static void
bootstrap_wants_a_host_and_a_port(void **state)
{
	struct daemon_world *w = *state;

	assert_int_equal(
	    command_bootstrap(&w->d, "127.0.0.1"), API_INVALID_PARAMS);
	assert_int_equal(
	    command_bootstrap(&w->d, "127.0.0.1:0"), API_INVALID_PARAMS);
	assert_int_equal(command_bootstrap(&w->d, "127.0.0.1:9"), API_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) \
	cmocka_unit_test_setup_teardown(f, daemon_world_begin, daemon_world_end)
		T(a_contact_is_added_once),
		T(a_name_suggested_by_the_address_is_taken),
		T(bad_addresses_and_names_are_refused),
		T(a_repeated_request_gives_the_same_result),
		T(one_client_id_serves_one_method),
		T(texts_that_no_peer_would_take_are_refused),
		T(renaming_and_deleting_are_told),
		T(an_invitation_lives_until_it_is_revoked),
		T(reading_is_told_once),
		T(clearing_twice_with_one_client_id_clears_once),
		T(a_full_disk_is_told_from_a_broken_one),
		T(a_locked_daemon_says_so),
		T(what_was_asked_before_the_lock_is_there_after_it),
		T(a_store_that_fails_does_not_keep_it_open),
		T(bootstrap_wants_a_host_and_a_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
