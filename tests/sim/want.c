#include "tests/sim/want.h"

#include "daemon/sanitizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

void
want(const struct sim *s, bool is_so, const char *what)
{
	if (s->check.failed || !is_so)
		fail_msg("seed %llu, after %.3f s: %s",
		    (unsigned long long)s->cfg.seed, (double)s->now_ms / 1000,
		    s->check.failed ? s->check.why : what);
}

void
want_done(const struct sim *s, bool is_done)
{
	want(s, is_done, "not done in time");
}

void
want_plain_build(void)
{
#ifdef UNDER_SANITIZER
	skip();
#endif
}
