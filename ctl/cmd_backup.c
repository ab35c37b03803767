/* backup, id export and import: sealed files, passed to the daemon as open
 * descriptors, for it may see none of our directories. */
#include "ctl/cmd.h"
#include "ctl/print.h"
#include "ctl/report.h"
#include "ctl/secret.h"
#include "ctl/value.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATIENCE_MS = 3600 * 1000 }; /* unless --timeout says otherwise */
#define MIB (1024.0 * 1024.0)

static const char *
file_word(const struct ctl *ctl)
{
	return args_word(&ctl->args, 0);
}

static int
say_errno(const char *what, const char *path)
{
	report("%s %s: %s", what, path, strerror(errno));
	return CTL_FAILED;
}

/* A passphrase is a must: the file goes where the state directory is not. */
static int
get_passphrase(const struct ctl *ctl, bool is_new, struct secret *ret)
{
	int status = secret_get(ctl,
	    is_new ? "Passphrase for the file" : "Passphrase of the file",
	    is_new, ret);

	if (status == CTL_DONE && (!ret->given || ret->text[0] == '\0'))
		return report_usage(
		    "a passphrase is needed: use --passphrase-fd or "
		    "--passphrase-file, or a terminal");
	return status;
}

/* What the daemon does with the file shows at the place in it, which the
 * descriptor here and the one there share. */
struct progress {
	const struct ctl *ctl;
	const char *what;
	int fd;
	bool shown;
};

static void
show_progress(void *ctx)
{
	struct progress *p = ctx;
	off_t at = lseek(p->fd, 0, SEEK_CUR);
	struct stat st;

	if (p->ctl->quiet || !isatty(STDERR_FILENO) || at < 0 ||
	    fstat(p->fd, &st) != 0)
		return;
	(void)fprintf(stderr, "\r%s  %.1f MiB", p->what, (double)at / MIB);
	if (st.st_size > at)
		(void)fprintf(stderr, " of %.1f", (double)st.st_size / MIB);
	(void)fputs("\033[K", stderr);
	p->shown = true;
}

static void
end_progress(struct ctl *ctl, const struct progress *p)
{
	if (p->shown)
		(void)fputs("\r\033[K", stderr);
	ctl->tick = NULL;
}

static int
call_with(struct ctl *ctl, const char *method, const struct secret *secret,
    int fd, cJSON **ret)
{
	cJSON *params = cJSON_CreateObject();
	static struct progress p; /* borrowed by ctl during the call */
	int status;

	p = (struct progress){ ctl, method, fd, false };
	value_add_str(params, "passphrase", secret->text);
	if (lseek(fd, 0, SEEK_SET) != 0) {
		cJSON_Delete(params);
		return say_errno("cannot read", file_word(ctl));
	}
	ctl->client.pass_fd = fd;
	ctl->tick = show_progress;
	ctl->tick_ctx = &p;
	status =
	    ctl_call_for(ctl, ctl->has_timeout ? ctl->timeout_ms : PATIENCE_MS,
	        method, params, ret);
	end_progress(ctl, &p);
	return status;
}

/* ---- writing ---- */

static int
sync_directory(const char *path)
{
	char *copy = value_strdup(path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int status = CTL_DONE;

	if (fd < 0 || fsync(fd) != 0)
		status = say_errno("cannot sync the directory of", path);
	if (fd >= 0)
		(void)close(fd);
	free(copy);
	return status;
}

/* It gets its name when it is whole, and was read back. */
static int
publish(const char *temp, const char *path)
{
	if (link(temp, path) != 0)
		return say_errno("cannot write", path);
	return sync_directory(path);
}

static bool
is_same(const cJSON *a, const cJSON *b)
{
	return value_u64(a, "bytes") == value_u64(b, "bytes") &&
	       value_u64(a, "made_ms") == value_u64(b, "made_ms") &&
	       strcmp(value_str(a, "address"), value_str(b, "address")) == 0;
}

/* Written aside, then read to its end by the daemon. */
static int
write_and_verify(struct ctl *ctl, const char *method, int fd,
    const struct secret *secret, cJSON **ret)
{
	cJSON *made = NULL, *read = NULL;
	int status = call_with(ctl, method, secret, fd, &made);

	if (status == CTL_DONE)
		status = call_with(ctl, "backup.verify", secret, fd, &read);
	if (status == CTL_DONE && !is_same(made, read)) {
		report("what was written is not what can be read");
		status = CTL_FAILED;
	}
	cJSON_Delete(made);
	if (status == CTL_DONE)
		*ret = read;
	else
		cJSON_Delete(read);
	return status;
}

static int
make_file(struct ctl *ctl, const char *method)
{
	const char *path = file_word(ctl);
	char temp[PATH_MAX];
	struct secret secret = { 0 };
	cJSON *about = NULL;
	struct stat st;
	int n = snprintf(temp, sizeof(temp), "%s.part", path);
	int fd, status;

	if (n < 0 || (size_t)n >= sizeof(temp))
		return report_usage("the name is too long");
	if (lstat(path, &st) == 0) {
		report("%s is there; choose another name", path);
		return CTL_FAILED;
	}
	status = get_passphrase(ctl, true, &secret);
	if (status != CTL_DONE)
		goto out;
	fd = open(
	    temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		status = say_errno("cannot make", temp);
		goto out;
	}
	status = write_and_verify(ctl, method, fd, &secret, &about);
	(void)close(fd);
	if (status == CTL_DONE)
		status = publish(temp, path);
	(void)unlink(temp);
	if (status == CTL_DONE)
		print_object(ctl, about);
	cJSON_Delete(about);
out:
	secret_wipe(&secret);
	return status;
}

int
cmd_backup_create(struct ctl *ctl)
{
	return make_file(ctl, "backup.create");
}

int
cmd_id_export(struct ctl *ctl)
{
	return make_file(ctl, "identity.export");
}

/* ---- reading ---- */

static int
use_file(struct ctl *ctl, const char *method)
{
	const char *path = file_word(ctl);
	struct secret secret = { 0 };
	cJSON *about = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int status;

	if (fd < 0)
		return say_errno("cannot open", path);
	status = get_passphrase(ctl, false, &secret);
	if (status == CTL_DONE)
		status = call_with(ctl, method, &secret, fd, &about);
	(void)close(fd);
	secret_wipe(&secret);
	if (status == CTL_DONE)
		print_object(ctl, about);
	cJSON_Delete(about);
	return status;
}

int
cmd_backup_verify(struct ctl *ctl)
{
	return use_file(ctl, "backup.verify");
}

int
cmd_backup_restore(struct ctl *ctl)
{
	return use_file(ctl, "backup.restore");
}

int
cmd_id_import(struct ctl *ctl)
{
	return use_file(ctl, "identity.import");
}
