/* A whole daemon in this process, on loopback, without its control socket. */
#ifndef TESTS_SUPPORT_DAEMON_WORLD_H
#define TESTS_SUPPORT_DAEMON_WORLD_H

#include "daemon/command.h"
#include "daemon/daemon.h"
#include "tests/support/tempdir.h"

struct daemon_world {
	struct tempdir dir;
	struct daemon d;
	char listen[64]; /* "--listen=..." */
	char state[300];
	char *argv[8];
};

/* For cmocka: a daemon with an identity; *state is a struct daemon_world. */
int daemon_world_begin(void **state);
int daemon_world_end(void **state);
/* One more, or the same again after a stop; false: it did not start. */
bool daemon_world_start(struct daemon_world *w);
void daemon_world_stop(struct daemon_world *w);

/* An address of nobody, its own for each n. */
void daemon_world_address(unsigned n, char ret[ADDRESS_SIZE]);
/* Adds that one as a contact. */
struct contact_id daemon_world_add(struct daemon_world *w, unsigned n);
/* Ends the turn. Names of all events after seq since, joined by blanks, in one
 * static buffer. */
const char *daemon_world_events(struct daemon_world *w, int64_t since);

#endif /* TESTS_SUPPORT_DAEMON_WORLD_H */
