/* Readiness and time for the RPC server: the only file of it that knows
 * libevent (whose struct event is not ours). */
#ifndef DAEMON_RPC_IO_H
#define DAEMON_RPC_IO_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct rpc_io;

/* fd (borrowed) -1: a timer, or something to be run by hand. readable is
 * false for those and for writable. NULL: no memory. */
struct rpc_io *rpc_io_new(struct event_base *base, int fd,
    void (*run)(void *owner, bool readable), void *owner);
void rpc_io_free(struct rpc_io *io); /* NULL is fine */
/* Which of the two to watch from now on. */
void rpc_io_watch(struct rpc_io *io, bool read, bool write);
/* Runs it once, after what is active now and in the same pass. */
void rpc_io_soon(struct rpc_io *io);
void rpc_io_in(struct rpc_io *io, uint64_t in_ms); /* a timer */

#endif /* DAEMON_RPC_IO_H */
