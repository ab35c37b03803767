#include "tests/sim/memory.h"

#include <stddef.h>

static struct memory *current;

void
memory_use(struct memory *m)
{
	current = m;
}

bool
memory_fails(void)
{
	struct memory *m = current;

	if (!m || m->fail_in == 0 || --m->fail_in > 0)
		return false;
	if (m->is_out)
		m->fail_in = 1;
	m->n_failed++;
	return true;
}
