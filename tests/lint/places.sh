#!/bin/sh
# Nothing in the tree depends on, or names, one machine's own paths.
if git rev-parse --git-dir >/dev/null 2>&1; then
	git ls-files -co --exclude-standard
else
	find . -path ./build -prune -o -type f -print
fi | grep -v '^tests/vectors/\|^tests/fuzz/corpus/' |
    xargs grep -nIE '(^|[^A-Za-z0-9._])/(w[o]rk|ho[m]e|ro[o]t|Us[e]rs)/' |
    grep -v '/hom[e]/\(alice\|u\)[/"]' && exit 1
exit 0
