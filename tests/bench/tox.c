/*
 * One libtoxcore node for the comparison, driven by lines on stdin:
 *   boot PORT DHT_KEY   bootstrap from 127.0.0.1
 *   add PUBLIC_KEY      tox_friend_add_norequest
 *   rtt N               N messages one after the other, each until its receipt
 *   flood N             N messages as fast as the queue takes them
 *   quit
 * It answers with lines: "node PORT DHT_KEY PUBLIC_KEY" at the start,
 * "online", "offline", "rtt US US ..." and "flood N MS". The loop sleeps for
 * tox_iteration_interval(), as the library's documentation asks.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tox/tox.h>
#include <unistd.h>

enum { KEY = 32, LINE = 256, BODY = 100, RTT_MAX = 10000 };

struct node {
	Tox *tox;
	bool quit;
	char line[LINE];
	size_t n_line;
	/* the run that is under way */
	bool one_by_one;
	unsigned want, sent, received;
	uint64_t start_us, sent_us;
	uint64_t rtt_us[RTT_MAX];
};

static uint64_t
now_us(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void
print_key(const uint8_t key[KEY])
{
	for (int i = 0; i < KEY; i++)
		printf("%02x", key[i]);
}

static bool
parse_key(const char *hex, uint8_t ret[KEY])
{
	for (size_t i = 0; i < KEY; i++) {
		char byte[3] = { hex[2 * i], 0, 0 };
		char *end = NULL;

		if (byte[0] == 0)
			return false;
		byte[1] = hex[2 * i + 1];
		ret[i] = (uint8_t)strtoul(byte, &end, 16);
		if (end != byte + 2)
			return false;
	}
	return true;
}

static void
say(const char *word)
{
	puts(word);
	fflush(stdout);
}

/* Sends what the run allows now; stops where the library's queue is full. */
static void
pump(struct node *n)
{
	uint8_t body[BODY];
	uint32_t limit = n->one_by_one ? n->received + 1 : n->want;

	memset(body, 'x', sizeof(body));
	while (n->sent < n->want && n->sent < limit) {
		n->sent_us = now_us();
		(void)tox_friend_send_message(n->tox, 0,
		    TOX_MESSAGE_TYPE_NORMAL, body, sizeof(body), NULL);
		if (tox_friend_get_connection_status(n->tox, 0, NULL) ==
		    TOX_CONNECTION_NONE)
			return;
		n->sent++;
	}
}

static void
finish(struct node *n)
{
	if (n->one_by_one) {
		printf("rtt");
		for (unsigned i = 0; i < n->want; i++)
			printf(" %llu", (unsigned long long)n->rtt_us[i]);
		say("");
	} else {
		printf("flood %u %.3f", n->want,
		    (double)(now_us() - n->start_us) / 1000);
		say("");
	}
	n->want = 0;
}

static void
on_receipt(Tox *tox, uint32_t friend, uint32_t id, void *ctx)
{
	struct node *n = ctx;

	(void)tox;
	(void)friend;
	(void)id;
	if (n->want == 0)
		return;
	if (n->one_by_one && n->received < RTT_MAX)
		n->rtt_us[n->received] = now_us() - n->sent_us;
	n->received++;
	if (n->received == n->want)
		finish(n);
}

static void
on_connection(Tox *tox, uint32_t friend, TOX_CONNECTION status, void *ctx)
{
	(void)tox;
	(void)friend;
	(void)ctx;
	say(status == TOX_CONNECTION_NONE ? "offline" : "online");
}

static void
start_run(struct node *n, bool one_by_one, const char *count)
{
	unsigned long want = strtoul(count, NULL, 10);

	n->one_by_one = one_by_one;
	n->want = (unsigned)(want < RTT_MAX || !one_by_one ? want : RTT_MAX);
	n->sent = n->received = 0;
	n->start_us = now_us();
}

static void
command(struct node *n, const char *line)
{
	uint8_t key[KEY];
	char *key_text = NULL;

	if (strcmp(line, "quit") == 0) {
		n->quit = true;
	} else if (strncmp(line, "boot ", 5) == 0) {
		unsigned long port = strtoul(line + 5, &key_text, 10);

		if (*key_text == ' ' && parse_key(key_text + 1, key))
			(void)tox_bootstrap(
			    n->tox, "127.0.0.1", (uint16_t)port, key, NULL);
	} else if (strncmp(line, "add ", 4) == 0 && parse_key(line + 4, key)) {
		(void)tox_friend_add_norequest(n->tox, key, NULL);
	} else if (strncmp(line, "rtt ", 4) == 0) {
		start_run(n, true, line + 4);
	} else if (strncmp(line, "flood ", 6) == 0) {
		start_run(n, false, line + 6);
	}
}

static void
read_commands(struct node *n)
{
	ssize_t got =
	    read(STDIN_FILENO, n->line + n->n_line, LINE - 1 - n->n_line);
	char *end;

	if (got <= 0) {
		n->quit = true;
		return;
	}
	n->n_line += (size_t)got;
	n->line[n->n_line] = 0;
	while ((end = strchr(n->line, '\n')) != NULL) {
		*end++ = 0;
		command(n, n->line);
		n->n_line -= (size_t)(end - n->line);
		memmove(n->line, end, n->n_line + 1);
	}
}

static Tox *
start(void)
{
	struct Tox_Options *options = tox_options_new(NULL);
	Tox *tox;

	if (options == NULL)
		return NULL;
	tox_options_set_local_discovery_enabled(options, false);
	tox = tox_new(options, NULL);
	tox_options_free(options);
	return tox;
}

static void
introduce(Tox *tox)
{
	uint8_t key[KEY];

	printf("node %u ", tox_self_get_udp_port(tox, NULL));
	tox_self_get_dht_id(tox, key);
	print_key(key);
	printf(" ");
	tox_self_get_public_key(tox, key);
	print_key(key);
	say("");
}

int
main(void)
{
	static struct node n;

	n.tox = start();
	if (n.tox == NULL)
		return EXIT_FAILURE;
	tox_callback_friend_connection_status(n.tox, on_connection);
	tox_callback_friend_read_receipt(n.tox, on_receipt);
	introduce(n.tox);
	while (!n.quit) {
		struct pollfd in = { STDIN_FILENO, POLLIN, 0 };

		if (poll(&in, 1, (int)tox_iteration_interval(n.tox)) > 0)
			read_commands(&n);
		pump(&n);
		tox_iterate(n.tox, &n);
	}
	tox_kill(n.tox);
	return EXIT_SUCCESS;
}
