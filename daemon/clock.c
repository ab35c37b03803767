#include "daemon/clock.h"

#include <assert.h>
#include <time.h>

static uint64_t
read_ms(clockid_t id)
{
	struct timespec ts;
	int r = clock_gettime(id, &ts);

	assert(r == 0);    /* both clocks exist since Linux 2.6.39 */
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
