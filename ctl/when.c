/* Times as people and as programs read them. */
#include "ctl/when.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Later than this is nonsense that gmtime might refuse: the year 9999. */
static const uint64_t latest_ms = UINT64_C(253402300799999);

uint64_t
when_now_ms(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static time_t
seconds(uint64_t ms)
{
	return (time_t)((ms < latest_ms ? ms : latest_ms) / 1000);
}

void
when_utc(uint64_t ms, char ret[WHEN_SIZE])
{
	time_t s = seconds(ms);
	struct tm tm = { 0 };
	size_t n = 0;

	(void)gmtime_r(&s, &tm);
	n = strftime(ret, WHEN_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(ret + n, WHEN_SIZE - n, ".%03uZ", (unsigned)(ms % 1000));
}

void
when_clock(uint64_t ms, char ret[WHEN_SIZE])
{
	time_t s = seconds(ms);
	struct tm tm = { 0 };

	(void)localtime_r(&s, &tm);
	(void)strftime(ret, WHEN_SIZE, "%H:%M", &tm);
}

void
when_day(uint64_t ms, char ret[WHEN_SIZE])
{
	time_t s = seconds(ms), now = seconds(when_now_ms());
	struct tm tm = { 0 }, today = { 0 };

	(void)localtime_r(&s, &tm);
	(void)localtime_r(&now, &today);
	(void)strftime(ret, WHEN_SIZE,
	    tm.tm_year == today.tm_year ? "%a %d %b" : "%a %d %b %Y", &tm);
}

void
when_local(uint64_t ms, char ret[WHEN_SIZE])
{
	time_t s = seconds(ms), now = seconds(when_now_ms());
	struct tm tm = { 0 }, today = { 0 };

	(void)localtime_r(&s, &tm);
	(void)localtime_r(&now, &today);
	(void)strftime(ret, WHEN_SIZE,
	    tm.tm_year == today.tm_year ? "%d %b %H:%M" : "%d %b %Y %H:%M",
	    &tm);
}

void
when_span(uint64_t ms, char ret[WHEN_SIZE])
{
	static const struct {
		const char *name;
		uint64_t s, in_next;
	} units[] = { { "d", 86400, 0 }, { "h", 3600, 24 }, { "min", 60, 60 },
		{ "s", 1, 60 } };
	uint64_t s = ms / 1000;
	size_t i = 0;

	while (i < 3 && s < units[i].s)
		i++;
	uint64_t first = s / units[i].s;
	uint64_t second = i < 3 ? s % units[i].s / units[i + 1].s : 0;

	if (second == 0)
		(void)snprintf(
		    ret, WHEN_SIZE, "%" PRIu64 " %s", first, units[i].name);
	else
		(void)snprintf(ret, WHEN_SIZE, "%" PRIu64 " %s %" PRIu64 " %s",
		    first, units[i].name, second, units[i + 1].name);
}

void
when_ago(uint64_t ms, uint64_t now_ms, char ret[WHEN_SIZE])
{
	uint64_t ago = now_ms > ms ? now_ms - ms : 0;

	if (ms == 0) {
		(void)snprintf(ret, WHEN_SIZE, "never");
		return;
	}
	if (ago < 60 * 1000) {
		(void)snprintf(ret, WHEN_SIZE, "now");
		return;
	}
	/* One unit is enough here. */
	uint64_t unit = ago < 3600000    ? 60000
	                : ago < 86400000 ? 3600000
	                                 : 86400000;
	when_span(ago / unit * unit, ret);
	(void)snprintf(ret + strlen(ret), WHEN_SIZE - strlen(ret), " ago");
}

enum err
when_parse_day(const char *text, uint64_t *ret_ms)
{
	struct tm tm = { .tm_isdst = -1 };
	const char *end = strptime(text, "%Y-%m-%d", &tm);
	time_t s;

	if (end == NULL || *end != '\0' || strlen(text) != 10)
		return ERR_MALFORMED;
	s = mktime(&tm);
	if (s < 0)
		return ERR_MALFORMED;
	*ret_ms = (uint64_t)s * 1000;
	return ERR_OK;
}
