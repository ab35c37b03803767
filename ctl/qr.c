/*
 * QR codes: two modules in one character cell where the terminal has half
 * blocks, else a module in two cells. Without colours a terminal is taken to
 * be dark, so what is drawn are the light modules.
 */
#include "ctl/qr.h"

#include "ctl/report.h"

#ifndef BTCHAT_QR

int
qr_print(const struct ctl *ctl, const char *text)
{
	(void)ctl;
	report("this btchatctl was built without libqrencode; the text is %s",
	    text);
	return CTL_FAILED;
}

#else

#include "ctl/print.h"
#include "ctl/value.h"

#include <ctype.h>
#include <errno.h>
#include <qrencode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { QUIET = 2 }; /* light modules around it; cameras want no more */

/* What the user's locale says; that of the program is always UTF-8. */
static bool
speaks_utf8(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *v = getenv(names[i]);

		if (v != NULL && v[0] != '\0')
			return strcasestr(v, "utf-8") != NULL ||
			       strcasestr(v, "utf8") != NULL;
	}
	return false;
}

/* Outside all is light. */
static bool
is_light(const QRcode *q, int x, int y)
{
	if (x < 0 || y < 0 || x >= q->width || y >= q->width)
		return true;
	return (q->data[y * q->width + x] & 1) == 0;
}

static void
print_blocks(const QRcode *q, bool color)
{
	static const char *const cells[] = { " ", "\xe2\x96\x84",
		"\xe2\x96\x80", "\xe2\x96\x88" };

	for (int y = -QUIET; y < q->width + QUIET; y += 2) {
		(void)fputs(color ? "\033[40;97m" : "", stdout);
		for (int x = -QUIET; x < q->width + QUIET; x++)
			(void)fputs(cells[2 * is_light(q, x, y) +
			                  is_light(q, x, y + 1)],
			    stdout);
		(void)fputs(color ? "\033[0m\n" : "\n", stdout);
	}
}

static void
print_ascii(const QRcode *q)
{
	for (int y = -QUIET; y < q->width + QUIET; y++) {
		for (int x = -QUIET; x < q->width + QUIET; x++)
			(void)fputs(is_light(q, x, y) ? "##" : "  ", stdout);
		(void)fputc('\n', stdout);
	}
}

/* The text, and rows of 1 (dark) and 0. */
static void
print_modules(const struct ctl *ctl, const QRcode *q, const char *text)
{
	cJSON *o = cJSON_CreateObject();
	cJSON *rows;
	char *row = value_alloc((size_t)q->width + 1);

	value_add_str(o, "text", text);
	rows = cJSON_AddArrayToObject(o, "rows");
	for (int y = 0; y < q->width; y++) {
		for (int x = 0; x < q->width; x++)
			row[x] = is_light(q, x, y) ? '0' : '1';
		(void)cJSON_AddItemToArray(rows, cJSON_CreateString(row));
	}
	print_json(ctl, o);
	free(row);
	cJSON_Delete(o);
}

/* Capitals alone make a smaller code, and mean the same in bech32. */
static char *
dense(const char *text)
{
	char *copy = value_strdup(text);

	if (strchr(text, '?') != NULL)
		return copy;
	for (char *p = copy; *p != '\0'; p++)
		*p = (char)toupper((unsigned char)*p);
	return copy;
}

int
qr_print(const struct ctl *ctl, const char *text)
{
	char *what = dense(text);
	QRcode *q = QRcode_encodeString(what, 0, QR_ECLEVEL_L, QR_MODE_8, 1);

	free(what);
	if (q == NULL) {
		report("cannot make a code: %s", strerror(errno));
		return CTL_FAILED;
	}
	if (ctl->mode == MODE_JSON)
		print_modules(ctl, q, text);
	else if (speaks_utf8())
		print_blocks(q, ctl->color);
	else
		print_ascii(q);
	QRcode_free(q);
	return CTL_DONE;
}

#endif /* BTCHAT_QR */
