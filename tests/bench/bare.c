/* See bare.h. */
#include "tests/bench/bare.h"

#include "daemon/addr.h"
#include "proto/link/packet.h"

#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum {
	BATCH = 64,
	FULL = 1472,
	WORD = 128 + PACKET_OVERHEAD, /* what a text of 100 bytes fills */
};

static const uint8_t key[32] = { 1 }, nonce[12] = { 0 };

static void
seal(uint8_t *out, size_t n)
{
	static const uint8_t plain[FULL];

	(void)crypto_aead_chacha20poly1305_ietf_encrypt(out + PACKET_HEAD, NULL,
	    plain, n - PACKET_OVERHEAD, out, PACKET_HEAD, NULL, nonce, key);
}

static void
open_sealed(const uint8_t *in, size_t n)
{
	uint8_t plain[FULL];

	if (crypto_aead_chacha20poly1305_ietf_decrypt(plain, NULL, NULL,
	        in + PACKET_HEAD, n - PACKET_HEAD, in, PACKET_HEAD, nonce, key))
		die("open");
}

static void
patience(int fd)
{
	struct timeval wait = { 0, 100000 };

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
}

void
bare_send(struct shared *shared, int fd, const struct endpoint *to)
{
	static uint8_t out[BATCH][FULL];
	struct mmsghdr msg[BATCH] = { 0 };
	struct iovec iov[BATCH];
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sockaddr(to, &ss);

	for (unsigned i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ out[i], FULL };
		msg[i].msg_hdr = (struct msghdr){ .msg_name = &ss,
			.msg_namelen = n,
			.msg_iov = &iov[i],
			.msg_iovlen = 1 };
	}
	while (!shared->stop) {
		for (unsigned i = 0; i < BATCH; i++)
			seal(out[i], FULL);
		(void)sendmmsg(fd, msg, BATCH, 0);
	}
}

void
bare_receive(struct shared *shared, int fd)
{
	static uint8_t in[BATCH][FULL];
	struct mmsghdr msg[BATCH] = { 0 };
	struct iovec iov[BATCH];
	int room = 4 << 20; /* as udp.c asks for */

	patience(fd);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	for (unsigned i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ in[i], FULL };
		msg[i].msg_hdr =
		    (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	while (!shared->stop) {
		int n = recvmmsg(fd, msg, BATCH, MSG_WAITFORONE, NULL);

		for (int i = 0; i < n; i++) {
			open_sealed(in[i], FULL);
			shared->bulk += FULL - PACKET_OVERHEAD;
		}
	}
}

void
bare_ping(struct shared *shared, int fd, const struct endpoint *to)
{
	uint8_t out[WORD] = { 0 }, in[WORD];
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sockaddr(to, &ss);

	patience(fd);
	while (!shared->stop) {
		uint64_t start_ns = clock_ns();

		seal(out, WORD);
		(void)sendto(fd, out, WORD, 0, (struct sockaddr *)&ss, n);
		if (recv(fd, in, WORD, 0) != WORD)
			continue; /* lost, or too far */
		open_sealed(in, WORD);
		shared_sample(shared, clock_ns() - start_ns);
	}
}

void
bare_echo(struct shared *shared, int fd)
{
	uint8_t b[WORD];

	patience(fd);
	while (!shared->stop) {
		struct sockaddr_storage ss;
		socklen_t n = sizeof(ss);

		if (recvfrom(fd, b, WORD, 0, (struct sockaddr *)&ss, &n) !=
		    WORD)
			continue;
		open_sealed(b, WORD);
		seal(b, WORD);
		(void)sendto(fd, b, WORD, 0, (struct sockaddr *)&ss, n);
	}
}
