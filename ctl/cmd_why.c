/* why: what was tried to reach a contact, and what came of it. */
#include "ctl/cmd.h"
#include "ctl/print.h"
#include "ctl/resolve.h"
#include "ctl/value.h"
#include "ctl/when.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LINE = 256 };

/* Verdicts of the daemon, and what they mean for people. */
static const struct {
	const char *name, *says;
} verdicts[] = {
	{ "online", "there is a session" },
	{ "connecting", "a session is being set up" },
	{ "refused", "it broke a rule of the protocol and is shut out for a "
	             "minute; see btchatctl tail" },
	{ "no_try", "nothing has been tried to its end yet" },
	{ "no_network", "no node of the DHT answers: is the network up? "
	                "btchatctl net dht" },
	{ "not_added", "nothing of them is in the DHT: they are offline, or "
	               "have not added you" },
	{ "away", "nothing of them is in the DHT any more: they are offline" },
	{ "no_answer", "their addresses are known and do not answer: they just "
	               "went offline, or a router on the way lets nothing in" },
	{ "denied",
	    "their keys of before are lost, as after an old copy was "
	    "restored, and may not begin again: ask them, then btchatctl "
	    "contact set WHO --fallback=allow" },
};

static const char *
verdict_says(const char *name)
{
	for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
		if (strcmp(verdicts[i].name, name) == 0)
			return verdicts[i].says;
	return name;
}

/* "found", "nothing there"; what a look came to. */
static const char *
look_end(const cJSON *s)
{
	if (value_true(s, "found"))
		return "found it";
	if (value_u64(s, "answered") == 0)
		return "nobody answered";
	return value_true(s, "rival") ? "found something that is not theirs"
	                              : "nothing there";
}

static const char *
put_end(const cJSON *s)
{
	const cJSON *back = value_get(s, "read_back");

	if (value_u64(s, "stored") == 0)
		return "nobody took it";
	if (cJSON_IsTrue(back))
		return "read back";
	return cJSON_IsFalse(back) ? "NOT found again" : "not read back";
}

static const char *
plural(const cJSON *s, const char *key)
{
	return value_u64(s, key) == 1 ? "" : "s";
}

static void
describe_look(const cJSON *s, char out[LINE])
{
	(void)snprintf(out, LINE,
	    "looked for their cell, %s %s: %" PRIu64 " of %" PRIu64
	    " nodes answered in %" PRIu64 " ms, %s%s",
	    value_str(s, "carrier"), value_str(s, "family"),
	    value_u64(s, "answered"), value_u64(s, "asked"),
	    value_u64(s, "took_ms"), look_end(s),
	    value_true(s, "alarm") ? "; crowded by strangers" : "");
}

static void
describe_put(const cJSON *s, char out[LINE])
{
	(void)snprintf(out, LINE,
	    "left our cell, %s %s: with %" PRIu64 " node%s in %" PRIu64
	    " network%s in %" PRIu64 " ms, %s%s%s",
	    value_str(s, "carrier"), value_str(s, "family"),
	    value_u64(s, "stored"), plural(s, "stored"),
	    value_u64(s, "networks"), plural(s, "networks"),
	    value_u64(s, "took_ms"), put_end(s),
	    value_true(s, "rival") ? "; somebody else writes there" : "",
	    value_true(s, "alarm") ? "; crowded by strangers" : "");
}

static void
describe_pass(const cJSON *s, char out[LINE])
{
	uint64_t relays = value_u64(s, "relays");
	char of[48] = "";

	if (relays > 0)
		(void)snprintf(of, sizeof(of),
		    ", %" PRIu64 " of them contact%s", relays,
		    plural(s, "relays"));
	(void)snprintf(out, LINE, "knocked through %" PRIu64 " introducer%s%s",
	    value_u64(s, "introducers"), plural(s, "introducers"), of);
}

static const char *
cross_end(const cJSON *s)
{
	const char *many = value_str(s, "many");

	if (value_true(s, "found"))
		return "there is one";
	if (!value_true(s, "offered"))
		return "none: they did not say where they are";
	if (strcmp(many, "sent") == 0)
		return "none, with hundreds of packets";
	return strcmp(many, "declined") == 0
	           ? "none; hundreds of packets are for a later try"
	           : "none";
}

static void
describe_cross(const cJSON *s, char out[LINE])
{
	(void)snprintf(out, LINE,
	    "tried to get a direct path, our router %s, theirs %s: %" PRIu64
	    " packet%s to %" PRIu64 " address%s in %" PRIu64 " ms, %s",
	    value_str(s, "own_nat"), value_str(s, "their_nat"),
	    value_u64(s, "sent"), plural(s, "sent"), value_u64(s, "addresses"),
	    value_u64(s, "addresses") == 1 ? "" : "es", value_u64(s, "took_ms"),
	    cross_end(s));
}

static void
describe(const cJSON *s, char out[LINE])
{
	const char *what = value_str(s, "what");

	if (strcmp(what, "look") == 0)
		describe_look(s, out);
	else if (strcmp(what, "put") == 0)
		describe_put(s, out);
	else if (strcmp(what, "pass") == 0)
		describe_pass(s, out);
	else if (strcmp(what, "cross") == 0)
		describe_cross(s, out);
	else if (strcmp(what, "nobody") == 0)
		(void)snprintf(
		    out, LINE, "an introducer of theirs no longer knows them");
	else if (strcmp(what, "knock") == 0)
		(void)snprintf(out, LINE,
		    "knocked at %" PRIu64 " known address%s",
		    value_u64(s, "addresses"),
		    value_u64(s, "addresses") == 1 ? "" : "es");
	else
		(void)snprintf(out, LINE, "%s",
		    strcmp(what, "up") == 0 ? "a session began"
		                            : "the session ended");
}

static void
print_step(const struct ctl *ctl, const cJSON *s)
{
	uint64_t now_ms = when_now_ms(), ago_ms = value_u64(s, "ago_ms");
	char ago[WHEN_SIZE], line[LINE], times[48] = "";

	if (ctl->mode == MODE_PLAIN) {
		describe(s, line);
		(void)snprintf(ago, sizeof(ago), "%" PRIu64, ago_ms);
		(void)snprintf(
		    times, sizeof(times), "%" PRIu64, value_u64(s, "times"));
		print_fields(ctl, value_str(s, "what"), ago, times, line, NULL);
		return;
	}
	describe(s, line);
	when_ago(ago_ms < now_ms ? now_ms - ago_ms : 1, now_ms, ago);
	if (ago_ms < 60 * 1000) /* what came before what is the question */
		(void)snprintf(
		    ago, sizeof(ago), "%" PRIu64 " s ago", ago_ms / 1000);
	if (value_u64(s, "times") > 1)
		(void)snprintf(times, sizeof(times), " (%" PRIu64 " times)",
		    value_u64(s, "times"));
	print_human("%14s  %s%s", ago, line, times);
}

static void
print_next(const cJSON *why, const char *key, const char *what)
{
	char span[WHEN_SIZE];

	if (!cJSON_IsNumber(value_get(why, key)))
		return;
	when_span(value_u64(why, key), span);
	if (value_u64(why, key) < 1000)
		print_human("%14s  %s now", "next", what);
	else
		print_human("%14s  %s in %s", "next", what, span);
}

static void
print_why(struct ctl *ctl, const cJSON *contact, const cJSON *why)
{
	const char *verdict = value_str(why, "verdict");
	const cJSON *item = NULL;
	char name[128];

	if (ctl->mode == MODE_PLAIN)
		print_fields(ctl, "verdict", "0", "1", verdict, NULL);
	else
		print_human("%s: %s", resolve_name(contact, name),
		    verdict_says(verdict));
	cJSON_ArrayForEach(item, value_get(why, "steps"))
	{
		print_step(ctl, item);
	}
	if (ctl->mode != MODE_PLAIN) {
		print_human("%14s  ours %s, theirs %s", "routers",
		    value_str(why, "own_nat"), value_str(why, "their_nat"));
		print_next(why, "look_up_in_ms", "look for their cell");
		print_next(why, "publish_in_ms", "leave our cell");
	}
	cJSON_ArrayForEach(item, value_get(why, "addresses"))
	{
		if (!cJSON_IsString(item))
			continue;
		if (ctl->mode == MODE_PLAIN)
			print_fields(
			    ctl, "address", "0", "1", item->valuestring, NULL);
		else
			print_human("%14s  %s", "address", item->valuestring);
	}
}

int
cmd_why(struct ctl *ctl)
{
	cJSON *contact = NULL, *why = NULL, *params = NULL;
	int status = resolve_contact(ctl, args_word(&ctl->args, 0), &contact);

	if (status != CTL_DONE)
		return status;
	params = cJSON_CreateObject();
	value_add_str(params, "contact", value_str(contact, "id"));
	if (args_has(&ctl->args, "addresses"))
		(void)cJSON_AddTrueToObject(params, "addresses");
	status = ctl_call(ctl, "contact.why", params, &why);
	if (status == CTL_DONE && !print_as_json(ctl, why))
		print_why(ctl, contact, why);
	cJSON_Delete(why);
	cJSON_Delete(contact);
	return status;
}
