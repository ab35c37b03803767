#include "daemon/journal.h"

#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* JOURNAL_STREAM names the file that the journal reads, which need not be our
 * standard error any more. [systemd.exec(5)] */
bool
journal_is_there(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char text[64];

	if (!stream || fstat(STDERR_FILENO, &st))
		return false;
	(void)snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	return strcmp(stream, text) == 0;
}

void
journal_id(const char *event, char ret[JOURNAL_ID_SIZE])
{
	uint8_t id[16];

	(void)crypto_generichash(
	    id, sizeof(id), (const uint8_t *)event, strlen(event), NULL, 0);
	(void)sodium_bin2hex(ret, JOURNAL_ID_SIZE, id, sizeof(id));
}

/* The value of key in "key=value ..."; its length, 0: it has none. */
static int
value_of(const char *text, const char *key, const char **ret)
{
	size_t n = strlen(key);

	for (const char *s = text; (s = strstr(s, key)) != NULL; s += n) {
		if ((s != text && s[-1] != ' ') || s[n] != '=')
			continue;
		*ret = s + n + 1;
		return (int)strcspn(*ret, " :,");
	}
	*ret = "";
	return 0;
}

static bool
append(char buf[JOURNAL_MAX_BYTES], size_t *n, const char *field,
    const char *text, int len)
{
	int more = snprintf(
	    buf + *n, JOURNAL_MAX_BYTES - *n, "%s=%.*s\n", field, len, text);

	if (more < 0 || (size_t)more >= JOURNAL_MAX_BYTES - *n)
		return false;
	*n += (size_t)more;
	return true;
}

size_t
journal_format(
    int level, const char *event, const char *text, char ret[JOURNAL_MAX_BYTES])
{
	static const char *const fields[][2] = {
		{ "peer", "BTCHAT_PEER" },
		{ "incident", "BTCHAT_INCIDENT" },
	};
	char id[JOURNAL_ID_SIZE];
	const char *value;
	size_t n;
	int head;

	journal_id(event, id);
	head = snprintf(ret, JOURNAL_MAX_BYTES,
	    "MESSAGE=%s: %s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=btchatd\n"
	    "MESSAGE_ID=%s\nBTCHAT_EVENT=%s\n",
	    event, text, level, id, event);
	if (head < 0 || head >= JOURNAL_MAX_BYTES)
		return 0;
	n = (size_t)head;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		int len = value_of(text, fields[i][0], &value);

		if (len > 0 && !append(ret, &n, fields[i][1], value, len))
			return 0;
	}
	return n;
}

bool
journal_send(int level, const char *event, const char *text)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX,
		.sun_path = JOURNAL_SOCKET };
	char buf[JOURNAL_MAX_BYTES];
	size_t n = journal_format(level, event, text, buf);
	ssize_t sent;
	int fd;

	if (n == 0)
		return false;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	sent = sendto(
	    fd, buf, n, MSG_NOSIGNAL, (const struct sockaddr *)&to, sizeof(to));
	(void)close(fd);
	return sent == (ssize_t)n;
}
