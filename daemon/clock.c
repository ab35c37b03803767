#include "daemon/clock.h"

#include <assert.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Unix s, 2200: never reached. */
enum { FAR_DAYS = 84006, DAY_S = 86400 };

static uint64_t
read_ms(clockid_t id)
{
	struct timespec ts;
	int r = clock_gettime(id, &ts);

	assert(r == 0);    /* all three exist since Linux 2.6.39 */
	if (ts.tv_sec < 0) /* a clock set before 1970: hold at the epoch */
		return 0;
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

struct now
clock_now(void)
{
	return (struct now){
		.mono_ms = read_ms(CLOCK_BOOTTIME),
		.wall_ms = read_ms(CLOCK_REALTIME),
	};
}

uint64_t
clock_asleep_ms(void)
{
	uint64_t awake_ms = read_ms(CLOCK_MONOTONIC);
	uint64_t all_ms = read_ms(CLOCK_BOOTTIME);

	return all_ms > awake_ms ? all_ms - awake_ms : 0;
}

void
clock_rewatch(int fd)
{
	const struct itimerspec far = {
		.it_value = { .tv_sec = (time_t)FAR_DAYS * DAY_S },
	};
	uint64_t n;

	/* ECANCELED is the news; without it there is nothing to read. */
	if (read(fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		return;
	/* Where it is refused nobody is woken: a longer wait, no more. */
	(void)timerfd_settime(
	    fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}

int
clock_watch(void)
{
	int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0)
		clock_rewatch(fd);
	return fd;
}
