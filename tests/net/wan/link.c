/* What one direction of a link does to packets. */
#include "tests/net/wan/link.h"

#include <assert.h>
#include <string.h>

static const uint64_t ms = 1000000;

const char *
drop_name(enum drop why)
{
	static const char *const names[DROP_KINDS] = {
		[DROP_NONE] = "none",
		[DROP_LOSS] = "loss",
		[DROP_QUEUE] = "queue",
		[DROP_CUT] = "cut",
		[DROP_GROUP] = "partition",
		[DROP_MTU] = "mtu",
		[DROP_TTL] = "ttl",
		[DROP_FILTER] = "filtered",
		[DROP_NO_MAPPING] = "no-mapping",
		[DROP_NO_PORT] = "no-port",
		[DROP_BLOCKED] = "udp-blocked",
		[DROP_NO_ROUTE] = "no-route",
		[DROP_STRANGERS] = "strangers",
		[DROP_NO_HAIRPIN] = "no-hairpin",
		[DROP_BAD] = "bad",
		[DROP_TUN] = "tun",
	};

	assert(why < DROP_KINDS);
	return names[why];
}

/* splitmix64 */
uint64_t
dice_u64(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

double
dice_unit(uint64_t *state)
{
	return (double)(dice_u64(state) >> 11) * 0x1p-53;
}

void
link_init(struct link *l)
{
	*l = (struct link){ 0 };
	l->rules.queue = 200 * ms;
	l->rules.reorder_by = 20 * ms;
}

struct link_dice
link_throw(struct link *l)
{
	struct link_dice d;

	d.loss = dice_unit(&l->random);
	d.dup = dice_unit(&l->random);
	d.reorder = dice_unit(&l->random);
	d.jitter = dice_unit(&l->random);
	return d;
}

/* In bursts by the model of Gilbert: a good and a bad state. */
bool
link_loses(struct link *l, const struct link_dice *d)
{
	const struct link_rules *r = &l->rules;
	double leave, enter;

	if (r->burst <= 1 || r->loss >= 1)
		return d->loss < r->loss;
	leave = 1 / r->burst;
	enter = r->loss * leave / (1 - r->loss);
	l->is_bad = l->is_bad ? d->loss >= leave : d->loss < enter;
	return l->is_bad;
}

/* When the last bit of n bytes is on the line. */
static bool
serialize(struct link *l, size_t n, uint64_t now, uint64_t *ret)
{
	const struct link_rules *r = &l->rules;
	uint64_t begin = l->busy > now ? l->busy : now;
	double waiting = (double)(begin - now) * (double)r->rate / 8e9;

	if (r->queue_bytes > 0 && waiting > (double)r->queue_bytes)
		return false;
	if (r->queue_bytes == 0 && r->queue > 0 && begin - now > r->queue)
		return false;
	l->busy = begin + (uint64_t)((double)n * 8e9 / (double)r->rate);
	*ret = l->busy;
	return true;
}

bool
link_time(struct link *l, size_t n, const struct link_dice *d, uint64_t now,
    uint64_t *ret)
{
	const struct link_rules *r = &l->rules;
	uint64_t t = now;

	if (r->rate > 0 && !serialize(l, n, now, &t))
		return false;
	t += r->delay + (uint64_t)(d->jitter * 2 * (double)r->jitter);
	t = t - now > r->jitter ? t - r->jitter : now;
	if (d->reorder < r->reorder) {
		t += r->reorder_by;
		l->reordered++;
	} else if (!r->is_free) {
		t = t < l->last ? l->last : t;
		l->last = t;
	}
	assert(t >= now);
	*ret = t;
	return true;
}

bool
link_doubles(struct link *l, const struct link_dice *d)
{
	if (d->dup >= l->rules.dup)
		return false;
	l->doubled++;
	return true;
}

void
link_reset(struct link *l)
{
	l->packets = l->bytes = l->doubled = l->reordered = 0;
	memset(l->drops, 0, sizeof(l->drops));
}
