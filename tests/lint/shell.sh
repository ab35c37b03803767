#!/bin/sh
# Shell scripts, as shellcheck sees them; Python ones, as its compiler does.
bad=0
find . -path ./build -prune -o -path ./.git -prune -o \( -name '*.sh' -o -name '*.bash' \) -print \
    -o -path ./.ci/run -print | sort | xargs -r shellcheck -x -P SCRIPTDIR -e SC2046 ||
	bad=1
for f in tests/run $(find tests -name '*.py'); do
	/usr/bin/python3 -c 'import ast, sys
ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$f" || bad=1
done
exit $bad
