/* backup.* and identity.export, import. */
#include "daemon/rpc_conn.h"

#include "daemon/backup.h"

#include <unistd.h>

static void
put_about(struct json_out *o, const struct backup_about *a)
{
	char address[ADDRESS_SIZE];

	address_encode(&a->id, address);
	json_put_str(o, "kind", a->whole ? "backup" : "identity");
	json_put_str(o, "address", address);
	json_put_str(o, "name", a->name);
	json_put_uint(o, "made_ms", a->made_ms);
	json_put_uint(o, "contacts", a->contacts);
	json_put_uint(o, "messages", a->messages);
	json_put_uint(o, "bytes", a->bytes);
}

static void
run(struct rpc_call *c, bool to_write,
    enum api_error (*command)(
        struct daemon *d, struct span pass, int fd, struct backup_about *ret))
{
	struct backup_about about = { .whole = false };
	enum api_error code;
	int fd = rpc_take_file(c, "fd", 0, to_write);

	if (fd >= 0) {
		code = command(c->d, rpc_str(c, "passphrase"), fd, &about);
		(void)close(fd);
		if (code)
			(void)rpc_fail(c, code);
		else
			put_about(rpc_result(c), &about);
	}
	rpc_forget(c, "passphrase");
}

void
rpc_backup_create(struct rpc_call *c)
{
	run(c, true, command_backup_create);
}

void
rpc_backup_restore(struct rpc_call *c)
{
	run(c, false, command_backup_restore);
}

void
rpc_backup_verify(struct rpc_call *c)
{
	run(c, false, command_backup_verify);
}

void
rpc_identity_export(struct rpc_call *c)
{
	run(c, true, command_identity_export);
}

void
rpc_identity_import(struct rpc_call *c)
{
	run(c, false, command_identity_import);
}
