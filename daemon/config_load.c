/* Reading the file, the settings and the command line. Every mistake is named
 * with its place, and the first one ends it: never half a configuration. */
#include "daemon/config.h"

#include "daemon/file.h"
#include "daemon/log.h"
#include "proto/api.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Puts "where: " before what c->error says. */
static enum err
refuse_at(struct config *c, const char *where, unsigned line, const char *what)
{
	char text[CONFIG_ERROR_SIZE];

	(void)snprintf(text, sizeof(text), "%s", what);
	if (line)
		(void)snprintf(c->error, sizeof(c->error), "%.1000s:%u: %.400s",
		    where, line, text);
	else
		(void)snprintf(
		    c->error, sizeof(c->error), "%.1000s: %.400s", where, text);
	return ERR_MALFORMED;
}

/* ---- files ---- */

/* Lines on their way into the configuration. */
struct lines {
	struct config *c;
	const char *path; /* borrowed */
	enum config_source source;
	unsigned number;             /* of the line */
	unsigned where[CONFIG_KEYS]; /* it was set; 0: nowhere */
};

static enum err
refuse_line(const struct lines *l, const char *what)
{
	return refuse_at(l->c, l->path, l->number, what);
}

/* It cannot be read. Settings are on the disk of the store, and as with that
 * another try may go well. */
static enum err
refuse_unread(const struct lines *l)
{
	enum err err = refuse_line(l, strerror(errno));

	return l->source == CONFIG_SETTING ? ERR_IO : err;
}

static enum err
check_file(const struct lines *l, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return refuse_unread(l);
	if (!S_ISREG(st.st_mode))
		return refuse_line(l, "is not a regular file");
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return refuse_line(l, "belongs to another user");
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return refuse_line(l, "others may write it; chmod go-w it");
	if (st.st_size == 0)
		return refuse_at(l->c, l->path, 1,
		    "is empty; a comment would show that it is meant so");
	return ERR_OK;
}

struct span
config_trim(struct span s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' ||
	                      s.p[s.n - 1] == '\r'))
		s.n--;
	return s;
}

static char *
trim(char *s)
{
	struct span in = span_str(s), out = config_trim(in);

	s += out.p - in.p;
	s[out.n] = '\0';
	return s;
}

/* A setting gives way to the command line, which was read before. */
static enum err
take_pair(const struct lines *l, const char *name, const char *value)
{
	struct config *c = l->c;
	unsigned key = config_find(name);

	if (l->source == CONFIG_SETTING && key < CONFIG_KEYS) {
		if (config_is_fixed((enum config_key)key))
			return refuse_line(l, "this key is no setting");
		if (c->source[key] == CONFIG_COMMAND_LINE)
			return ERR_OK;
	}
	if (config_set(c, name, value, l->source))
		return refuse_line(l, c->error);
	return ERR_OK;
}

static enum err
take_line(struct lines *l, char *line)
{
	char *text = trim(line);
	char *equals = strchr(text, '=');
	unsigned key;

	if (text[0] == '\0' || text[0] == '#')
		return ERR_OK;
	for (const char *s = text; *s; s++)
		if ((unsigned char)*s < ' ' && *s != '\t')
			return refuse_line(l, "a control character");
	if (!equals)
		return refuse_line(l, "not \"key = value\"");
	*equals = '\0';
	text = trim(text);
	if (take_pair(l, text, trim(equals + 1)))
		return ERR_MALFORMED;
	key = config_find(text);
	assert(key < CONFIG_KEYS);
	if (l->where[key] && key != CONFIG_KEY_BOOTSTRAP &&
	    key != CONFIG_KEY_LISTEN)
		return refuse_line(l, "the key is there twice");
	l->where[key] = l->number;
	return ERR_OK;
}

static enum err
take_lines(struct lines *l, const char *buf, size_t n)
{
	char line[CONFIG_LINE_MAX + 1];
	enum err err = ERR_OK;

	while (n > 0 && !err) {
		const char *end = memchr(buf, '\n', n);
		size_t len = end ? (size_t)(end - buf) : n;

		l->number++;
		if (len > CONFIG_LINE_MAX)
			return refuse_line(l, "line too long");
		if (memchr(buf, '\0', len))
			return refuse_line(l, "a NUL byte");
		memcpy(line, buf, len);
		line[len] = '\0';
		err = take_line(l, line);
		len += end ? 1 : 0;
		buf += len;
		n -= len;
	}
	return err;
}

static enum err
take_fd(struct lines *l, int fd)
{
	char *buf = malloc(CONFIG_FILE_MAX + 1);
	size_t n = 0;
	enum err err;

	if (!buf)
		return refuse_unread(l);
	if (file_read(fd, FILE_HERE, buf, CONFIG_FILE_MAX + 1, &n))
		err = refuse_unread(l);
	else
		err = take_lines(l, buf, n);
	l->number = 0;
	if (!err && n > CONFIG_FILE_MAX)
		err = refuse_line(l, "file too long");
	free(buf);
	return err;
}

static enum err
take_file(struct lines *l)
{
	enum err err;
	int fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 && l->source == CONFIG_SETTING &&
	    (errno == ENOENT || errno == ENOTDIR))
		return ERR_OK; /* nothing was ever set */
	if (fd < 0)
		return refuse_unread(l);
	err = check_file(l, fd);
	if (!err)
		err = take_fd(l, fd);
	(void)close(fd);
	return err;
}

static enum err
load_file(struct config *c)
{
	struct lines l = { .c = c, .path = c->file, .source = CONFIG_FILE };
	enum err err = take_file(&l);

	memcpy(c->line, l.where, sizeof(c->line));
	return err;
}

/* Those of that state directory, or these. */
static enum err
load_settings(struct config *c, const char *state, const struct span *settings)
{
	char path[CONFIG_VALUE_MAX + sizeof("/" CONFIG_SETTINGS_FILE)];
	struct lines l = { .c = c, .path = path, .source = CONFIG_SETTING };

	(void)snprintf(
	    path, sizeof(path), "%s/%s", state, CONFIG_SETTINGS_FILE);
	if (!settings)
		return take_file(&l);
	if (settings->n > CONFIG_FILE_MAX)
		return refuse_line(&l, "file too long");
	return take_lines(&l, (const char *)settings->p, settings->n);
}

/* The file that is read if none is named; it may be missing. */
static bool
default_file(char ret[CONFIG_VALUE_MAX])
{
	const char *dir = getenv("CONFIGURATION_DIRECTORY");
	const char *tail = "/btchatd.conf";
	int n = -1;

	if (!dir || dir[0] != '/') {
		dir = getenv("XDG_CONFIG_HOME");
		tail = "/btchat/btchatd.conf";
	}
	if (!dir || dir[0] != '/') {
		dir = getenv("HOME");
		tail = "/.config/btchat/btchatd.conf";
	}
	if (dir && dir[0] == '/')
		n = snprintf(ret, CONFIG_VALUE_MAX, "%s%s", dir, tail);
	return n >= 0 && n < CONFIG_VALUE_MAX;
}

static void
find_default_file(struct config *c)
{
	if (!default_file(c->file) || access(c->file, F_OK))
		c->file[0] = '\0';
}

void
config_directory(const struct config *c, char ret[CONFIG_VALUE_MAX])
{
	char *slash;

	memcpy(ret, c->file, CONFIG_VALUE_MAX);
	if (ret[0] == '\0' && !default_file(ret))
		ret[0] = '\0';
	slash = strrchr(ret, '/');
	if (slash)
		slash[0] = '\0';
	else if (ret[0])
		(void)snprintf(ret, CONFIG_VALUE_MAX, ".");
}

/* ---- the command line ---- */

enum {
	OPT_BOOTSTRAP = 256,
	OPT_CHECK,
	OPT_LISTEN,
	OPT_SET,
	OPT_SOCKET,
	OPT_STATE,
	OPT_VERSION
};

static const struct option options[] = {
	{ "bootstrap", required_argument, NULL, OPT_BOOTSTRAP },
	{ "check-config", no_argument, NULL, OPT_CHECK },
	{ "config", required_argument, NULL, 'c' },
	{ "help", no_argument, NULL, 'h' },
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "set", required_argument, NULL, OPT_SET },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

static void
print_help(void)
{
	(void)fputs(
	    "btchatd: peer-to-peer encrypted chat daemon\n"
	    "\n"
	    "  btchatd [option]...\n"
	    "  -c, --config FILE          read FILE instead of the default "
	    "one\n"
	    "      --state DIR            where keys and messages are kept\n"
	    "      --socket PATH          control socket for btchatctl\n"
	    "      --listen ADDR:PORT     UDP address, one a family;"
	    " port 0: choose and keep one\n"
	    "      --bootstrap HOST:PORT  a node of the DHT, may be repeated\n"
	    "      --set KEY=VALUE        as a line of the file would\n"
	    "      --check-config         read the configuration and leave\n"
	    "      --version, -h --help\n"
	    "\n"
	    "It runs in the foreground. See btchatd(8), btchatd.conf(5).\n",
	    stdout);
}

static enum err
set_from_option(struct config *c, const char *name, const char *value)
{
	char where[64];

	(void)snprintf(where, sizeof(where), "command line: %.32s", name);
	if (config_set(c, name, value, CONFIG_COMMAND_LINE))
		return refuse_at(c, where, 0, c->error);
	return ERR_OK;
}

static enum err
set_from_pair(struct config *c, const char *pair)
{
	char name[CONFIG_VALUE_MAX];
	const char *equals = strchr(pair, '=');

	if (!equals || (size_t)(equals - pair) >= sizeof(name))
		return refuse_at(c, "command line", 0, "--set wants KEY=VALUE");
	memcpy(name, pair, (size_t)(equals - pair));
	name[equals - pair] = '\0';
	return set_from_option(c, name, equals + 1);
}

static enum err
take_option(struct config *c, int opt)
{
	switch (opt) {
	case OPT_BOOTSTRAP:
		return set_from_option(c, "bootstrap", optarg);
	case OPT_LISTEN:
		return set_from_option(c, "listen", optarg);
	case OPT_SOCKET:
		return set_from_option(c, "socket", optarg);
	case OPT_STATE:
		return set_from_option(c, "state", optarg);
	case OPT_SET:
		return set_from_pair(c, optarg);
	case OPT_CHECK:
		c->check_only = true;
		return ERR_OK;
	default:
		return ERR_OK; /* served by find_file already */
	}
}

/* First pass: what must be known before the file is read. */
static enum err
find_file(struct config *c)
{
	bool named = false;
	int opt;

	optind = 0; /* begin anew, also on a reload [getopt(3)] */
	while (
	    (opt = getopt_long(c->argc, c->argv, "c:h", options, NULL)) != -1) {
		if (opt == '?')
			return ERR_STATE;
		if (opt == 'h') {
			print_help();
			return ERR_EXISTS;
		}
		if (opt == OPT_VERSION) {
			(void)puts("btchatd " BTCHAT_VERSION);
			return ERR_EXISTS;
		}
		if (opt != 'c')
			continue;
		named = true;
		if (strlen(optarg) >= sizeof(c->file))
			return refuse_at(
			    c, "command line", 0, "--config: too long");
		memcpy(c->file, optarg, strlen(optarg) + 1);
	}
	if (optind < c->argc) {
		(void)fprintf(stderr, "btchatd: unexpected argument: %.64s\n",
		    c->argv[optind]);
		return ERR_STATE;
	}
	if (!named)
		find_default_file(c);
	return ERR_OK;
}

static enum err
take_command_line(struct config *c)
{
	enum err err = ERR_OK;
	int opt;

	optind = 0;
	while (!err && (opt = getopt_long(
	                    c->argc, c->argv, "c:h", options, NULL)) != -1)
		err = take_option(c, opt);
	return err;
}

/* state: where the settings are, NULL: where the rest says. */
static enum err
load_all(struct config *c, const char *state, const struct span *settings)
{
	bool read_file_too;
	enum err err = config_defaults(c);

	if (!err)
		err = find_file(c);
	read_file_too = c->file[0] != '\0';
	if (!err && read_file_too)
		err = load_file(c);
	if (!err)
		err = take_command_line(c);
	if (!err && c->state[0] == '\0')
		err = refuse_at(c, "command line", 0,
		    "no home directory is known: give --state DIR");
	if (!err && c->socket[0] == '\0')
		err = refuse_at(c, "command line", 0,
		    "no place for the control socket: give --socket PATH");
	if (!err)
		err = load_settings(c, state ? state : c->state, settings);
	return err;
}

enum err
config_load(struct config *c, int argc, char **argv)
{
	memset(c, 0, sizeof(*c));
	c->argc = argc;
	c->argv = argv;
	return load_all(c, NULL, NULL);
}

/* The state directory is that of this life, whatever the file says of it now.
 */
enum err
config_again(
    const struct config *c, const struct span *settings, struct config *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->argc = c->argc;
	ret->argv = c->argv;
	return load_all(ret, c->state, settings);
}

enum err
config_reload(struct config *c, struct config *ret_next)
{
	enum err err = config_again(c, NULL, ret_next);

	if (err)
		memcpy(c->error, ret_next->error, sizeof(c->error));
	else
		config_take_over(c, ret_next);
	return err;
}
