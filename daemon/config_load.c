/* Reading the file and the command line. Every mistake is named with its
 * place, and the first one ends it: never half a configuration. */
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

/* ---- the file ---- */

static enum err
check_file(struct config *c, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return refuse_at(c, c->file, 0, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse_at(c, c->file, 0, "is not a regular file");
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return refuse_at(c, c->file, 0, "belongs to another user");
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return refuse_at(
		    c, c->file, 0, "others may write it; chmod go-w it");
	if (st.st_size == 0)
		return refuse_at(c, c->file, 1,
		    "is empty; a comment would show that it is meant so");
	return ERR_OK;
}

static char *
trim(char *s)
{
	size_t n;

	while (*s == ' ' || *s == '\t')
		s++;
	n = strlen(s);
	while (
	    n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r'))
		s[--n] = '\0';
	return s;
}

static enum err
take_line(struct config *c, char *line, unsigned number)
{
	char *text = trim(line);
	char *equals = strchr(text, '=');
	unsigned key;

	if (text[0] == '\0' || text[0] == '#')
		return ERR_OK;
	for (const char *s = text; *s; s++)
		if ((unsigned char)*s < ' ' && *s != '\t')
			return refuse_at(
			    c, c->file, number, "a control character");
	if (!equals)
		return refuse_at(c, c->file, number, "not \"key = value\"");
	*equals = '\0';
	text = trim(text);
	if (config_set(c, text, trim(equals + 1), CONFIG_FILE))
		return refuse_at(c, c->file, number, c->error);
	key = config_find(text);
	assert(key < CONFIG_KEYS);
	if (c->line[key] && key != CONFIG_KEY_BOOTSTRAP &&
	    key != CONFIG_KEY_LISTEN)
		return refuse_at(c, c->file, number, "the key is there twice");
	c->line[key] = number;
	return ERR_OK;
}

static enum err
take_lines(struct config *c, char *buf, size_t n)
{
	char line[CONFIG_LINE_MAX + 1];
	unsigned number = 0;
	enum err err = ERR_OK;

	while (n > 0 && !err) {
		const char *end = memchr(buf, '\n', n);
		size_t len = end ? (size_t)(end - buf) : n;

		number++;
		if (len > CONFIG_LINE_MAX)
			return refuse_at(c, c->file, number, "line too long");
		if (memchr(buf, '\0', len))
			return refuse_at(c, c->file, number, "a NUL byte");
		memcpy(line, buf, len);
		line[len] = '\0';
		err = take_line(c, line, number);
		len += end ? 1 : 0;
		buf += len;
		n -= len;
	}
	return err;
}

static enum err
load_file(struct config *c)
{
	char *buf = NULL;
	size_t n = 0;
	enum err err;
	int fd = open(c->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return refuse_at(c, c->file, 0, strerror(errno));
	err = check_file(c, fd);
	if (err)
		goto out;
	buf = malloc(CONFIG_FILE_MAX + 1);
	if (!buf) {
		err = refuse_at(c, c->file, 0, "no memory");
		goto out;
	}
	err = file_read(fd, FILE_HERE, buf, CONFIG_FILE_MAX + 1, &n);
	if (err)
		err = refuse_at(c, c->file, 0, strerror(errno));
	else
		err = take_lines(c, buf, n);
	if (!err && n > CONFIG_FILE_MAX)
		err = refuse_at(c, c->file, 0, "file too long");
out:
	free(buf);
	(void)close(fd);
	return err;
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

enum err
config_load(struct config *c, int argc, char **argv)
{
	bool read_file_too;
	enum err err;

	memset(c, 0, sizeof(*c));
	c->argc = argc;
	c->argv = argv;
	err = config_defaults(c);
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
	return err;
}

enum err
config_reload(struct config *c)
{
	struct config fresh;
	enum err err = config_load(&fresh, c->argc, c->argv);

	if (err)
		memcpy(c->error, fresh.error, sizeof(c->error));
	else
		config_take_over(c, &fresh);
	return err;
}
