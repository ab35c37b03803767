/* identity.*: who this daemon is. */
#include "daemon/rpc_conn.h"

#include "daemon/file.h"
#include "proto/base/text.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

static enum err
put_identity(struct json_out *o, struct daemon *d, const struct id_pk *id)
{
	char address[ADDRESS_SIZE], uri[ADDRESS_SIZE + 8] = "btchat:";
	char hex[2 * sizeof(id->b) + 1];
	char name[STORE_NAME_MAX + 1] = "", profile[STORE_NAME_MAX + 1] = "";
	uint64_t created_ms = 0;
	enum err err = store_profile_get(d->store, name, &created_ms);

	if (!err || store_is_gone(err))
		err = store_told_get(d->store, profile);
	if (err && !store_is_gone(err))
		return err;
	address_encode(id, address);
	memcpy(uri + strlen(uri), address, sizeof(address));
	hex_encode(span_of(id->b, sizeof(id->b)), hex);
	json_put_str(o, "address", address);
	json_put_str(o, "uri", uri);
	json_put_str(o, "fingerprint", hex);
	json_put_str(o, "name", name);
	json_put_str(o, "profile", profile);
	json_put_uint(o, "created_ms", created_ms);
	json_put_bool(o, "sealed", keyring_sealed(d->keyring));
	return ERR_OK;
}

static void
show(struct rpc_call *c)
{
	struct id_pk id;
	enum err err;

	if (!c->d->node || !node_id(c->d->node, &id)) {
		(void)rpc_fail(c, store_error(c->d->store));
		return;
	}
	err = put_identity(rpc_result(c), c->d, &id);
	if (err)
		rpc_fail_store(c, err);
}

void
rpc_identity_show(struct rpc_call *c)
{
	show(c);
}

/* Some day there may be more than one. */
void
rpc_identity_list(struct rpc_call *c)
{
	enum api_error code = daemon_ready(c->d);
	enum err err = ERR_OK;
	struct json_out *o;
	struct id_pk id;

	if (code && code != API_IDENTITY_NOT_FOUND) {
		(void)rpc_fail(c, code);
		return;
	}
	o = rpc_result(c);
	json_put_open(o, "items", '[');
	if (!code && node_id(c->d->node, &id)) {
		json_open(o, '{');
		err = put_identity(o, c->d, &id);
		json_close(o, '}');
	}
	json_close(o, ']');
	if (err)
		rpc_fail_store(c, err);
}

void
rpc_identity_set(struct rpc_call *c)
{
	struct span name = rpc_str(c, "name"), profile = rpc_str(c, "profile");
	enum api_error code = API_OK;

	if (!utf8_is_line(name) || !utf8_is_line(profile)) {
		rpc_fail_param(c, utf8_is_line(name) ? "profile" : "name",
		    "has control characters");
		return;
	}
	if (rpc_has(c, "name"))
		code = command_identity_name(c->d, name);
	if (!code && rpc_has(c, "profile"))
		code = command_identity_profile(c->d, profile);
	if (code)
		(void)rpc_fail(c, code);
	else
		show(c);
}

/* ---- passphrases ---- */

/* One that was given as a parameter, or as a number among the files that were
 * passed with the line: their first line. */
struct passphrase {
	uint8_t
	    b[KEYRING_PASS_MAX + 2]; /* secret; a longer one shows, and LF */
	size_t n;
};

static bool
take_line(struct rpc_call *c, const char *param, int fd, struct passphrase *ret)
{
	const uint8_t *end;
	enum err err = file_read(fd, 0, ret->b, sizeof(ret->b), &ret->n);

	if (err) {
		rpc_fail_param(c, param, "cannot be read");
		return false;
	}
	end = memchr(ret->b, '\n', ret->n);
	if (end)
		ret->n = (size_t)(end - ret->b);
	if (ret->n > 0 && ret->n <= KEYRING_PASS_MAX)
		return true;
	rpc_fail_param(c, param,
	    ret->n == 0 ? "its first line is empty"
	                : "its first line has more than 1024 bytes");
	return false;
}

static bool
take_file(struct rpc_call *c, const char *param, struct passphrase *ret)
{
	int fd = rpc_take_file(c, param, (size_t)rpc_int(c, param, 0), false);
	bool good = fd >= 0 && take_line(c, param, fd, ret);

	if (fd >= 0)
		(void)close(fd);
	return good;
}

/* Either of two parameters, or neither: empty. False and an error reply. */
static bool
take_passphrase(struct rpc_call *c, const char *text, const char *fd,
    struct passphrase *ret)
{
	struct span s = rpc_str(c, text);

	ret->n = 0;
	if (rpc_has(c, fd) && rpc_has(c, text)) {
		rpc_fail_param(c, fd, "or the passphrase itself: choose one");
		return false;
	}
	if (rpc_has(c, fd))
		return take_file(c, fd, ret);
	assert(s.n <= KEYRING_PASS_MAX);
	if (s.n > 0)
		memcpy(ret->b, s.p, s.n);
	ret->n = s.n;
	rpc_forget(c, text);
	return true;
}

void
rpc_identity_create(struct rpc_call *c)
{
	struct span name = rpc_str(c, "name");
	enum api_error code = API_OK;
	struct passphrase pass;

	if (!utf8_is_line(name)) {
		rpc_fail_param(c, "name", "has control characters");
		return;
	}
	if (!take_passphrase(c, "passphrase", "fd", &pass))
		goto out;
	code = command_identity_create(c->d, span_of(pass.b, pass.n));
	if (!code && store_profile_set(c->d->store, name, c->d->now.wall_ms))
		code = store_error(c->d->store);
	if (code)
		(void)rpc_fail(c, code);
	else
		show(c);
out:
	sodium_memzero(&pass, sizeof(pass));
}

void
rpc_identity_unlock(struct rpc_call *c)
{
	struct passphrase pass;
	enum api_error code;

	if (!rpc_has(c, "passphrase") && !rpc_has(c, "fd")) {
		rpc_fail_param(c, "passphrase", "is missing");
		return;
	}
	if (!take_passphrase(c, "passphrase", "fd", &pass))
		goto out;
	code = command_identity_unlock(c->d, span_of(pass.b, pass.n));
	if (code)
		(void)rpc_fail(c, code);
	else
		show(c);
out:
	sodium_memzero(&pass, sizeof(pass));
}

/* None at all is a decision that is said, not one that is forgotten. */
static bool
says_which(struct rpc_call *c)
{
	bool removes = rpc_bool(c, "remove", false);
	bool has = rpc_has(c, "passphrase") || rpc_has(c, "fd");

	if (removes != has)
		return true;
	rpc_fail_param(c, "passphrase",
	    has ? "or \"remove\": choose one"
	        : "is missing; \"remove\" would do without");
	return false;
}

void
rpc_identity_passphrase(struct rpc_call *c)
{
	struct passphrase old, fresh;
	enum api_error code;

	if (!says_which(c))
		return;
	if (!take_passphrase(c, "old", "old_fd", &old) ||
	    !take_passphrase(c, "passphrase", "fd", &fresh))
		goto out;
	code = command_identity_passphrase(
	    c->d, span_of(old.b, old.n), span_of(fresh.b, fresh.n));
	if (code)
		(void)rpc_fail(c, code);
	else
		show(c);
out:
	sodium_memzero(&old, sizeof(old));
	sodium_memzero(&fresh, sizeof(fresh));
}

/* ---- locking, and the end ---- */

/* False, and an error reply: the other replies of a batch could not stay. */
static bool
is_alone(struct rpc_call *c)
{
	if (c->batch)
		(void)rpc_error(c, API_INVALID_REQUEST,
		    "%s does not go into a batch", c->method->name);
	return !c->batch;
}

/* What stood in the output has left. */
static void
begin_output(struct rpc_call *c)
{
	c->start = c->out->n;
	c->limit = c->start + API_OUTPUT_MAX - RPC_ERROR_MAX;
}

void
rpc_identity_lock(struct rpc_call *c)
{
	enum api_error code;

	if (!is_alone(c))
		return;
	code = command_identity_lock(c->d);
	begin_output(c);
	if (code == API_INVALID_STATE)
		(void)rpc_error(c, API_INVALID_STATE,
		    "the key file has no passphrase: nothing would lock it");
	else if (code)
		(void)rpc_fail(c, code);
	else
		json_put_bool(rpc_result(c), "locked", true);
}

void
rpc_identity_delete(struct rpc_call *c)
{
	enum api_error code;

	if (!is_alone(c))
		return;
	code = command_identity_delete(c->d, rpc_str(c, "confirm"));
	begin_output(c);
	if (code == API_INVALID_PARAMS)
		rpc_fail_param(
		    c, "confirm", "is not the address of this identity");
	else if (code)
		(void)rpc_fail(c, code);
	else
		json_put_bool(rpc_result(c), "deleted", true);
}
