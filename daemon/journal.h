/* Log lines with fields, for systemd's journal: MESSAGE_ID by which its catalog
 * explains them, BTCHAT_EVENT, BTCHAT_PEER, BTCHAT_INCIDENT. [btchatd(8)] */
#ifndef DAEMON_JOURNAL_H
#define DAEMON_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

enum {
	JOURNAL_ID_SIZE = 33,     /* MESSAGE_ID and NUL */
	JOURNAL_MAX_BYTES = 2048, /* more than a line and its fields have */
};

/* True if standard error is the journal. */
bool journal_is_there(void);
/* False: it did not take it; say it in another way. */
bool journal_send(int level, const char *event, const char *text);

/* The id of an event: a hash of its name, so that no list of them is kept. */
void journal_id(const char *event, char ret[JOURNAL_ID_SIZE]);
/* The datagram; its length, 0: it does not fit. text is one line. */
size_t journal_format(int level, const char *event, const char *text,
    char ret[JOURNAL_MAX_BYTES]);

#endif /* DAEMON_JOURNAL_H */
