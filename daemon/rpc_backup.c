/* backup.* and identity.export, import: files that were passed with the call.
 */
#include "daemon/rpc_conn.h"

#include "daemon/backup.h"
#include "proto/base/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
rpc_take_file(struct rpc_call *c, const char *param, size_t i, bool to_write)
{
	int fd = c->batch ? -1 : rpc_conn_take_fd(c->conn, i);
	struct stat st = { .st_size = 0 };
	const char *why = NULL;
	int flags = fd < 0 ? 0 : fcntl(fd, F_GETFL);
	int mode = flags & O_ACCMODE;

	if (fd < 0)
		why = "pass an open file with the call";
	else if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		why = "is not a regular file";
	else if (mode == (to_write ? O_RDONLY : O_WRONLY) || flags & O_PATH)
		why = to_write ? "is not open for writing"
		               : "is not open for reading";
	else if (to_write && st.st_size > 0)
		why = "is not empty";
	if (!why)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	rpc_fail_param(c, param, why);
	return -1;
}

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
