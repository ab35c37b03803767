#include "daemon/settings.h"

#include "daemon/file.h"
#include "daemon/json_out.h"
#include "daemon/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char head[] =
    "# Made by config.set; read behind the configuration file, see\n"
    "# btchatd.conf(5).\n";

/* ---- lines ---- */

/* The first line, without its LF; s goes behind it. */
static struct span
take_line(struct span *s)
{
	const uint8_t *end = s->n > 0 ? memchr(s->p, '\n', s->n) : NULL;
	struct span line = *s;

	if (end)
		line.n = (size_t)(end - s->p);
	s->p += line.n + (end ? 1 : 0);
	s->n -= line.n + (end ? 1 : 0);
	return line;
}

static bool
sets(struct span line, const char *name)
{
	const uint8_t *equals = line.n > 0 ? memchr(line.p, '=', line.n) : NULL;

	if (!equals)
		return false;
	return span_eq(config_trim(span_of(line.p, (size_t)(equals - line.p))),
	    span_str(name));
}

static void
put_line(struct writer *w, struct span line)
{
	wr_span(w, line);
	wr_u8(w, '\n');
}

static void
put_values(struct writer *w, const char *name, const char *values)
{
	struct span left = values ? span_str(values) : span_of(NULL, 0);

	while (left.n > 0) {
		wr_span(w, span_str(name));
		wr_span(w, span_str(" = "));
		put_line(w, config_trim(take_line(&left)));
	}
}

/* How much longer it gets at most. */
static size_t
growth(const char *name, const char *values)
{
	size_t lines = 2; /* the first one, and a last one without LF */

	for (const char *s = values; s && *s; s++)
		lines += *s == '\n';
	return (values ? strlen(values) : 0) +
	       lines * (strlen(name) + sizeof(" = \n"));
}

enum err
settings_edit(struct span old, const char *name, const char *values, char **ret,
    size_t *ret_n)
{
	size_t cap = old.n + growth(name, values) + sizeof(head);
	char *buf = malloc(cap);
	struct writer w;
	bool done = false;

	if (!buf)
		return ERR_NOMEM;
	w = wr_init(buf, cap);
	while (old.n > 0) {
		struct span line = take_line(&old);

		if (!sets(line, name)) {
			put_line(&w, line);
			continue;
		}
		if (!done)
			put_values(&w, name, values);
		done = true;
	}
	if (!done)
		put_values(&w, name, values);
	if (w.n == 0) /* an empty file is taken for a mistake */
		wr_span(&w, span_str(head));
	assert(!w.bad);
	*ret = buf;
	*ret_n = w.n;
	return ERR_OK;
}

/* ---- the file ---- */

/* *ret_is: there is one. ERR_TOO_LONG, ERR_IO, ERR_NOMEM. */
static enum err
read_file(struct daemon *d, char **ret, size_t *ret_n, bool *ret_is)
{
	char *buf = malloc(CONFIG_FILE_MAX + 1);
	enum err err = ERR_OK;
	int fd = -1;

	if (!buf)
		return ERR_NOMEM;
	fd = openat(d->state_dir_fd, CONFIG_SETTINGS_FILE,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	*ret_is = fd >= 0;
	if (fd >= 0) {
		err = file_read(fd, 0, buf, CONFIG_FILE_MAX + 1, ret_n);
		(void)close(fd);
		if (!err && *ret_n > CONFIG_FILE_MAX)
			err = ERR_TOO_LONG;
	} else if (errno != ENOENT) {
		err = ERR_IO;
	} else {
		memcpy(buf, head, sizeof(head) - 1);
		*ret_n = sizeof(head) - 1;
	}
	if (err)
		free(buf);
	else
		*ret = buf;
	return err;
}

static enum api_error
write_file(const struct daemon *d, struct span text, bool is)
{
	enum err err =
	    is ? file_replace(d->state_dir_fd, CONFIG_SETTINGS_FILE, text)
	       : file_create(d->state_dir_fd, CONFIG_SETTINGS_FILE, text);

	if (err)
		log_event(LOG_ERR, "setting-failed", "err=%s", err_name(err));
	if (err == ERR_LIMIT)
		return API_STORAGE_FULL;
	return err ? API_STORAGE_ERROR : API_OK;
}

/* ---- what is told ---- */

/* While locked there is no event log. False: the turn is lost. */
static bool
tell(struct daemon *d, const struct config_item *item)
{
	struct json_out o = { .max = EVENT_BODY_MAX };
	struct event_row e = { .type = EVENT_CONFIG_CHANGED };
	bool good;

	if (!d->node || !store_has_key(d->store))
		return true;
	json_open(&o, '{');
	json_put_str(&o, "key", item->name);
	json_put_str(&o, "value", item->value);
	json_put_str(&o, "source", item->source);
	json_put_bool(&o, "restart_needed", item->restart_needed);
	json_close(&o, '}');
	e.body = span_of(o.p, o.n);
	good = !o.bad && daemon_event(d, &e);
	json_out_clear(&o);
	if (!good)
		d->turn_failed = true;
	return good;
}

const struct config *
settings_next(const struct daemon *d)
{
	return d->next ? d->next : &d->config;
}

void
settings_free(struct daemon *d)
{
	free(d->next);
	d->next = NULL;
}

/* Takes it over. */
static void
keep_next(struct daemon *d, struct config *fresh)
{
	settings_free(d);
	d->next = fresh;
}

/* A level that was set for now stays, unless this is what was changed. */
static void
use_log(const struct daemon *d, enum config_key key)
{
	if (key == CONFIG_KEY_LOG_LEVEL)
		log_init(d->config.log_level, d->config.log_addresses);
	else if (key == CONFIG_KEY_LOG_ADDRESSES)
		log_init(log_level(), d->config.log_addresses);
}

/* ---- setting ---- */

static enum api_error
refuse(char why[CONFIG_ERROR_SIZE], enum api_error code, const char *text)
{
	(void)snprintf(why, CONFIG_ERROR_SIZE, "%s", text);
	return code;
}

/* Each value alone, so that the reason is about it and not about a line. */
static enum api_error
check_each(struct config *scratch, const char *name, struct span values,
    char why[CONFIG_ERROR_SIZE])
{
	char one[CONFIG_VALUE_MAX + 1];

	while (values.n > 0) {
		struct span line = config_trim(take_line(&values));

		(void)snprintf(one, sizeof(one), "%.*s", (int)line.n,
		    (const char *)line.p);
		if (config_set(scratch, name, one, CONFIG_SETTING))
			return refuse(why, API_INVALID_PARAMS, scratch->error);
	}
	return API_OK;
}

static enum api_error
check_values(const char *name, const char *type, const char *values,
    char why[CONFIG_ERROR_SIZE])
{
	struct config *scratch;
	enum api_error code;

	if (values[0] == '\0')
		return refuse(why, API_INVALID_PARAMS, "a value is missing");
	if (strchr(values, '\n') && strcmp(type, "list") != 0)
		return refuse(
		    why, API_INVALID_PARAMS, "more than one line of it");
	for (const char *s = values; *s; s++)
		if ((unsigned char)*s < ' ' && *s != '\t' && *s != '\n')
			return refuse(
			    why, API_INVALID_PARAMS, "a control character");
	scratch = calloc(1, sizeof(*scratch));
	if (!scratch)
		return API_INTERNAL;
	code = check_each(scratch, name, span_str(values), why);
	free(scratch);
	return code;
}

/* Would this be a configuration, and what? */
static enum api_error
check_all(const struct daemon *d, struct span text, struct config *ret,
    char why[CONFIG_ERROR_SIZE])
{
	if (config_again(&d->config, &text, ret))
		return refuse(why, API_INVALID_STATE, ret->error);
	return API_OK;
}

/* Takes over fresh. Now it counts, whatever becomes of the event. */
static enum api_error
use(struct daemon *d, enum config_key key, struct config *fresh,
    struct config_item *item)
{
	if (config_take_key(&d->config, fresh, key))
		use_log(d, key);
	keep_next(d, fresh);
	config_item(fresh, key, item);
	log_event(LOG_NOTICE, "setting", "key=%s source=%s restart_needed=%s",
	    item->name, item->source, item->restart_needed ? "yes" : "no");
	return tell(d, item) ? API_OK : store_error(d->store);
}

/* What the file is to be, and the configuration with it. */
struct edit {
	char *old, *text; /* owned */
	size_t old_n, n;
	bool is;              /* there is a file */
	struct config *fresh; /* owned */
};

static enum api_error
change(struct daemon *d, enum config_key key, struct edit *e,
    struct config_item *item)
{
	struct config *fresh = e->fresh;
	enum api_error code;

	if (e->n == e->old_n && memcmp(e->text, e->old, e->n) == 0)
		return API_OK;
	code = write_file(d, span_of(e->text, e->n), e->is);
	if (code)
		return code;
	e->fresh = NULL;
	return use(d, key, fresh, item);
}

static enum api_error
edit(struct daemon *d, enum config_key key, const char *values,
    struct config_item *item, char why[CONFIG_ERROR_SIZE])
{
	struct edit e = { .fresh = calloc(1, sizeof(*e.fresh)) };
	enum api_error code = API_INTERNAL;

	if (!e.fresh)
		goto out;
	if (read_file(d, &e.old, &e.old_n, &e.is)) {
		code = API_STORAGE_ERROR;
		goto out;
	}
	if (settings_edit(
	        span_of(e.old, e.old_n), item->name, values, &e.text, &e.n))
		goto out;
	code = check_all(d, span_of(e.text, e.n), e.fresh, why);
	if (!code)
		code = change(d, key, &e, item);
out:
	free(e.old);
	free(e.text);
	free(e.fresh);
	return code;
}

enum api_error
settings_set(struct daemon *d, enum config_key key, const char *values,
    char why[CONFIG_ERROR_SIZE])
{
	struct config_item item;
	enum api_error code = API_OK;

	why[0] = '\0';
	if (config_is_fixed(key))
		return refuse(why, API_INVALID_PARAMS,
		    "only the file and the command line decide this");
	config_item(&d->config, key, &item);
	if (values && d->config.source[key] == CONFIG_COMMAND_LINE)
		return refuse(why, API_INVALID_STATE,
		    "the command line of the daemon decides this");
	if (values)
		code = check_values(item.name, item.type, values, why);
	return code ? code : edit(d, key, values, &item, why);
}

/* ---- reading again ---- */

/* Of each key that is not what it was. */
static void
tell_differences(struct daemon *d, const struct config *before)
{
	struct config_item item;

	for (unsigned i = 0; i < CONFIG_KEYS; i++) {
		enum config_key key = (enum config_key)i;

		if (config_agree(before, d->next, key) &&
		    before->source[key] == d->next->source[key])
			continue;
		config_item(d->next, key, &item);
		if (!tell(d, &item))
			return;
	}
}

enum err
settings_reload(struct daemon *d)
{
	struct config *before = calloc(1, sizeof(*before));
	struct config *fresh = calloc(1, sizeof(*fresh));
	enum err err = ERR_NOMEM;

	if (!before || !fresh) {
		(void)snprintf(
		    d->config.error, sizeof(d->config.error), "no memory");
		goto out;
	}
	*before = *settings_next(d);
	err = config_reload(&d->config, fresh);
	if (err)
		goto out;
	keep_next(d, fresh);
	fresh = NULL;
	tell_differences(d, before);
out:
	free(before);
	free(fresh);
	return err;
}
