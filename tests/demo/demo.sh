#!/bin/sh
# make demo: what it shows and how is in demo.py.
exec /usr/bin/python3 "${0%/*}/demo.py" "$@"
