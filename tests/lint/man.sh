#!/bin/sh
# Manual pages, as mandoc sees them.
set -- $(find man -name '*.[1-8]')
[ $# -gt 0 ] || exit 0
mandoc -Tlint -W warning "$@"
