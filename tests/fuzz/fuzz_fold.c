/* Any text as a search sees it: what comes out is in order and within the text,
 * and each word that begins there is found there. */
#include "daemon/fold.h"
#include "proto/base/text.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fold f;
	struct span text = span_of(data, size);
	uint8_t bit[FOLD_PREFIX];

	if (!utf8_valid(text) || fold_text(&f, text))
		return 0;
	for (size_t i = 0; i < f.n; i++) {
		assert(f.p[i].at < size);
		assert(i == 0 || f.p[i].at >= f.p[i - 1].at);
		assert(f.p[i].point != 0 ||
		       (i > 0 && f.p[i - 1].point != 0 && !f.p[i].begins));
		if (f.p[i].begins) {
			assert(fold_matches(&f, i, f.p + i, 1));
			assert(fold_bits(f.p + i, f.n - i, bit) >= 1);
		}
	}
	return 0;
}
