/* Passphrases cost nothing here: a second for each of thousands of runs would
 * be too much. */
#include <sodium.h>

/* Its arguments are libsodium's. NOLINTBEGIN(readability-function-size) */
int wrap_pwhash(unsigned char *out, unsigned long long n, const char *pass,
    unsigned long long pass_n, const unsigned char *salt,
    unsigned long long ops, size_t mem,
    int alg) __asm__("__wrap_crypto_pwhash");

int
wrap_pwhash(unsigned char *out, unsigned long long n, const char *pass,
    unsigned long long pass_n, const unsigned char *salt,
    unsigned long long ops, size_t mem, int alg)
{
	(void)ops;
	(void)mem;
	(void)alg;
	return crypto_generichash(out, (size_t)n, (const unsigned char *)pass,
	    pass_n, salt, crypto_pwhash_SALTBYTES);
}
/* NOLINTEND(readability-function-size) */
