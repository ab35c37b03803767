#!/bin/sh
# Every command of btchatctl has a manual entry, an example and a test.
exec python3 tests/lint/commands.py
