#!/bin/sh
# What the journal explains is what the manual says.
exec python3 tests/lint/catalog.py
