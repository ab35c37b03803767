/* Is this built with AddressSanitizer? Its leak checker traces its own process,
 * its shadow memory has no bounds, and what it finds is told on stderr. */
#ifndef DAEMON_SANITIZER_H
#define DAEMON_SANITIZER_H

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_SANITIZER
#endif
#endif

#endif /* DAEMON_SANITIZER_H */
