/* Both directions keep their bytes in a ring and their bookkeeping in sets of
 * ranges, so the memory of a stream has a bound whatever the peer does. */
#include "proto/link/stream.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { RING_MIN = 2048 };

_Static_assert((STREAM_WINDOW & (STREAM_WINDOW - 1)) == 0, "a power of two");
_Static_assert(
    (STREAM_BULK_WINDOW & (STREAM_BULK_WINDOW - 1)) == 0, "a power of two");

/* ---- ring ---- */

static void
ring_clear(struct stream_ring *g)
{
	if (g->p)
		sodium_memzero(g->p, g->cap);
	free(g->p);
	*g = (struct stream_ring){ NULL, 0 };
}

/* Room without a wrap for offset o, at most n bytes. */
static size_t
ring_run(const struct stream_ring *g, uint64_t o, size_t n)
{
	size_t at = (size_t)o & (g->cap - 1);

	assert(g->cap > 0);
	return n < g->cap - at ? n : g->cap - at;
}

static void
ring_put(struct stream_ring *g, uint64_t o, const uint8_t *p, size_t n)
{
	assert(n <= g->cap);
	while (n > 0) {
		size_t run = ring_run(g, o, n);

		memcpy(g->p + ((size_t)o & (g->cap - 1)), p, run);
		o += run;
		p += run;
		n -= run;
	}
}

static void
ring_get(const struct stream_ring *g, uint64_t o, uint8_t *p, size_t n)
{
	assert(n <= g->cap);
	while (n > 0) {
		size_t run = ring_run(g, o, n);

		memcpy(p, g->p + ((size_t)o & (g->cap - 1)), run);
		o += run;
		p += run;
		n -= run;
	}
}

/* Makes room for the offsets lo..hi-1; what is at lo..held-1 is kept. */
static enum err
ring_hold(struct stream_ring *g, uint64_t lo, uint64_t held, uint64_t hi)
{
	struct stream_ring big = { NULL, g->cap ? g->cap : RING_MIN };

	assert(lo <= held && held - lo <= STREAM_BULK_WINDOW);
	assert(hi >= lo && hi - lo <= STREAM_BULK_WINDOW);
	if (hi - lo <= g->cap)
		return ERR_OK;
	while (big.cap < hi - lo)
		big.cap *= 2;
	big.p = calloc(1, big.cap);
	if (!big.p)
		return ERR_NOMEM;
	while (lo < held) {
		size_t run = ring_run(g, lo, (size_t)(held - lo));

		ring_put(&big, lo, g->p + ((size_t)lo & (g->cap - 1)), run);
		lo += run;
	}
	ring_clear(g);
	*g = big;
	return ERR_OK;
}

/* ---- sending ---- */

static void
send_check(const struct stream_send *s)
{
	assert(s->una <= s->next && s->next <= s->end);
	assert(s->end - s->una <= s->window);
	assert(s->acked.n == 0 || s->acked.r[0].lo > s->una);
	assert(s->lost.n == 0 || s->lost.r[0].lo >= s->una);
	assert(s->lost.n == 0 || s->lost.r[s->lost.n - 1].hi <= s->next);
}

void
stream_send_init(struct stream_send *s, size_t window, uint64_t limit)
{
	assert(window <= STREAM_BULK_WINDOW && limit <= window);
	*s = (struct stream_send){ .window = window, .limit = limit };
}

void
stream_send_clear(struct stream_send *s)
{
	ring_clear(&s->ring);
	*s = (struct stream_send){ 0 };
}

size_t
stream_send_room(const struct stream_send *s)
{
	assert(s->end - s->una <= s->window);
	return s->window - (size_t)(s->end - s->una);
}

enum err
stream_send_write(struct stream_send *s, struct span data)
{
	enum err err;

	send_check(s);
	if (data.n > stream_send_room(s))
		return ERR_LIMIT;
	err = ring_hold(&s->ring, s->una, s->end, s->end + data.n);
	if (err)
		return err;
	if (data.n > 0)
		ring_put(&s->ring, s->end, data.p, data.n);
	s->end += data.n;
	send_check(s);
	return ERR_OK;
}

/* One past the last new byte that flow control lets go. */
static uint64_t
sendable(const struct stream_send *s, uint64_t credit)
{
	uint64_t end = s->end;

	if (end > s->limit)
		end = s->limit;
	return end > credit ? credit : end;
}

bool
stream_send_due(const struct stream_send *s, uint64_t credit)
{
	return s->lost.n > 0 || s->next < sendable(s, credit);
}

struct range
stream_send_take(struct stream_send *s, uint64_t credit, size_t max)
{
	struct range piece = { s->next, sendable(s, credit) };

	send_check(s);
	if (s->lost.n > 0)
		piece = s->lost.r[0];
	if (piece.hi <= piece.lo)
		return (struct range){ 0, 0 };
	if (piece.hi - piece.lo > max)
		piece.hi = piece.lo + max;
	if (s->lost.n > 0)
		ranges_cut_below(&s->lost, piece.hi);
	else
		s->next = piece.hi;
	send_check(s);
	return piece;
}

void
stream_send_copy(const struct stream_send *s, struct range piece, uint8_t *out)
{
	assert(piece.lo >= s->una && piece.hi <= s->end);
	ring_get(&s->ring, piece.lo, out, (size_t)(piece.hi - piece.lo));
}

bool
stream_send_is_large(const struct stream_send *s)
{
	return s->ring.cap > RING_MIN;
}

void
stream_send_rest(struct stream_send *s)
{
	if (s->una == s->end && s->ring.cap > RING_MIN)
		ring_clear(&s->ring);
}

void
stream_send_acked(struct stream_send *s, struct range piece)
{
	send_check(s);
	assert(piece.hi <= s->next);
	if (piece.lo < s->una)
		piece.lo = s->una;
	if (piece.hi <= piece.lo)
		return;
	if (ranges_add(&s->acked, piece.lo, piece.hi)) {
		/* No place to remember it, so it is sent once more. */
		stream_send_lost(s, piece);
		return;
	}
	if (ranges_remove(&s->lost, piece.lo, piece.hi)) {
		/* It stays marked as lost: sent once more, to no harm. */
		assert(s->lost.n == RANGES_MAX);
	}
	if (s->acked.r[0].lo == s->una) {
		s->una = s->acked.r[0].hi;
		ranges_drop_lowest(&s->acked);
		ranges_cut_below(&s->lost, s->una);
	}
	send_check(s);
}

static void
lose(struct stream_send *s, uint64_t lo, uint64_t hi)
{
	uint32_t last = RANGES_MAX - 1;

	if (ranges_add(&s->lost, lo, hi) == ERR_OK)
		return;
	/* Full: one wide range instead, which sends some bytes twice. */
	if (s->lost.r[0].lo < lo)
		lo = s->lost.r[0].lo;
	if (s->lost.r[last].hi > hi)
		hi = s->lost.r[last].hi;
	s->lost.n = 1;
	s->lost.r[0] = (struct range){ lo, hi };
}

void
stream_send_lost(struct stream_send *s, struct range piece)
{
	send_check(s);
	assert(piece.hi <= s->next);
	if (piece.lo < s->una)
		piece.lo = s->una;
	for (uint32_t i = 0; i < s->acked.n && piece.lo < piece.hi; i++) {
		const struct range *a = &s->acked.r[i];

		if (a->hi <= piece.lo)
			continue;
		if (a->lo >= piece.hi)
			break;
		if (a->lo > piece.lo)
			lose(s, piece.lo, a->lo);
		piece.lo = a->hi;
	}
	if (piece.lo < piece.hi)
		lose(s, piece.lo, piece.hi);
	send_check(s);
}

/* ---- receiving ---- */

static void
receive_check(const struct stream_receive *s)
{
	assert(s->read <= s->in_order && s->in_order <= s->highest);
	assert(s->highest <= s->limit);
	assert(s->limit - s->read <= s->window);
	assert(s->got.n == 0 || s->got.r[0].lo > s->in_order);
}

void
stream_receive_init(struct stream_receive *s, size_t window, uint64_t limit)
{
	assert(window <= STREAM_BULK_WINDOW && limit <= window);
	*s = (struct stream_receive){
		.window = window,
		.limit = limit,
		.final = UINT64_MAX,
	};
}

void
stream_receive_clear(struct stream_receive *s)
{
	ring_clear(&s->ring);
	*s = (struct stream_receive){ 0 };
}

enum err
stream_receive_final(struct stream_receive *s, uint64_t final)
{
	if (s->highest > final)
		return ERR_STATE;
	if (s->final != UINT64_MAX && s->final != final)
		return ERR_STATE;
	s->final = final;
	return ERR_OK;
}

/* True if lo..hi-1 is here already with the same bytes. */
static bool
same(const struct stream_receive *s, uint64_t lo, uint64_t hi, const uint8_t *p)
{
	while (lo < hi) {
		size_t run = ring_run(&s->ring, lo, (size_t)(hi - lo));
		const uint8_t *mine =
		    s->ring.p + ((size_t)lo & (s->ring.cap - 1));

		if (memcmp(mine, p, run) != 0)
			return false;
		lo += run;
		p += run;
	}
	return true;
}

/* True if whatever of lo.. was here before has not changed. What the reader
 * took is gone and cannot be compared. */
static bool
agrees(const struct stream_receive *s, uint64_t lo, struct span data)
{
	uint64_t hi = lo + data.n;
	struct range old = { s->read > lo ? s->read : lo, s->in_order };

	for (uint32_t i = 0; i <= s->got.n; i++) {
		if (old.hi > hi)
			old.hi = hi;
		if (old.lo < lo)
			old.lo = lo;
		if (old.lo < old.hi &&
		    !same(s, old.lo, old.hi, data.p + (old.lo - lo)))
			return false;
		if (i < s->got.n)
			old = s->got.r[i];
	}
	return true;
}

/* Marks lo..hi-1 as here. ERR_NOMEM: too many gaps; nothing changed. */
static enum err
mark(struct stream_receive *s, uint64_t lo, uint64_t hi)
{
	if (lo <= s->in_order) {
		s->in_order = hi > s->in_order ? hi : s->in_order;
		while (s->got.n > 0 && s->got.r[0].lo <= s->in_order) {
			if (s->got.r[0].hi > s->in_order)
				s->in_order = s->got.r[0].hi;
			ranges_drop_lowest(&s->got);
		}
		s->excess = 0;
		return ERR_OK;
	}
	return ranges_add(&s->got, lo, hi) ? ERR_NOMEM : ERR_OK;
}

/* Everything that can be refused before a byte is kept. */
static enum err
admit(const struct stream_receive *s, uint64_t offset, size_t n, bool fin)
{
	uint64_t hi = offset + n;

	if (hi < offset || hi > s->limit)
		return ERR_LIMIT;
	if (s->final != UINT64_MAX && (hi > s->final || (fin && hi < s->final)))
		return ERR_STATE;
	if (fin && hi < s->highest)
		return ERR_STATE;
	return ERR_OK;
}

enum err
stream_receive_push(
    struct stream_receive *s, uint64_t offset, struct span data, bool fin)
{
	uint64_t hi = offset + data.n;
	enum err err = admit(s, offset, data.n, fin);

	receive_check(s);
	if (err)
		return err;
	if (!agrees(s, offset, data))
		return ERR_CONFLICT;
	if (hi > s->in_order) {
		size_t skip = offset < s->read ? (size_t)(s->read - offset) : 0;

		err = ring_hold(&s->ring, s->read, s->highest,
		    hi > s->highest ? hi : s->highest);
		if (err)
			return err;
		err = mark(s, offset, hi);
		if (err && ++s->excess > STREAM_EXCESS_MAX)
			return ERR_CONFLICT;
		if (err)
			return err;
		ring_put(&s->ring, offset + skip, data.p + skip, data.n - skip);
	}
	if (hi > s->highest)
		s->highest = hi;
	if (fin)
		s->final = hi;
	receive_check(s);
	return ERR_OK;
}

struct span
stream_receive_peek(const struct stream_receive *s)
{
	size_t n = (size_t)(s->in_order - s->read);

	if (n == 0)
		return span_of(NULL, 0);
	return span_of(s->ring.p + ((size_t)s->read & (s->ring.cap - 1)),
	    ring_run(&s->ring, s->read, n));
}

void
stream_receive_read(struct stream_receive *s, size_t n)
{
	receive_check(s);
	assert(n <= s->in_order - s->read);
	s->read += n;
}

bool
stream_receive_is_large(const struct stream_receive *s)
{
	return s->ring.cap > RING_MIN;
}

void
stream_receive_rest(struct stream_receive *s)
{
	if (s->read == s->highest && s->ring.cap > RING_MIN)
		ring_clear(&s->ring);
}

bool
stream_receive_widen(struct stream_receive *s)
{
	uint64_t limit = s->read + s->window;

	receive_check(s);
	if (limit - s->limit < s->window / 2)
		return false;
	s->limit = limit;
	return true;
}
