/* What was tried to reach a contact, and what that says. */
#include "proto/chat/why.h"

#include <assert.h>

/* LOOK and PUT have a place for each carrier and family, others have one. */
static size_t
place_of(const struct why_step *s)
{
	size_t net = (size_t)s->carrier * FAMILY_COUNT + s->family;

	assert(s->kind < WHY_KINDS && net < WHY_PLACES);
	if (s->kind == WHY_LOOK)
		return net;
	if (s->kind == WHY_PUT)
		return WHY_PLACES + net;
	return 2 * WHY_PLACES + s->kind - WHY_KNOCK;
}

static bool
is_same(const struct why_step *a, const struct why_step *b)
{
	return a->found == b->found && a->rival == b->rival &&
	       a->own == b->own && a->theirs == b->theirs &&
	       a->many == b->many && a->offered == b->offered &&
	       (a->answered > 0) == (b->answered > 0) &&
	       (a->stored > 0) == (b->stored > 0);
}

void
why_note(struct why *w, const struct why_step *step)
{
	struct why_step *to;
	uint32_t times = 1;

	to = &w->step[place_of(step)];
	assert(to < w->step + WHY_STEPS_MAX);
	if (to->times > 0 && is_same(to, step))
		times = to->times == UINT32_MAX ? UINT32_MAX : to->times + 1;
	*to = *step;
	to->times = times;
}

size_t
why_steps(const struct why *w, struct why_step ret[WHY_STEPS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < WHY_STEPS_MAX; i++) {
		size_t at = n;

		if (w->step[i].times == 0)
			continue;
		while (at > 0 && ret[at - 1].at_ms > w->step[i].at_ms) {
			ret[at] = ret[at - 1];
			at--;
		}
		ret[at] = w->step[i];
		n++;
	}
	assert(n <= WHY_STEPS_MAX);
	return n;
}

enum why_verdict
why_judge(const struct why *w, const struct why_state *s)
{
	bool tried = false, answered = false, found = false;

	if (s->online)
		return WHY_ONLINE;
	if (s->refused)
		return WHY_REFUSED;
	if (s->denied)
		return WHY_DENIED;
	for (size_t i = 0; i < WHY_PLACES; i++) {
		const struct why_step *look = &w->step[i];

		assert(look->times == 0 || look->kind == WHY_LOOK);
		tried |= look->times > 0;
		answered |= look->answered > 0;
		found |= look->found;
	}
	if (s->connecting)
		return WHY_CONNECTING;
	if (!tried)
		return WHY_NO_TRY;
	if (!answered)
		return WHY_NO_NETWORK;
	if (found)
		return WHY_NO_ANSWER;
	return s->ready ? WHY_AWAY : WHY_NOT_ADDED;
}
