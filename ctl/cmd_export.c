/* conv export: the whole of a conversation, oldest message first. */
#include "ctl/cmd.h"
#include "ctl/escape.h"
#include "ctl/message.h"
#include "ctl/report.h"
#include "ctl/resolve.h"
#include "ctl/value.h"
#include "ctl/when.h"
#include "proto/api.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Pages come newest first, so they are read twice: once for where each begins,
 * once from the last to the first. What is kept is a cursor a page.
 */
struct exporting {
	struct ctl *ctl;
	const char *conv, *name; /* borrowed */
	FILE *to;                /* borrowed */
	bool as_text;
	char **before; /* owned, each too; the first is NULL: the newest */
	size_t n, cap;
};

static void
add_page(struct exporting *e, char *before)
{
	if (e->n == e->cap) {
		e->cap = e->cap * 2 + 64;
		e->before =
		    value_realloc(e->before, e->cap * sizeof(e->before[0]));
	}
	e->before[e->n++] = before;
}

static int
read_page(struct exporting *e, const char *before, cJSON **ret)
{
	cJSON *params = cJSON_CreateObject();

	value_add_str(params, "conv", e->conv);
	value_add_u64(params, "limit", API_LIMIT_MAX);
	if (before != NULL)
		value_add_str(params, "before", before);
	return ctl_call(e->ctl, "message.history", params, ret);
}

static int
find_pages(struct exporting *e)
{
	int status = CTL_DONE;
	bool more = true;

	add_page(e, NULL);
	while (more && status == CTL_DONE) {
		cJSON *page = NULL;

		status = read_page(e, e->before[e->n - 1], &page);
		more = status == CTL_DONE && value_has_str(page, "next");
		if (more)
			add_page(e, value_strdup(value_str(page, "next")));
		cJSON_Delete(page);
	}
	return status;
}

/* "2026-11-29T18:00:00.000Z Bob: text", lines after the first indented; what a
 * terminal must not see is escaped. */
static void
write_text(const struct exporting *e, const cJSON *m)
{
	bool ours = message_is_ours(m);
	char when[WHEN_SIZE];
	char *who = escape_terminal(ours ? "me" : e->name, true);
	char *text = escape_terminal(
	    value_true(m, "deleted") ? "(deleted)" : value_str(m, "text"),
	    false);

	when_utc(value_u64(m, "sent_ms"), when);
	(void)fprintf(e->to, "%s %s: ", when, who);
	for (const char *p = text; *p != '\0'; p++) {
		(void)fputc(*p, e->to);
		if (*p == '\n')
			(void)fputs("    ", e->to);
	}
	(void)fputc('\n', e->to);
	free(who);
	free(text);
}

static int
write_page(struct exporting *e, const char *before)
{
	cJSON *page = NULL;
	int status = read_page(e, before, &page);
	const cJSON *items = value_get(page, "items");
	int n = status == CTL_DONE ? cJSON_GetArraySize(items) : 0;

	for (const cJSON *m = n > 0 ? cJSON_GetArrayItem(items, n - 1) : NULL;
	     n > 0; n--, m = m->prev) {
		if (e->as_text) {
			write_text(e, m);
			continue;
		}
		value_write(e->to, m);
		(void)fputc('\n', e->to);
	}
	cJSON_Delete(page);
	return status;
}

static int
write_all(struct exporting *e)
{
	int status = find_pages(e);

	for (size_t i = e->n; i > 0 && status == CTL_DONE; i--)
		status = write_page(e, e->before[i - 1]);
	for (size_t i = 0; i < e->n; i++)
		free(e->before[i]);
	free(e->before);
	return status;
}

static int
say_errno(const char *path)
{
	report("cannot write %s: %s", path, strerror(errno));
	return CTL_FAILED;
}

/* For nobody else, and not over another file. */
static FILE *
open_output(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (f == NULL && fd >= 0)
		(void)close(fd);
	return f;
}

static int
close_output(FILE *f, const char *path)
{
	bool good = fflush(f) == 0 && !ferror(f) && fsync(fileno(f)) == 0;

	if (fclose(f) != 0 || !good)
		return say_errno(path);
	return CTL_DONE;
}

int
cmd_conv_export(struct ctl *ctl)
{
	const char *path = args_value(&ctl->args, "output");
	struct exporting e = { .ctl = ctl, .to = stdout };
	cJSON *contact = NULL;
	char name[128];
	int status = resolve_contact(ctl, args_word(&ctl->args, 0), &contact);

	if (status != CTL_DONE)
		return status;
	e.conv = value_str(contact, "id");
	e.name = resolve_name(contact, name);
	e.as_text = args_has(&ctl->args, "text");
	if (path != NULL)
		e.to = open_output(path);
	if (e.to == NULL)
		status = say_errno(path);
	else
		status = write_all(&e);
	if (path != NULL && e.to != NULL) {
		int closed = close_output(e.to, path);

		status = status == CTL_DONE ? closed : status;
		if (status != CTL_DONE)
			(void)unlink(path);
	}
	cJSON_Delete(contact);
	return status;
}
