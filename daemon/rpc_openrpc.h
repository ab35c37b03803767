/* proto/openrpc.json, carried inside the program. */
#ifndef DAEMON_RPC_OPENRPC_H
#define DAEMON_RPC_OPENRPC_H

#include "proto/base/bytes.h"

/* The document on one line, borrowed for ever; empty: no memory. */
struct span rpc_openrpc(void);

#endif /* DAEMON_RPC_OPENRPC_H */
