/* The event loop: which socket, timer and signal calls what. */
#ifndef DAEMON_LOOP_H
#define DAEMON_LOOP_H

#include "daemon/daemon.h"

/* Makes d->base and the events of d->udp and the signals. ERR_NOMEM, ERR_IO. */
MUST_USE enum err loop_new(struct daemon *d);
void loop_free(struct daemon *d);
/* One pass: waits for something to happen, and ends the turn. */
void loop_turn(struct daemon *d);
/* Turns until d->stopping. */
void loop_run(struct daemon *d);

/* Calls turn_recover after so long. */
void loop_recover_in(struct daemon *d, uint64_t ms);
/* Another network, whether addresses show it or not: they are looked at, as are
 * gateway and local network, and contacts are looked for. *ret_wait_ms: it was
 * done too short a time ago; false. */
MUST_USE bool loop_rebind(struct daemon *d, uint64_t *ret_wait_ms);
/* The kernel took not all datagrams: another turn soon. */
void loop_send_soon(struct daemon *d);

#endif /* DAEMON_LOOP_H */
