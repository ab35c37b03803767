#include "daemon/log.h"

#include "daemon/addr.h"
#include "daemon/journal.h"
#include "daemon/log_ring.h"
#include "proto/base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

/* The one piece of global state: log lines come from everywhere. */
static struct {
	int level;
	bool addresses;
	bool prefix;  /* "<6>" for a service manager that reads stderr */
	bool journal; /* or rather with fields */
} state = { .level = LOG_NOTICE };

static const struct {
	const char *name;
	int level;
} levels[] = {
	{ "err", LOG_ERR },
	{ "warning", LOG_WARNING },
	{ "notice", LOG_NOTICE },
	{ "info", LOG_INFO },
	{ "debug", LOG_DEBUG },
};

void
log_init(int level, bool addresses)
{
	state.level = level;
	state.addresses = addresses;
	state.prefix = !isatty(STDERR_FILENO);
	state.journal = journal_is_there();
}

int
log_level(void)
{
	return state.level;
}

int
log_level_parse(const char *word)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (strcmp(word, levels[i].name) == 0)
			return levels[i].level;
	return -1;
}

const char *
log_level_name(int level)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (level == levels[i].level)
			return levels[i].name;
	return "unknown";
}

/* A line stays a line, whatever a value holds. */
static void
make_printable(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || (unsigned char)*s == 0x7f)
			*s = '?';
}

void
log_event(int level, const char *event, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	char head[80];
	va_list ap;
	int n;

	if (level > state.level)
		return;
	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0)
		line[0] = '\0';
	make_printable(line);
	log_ring_add(level, event, line);
	if (state.journal && journal_send(level, event, line))
		return;
	head[0] = '\0';
	if (state.prefix)
		(void)snprintf(head, sizeof(head), "<%d>", level);
	/* One write a line, so that lines of several processes do not mix;
	 * where nobody reads, there is nobody to tell. */
	(void)dprintf(STDERR_FILENO, "%s%s: %s\n", head, event, line);
}

struct log_text
log_id(const uint8_t id[16])
{
	struct log_text t = { "" };
	char text[ID_TEXT_SIZE];

	id_encode(id, text);
	memcpy(t.s, text, 8);
	return t;
}

struct log_text
log_addr(const struct endpoint *e)
{
	struct log_text t = { "-" };

	_Static_assert(sizeof(t.s) >= ADDR_TEXT_SIZE, "holds an address");
	if (state.addresses || state.level >= LOG_DEBUG)
		addr_format(e, t.s);
	return t;
}
