#!/bin/sh
# The RPC methods are the same in the daemon, in OpenRPC and in the manual.
exec python3 tests/lint/rpc.py
