#!/bin/sh
# Nothing in the tree depends on, or names, one machine's own paths.
if git rev-parse --git-dir >/dev/null 2>&1; then
	git ls-files -co --exclude-standard
else
	find . -path ./build -prune -o -type f -print
fi | grep -v '^tests/vectors/\|^tests/fuzz/corpus/' |
    xargs grep -nIE '(^|[^A-Za-z0-9._])/(w[o]rk|ro[o]t|Us[e]rs)/' && exit 1
exit 0
