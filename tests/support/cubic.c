/* [RFC 9438 §4] */
#include "tests/support/cubic.h"

static const double scale = 0.4, beta = 0.7; /* C, in datagrams a s^3 */

void
cubic_init(struct cubic *c, uint32_t datagram)
{
	*c = (struct cubic){
		.datagram = datagram,
		.window = 10.0 * datagram,
		.threshold = 1e18,
	};
}

/* By Newton's way; x >= 0. */
static double
cube_root(double x)
{
	double y = x > 1 ? x : 1;

	for (unsigned i = 0; i < 40; i++)
		y = (2 * y + x / (y * y)) / 3;
	return y;
}

/* The epoch begins where the last cut has left the window. */
static void
begin(struct cubic *c, uint64_t now_ms)
{
	c->epoch_ms = now_ms;
	c->w_est = c->window;
	if (c->w_max < c->window)
		c->w_max = c->window;
	c->k_s = cube_root((c->w_max - c->window) / c->datagram / scale);
}

static double
target(const struct cubic *c, double s)
{
	double t = s - c->k_s;

	return scale * t * t * t * c->datagram + c->w_max;
}

void
cubic_acked(struct cubic *c, uint32_t bytes, uint64_t rtt_us, uint64_t now_ms)
{
	const double reno = 3 * (1 - beta) / (1 + beta);
	double s, want;

	if (c->window < c->threshold) {
		c->window += bytes;
		return;
	}
	if (c->epoch_ms == 0)
		begin(c, now_ms);
	s = (double)(now_ms - c->epoch_ms) / 1e3;
	want = target(c, s + (double)rtt_us / 1e6);
	if (want > 1.5 * c->window)
		want = 1.5 * c->window;
	c->w_est += reno * bytes / c->window * c->datagram;
	if (target(c, s) < c->w_est)
		c->window = c->w_est > c->window ? c->w_est : c->window;
	else if (want > c->window)
		c->window += (want - c->window) * bytes / c->window;
}

void
cubic_lost(struct cubic *c, uint64_t sent_ms, uint64_t now_ms)
{
	if (sent_ms < c->cut_ms)
		return;
	c->cut_ms = now_ms;
	/* Fast convergence. */
	c->w_max =
	    c->window < c->w_max ? c->window * (1 + beta) / 2 : c->window;
	c->window *= beta;
	if (c->window < 2.0 * c->datagram)
		c->window = 2.0 * c->datagram;
	c->threshold = c->window;
	c->epoch_ms = 0;
}
