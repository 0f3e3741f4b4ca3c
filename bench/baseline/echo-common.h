/* What the epoll server and client share: reading arguments, ending with the parent, errors. */
#ifndef ECHO_COMMON_H
#define ECHO_COMMON_H

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* The largest piece read or written at once. */
#define CHUNK (256 * 1024)
/* Ready connections taken from one epoll_wait. */
#define BATCH 512

static inline void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

/* The value after `--name`, or `fallback`. */
static inline double option(int argc, char **argv, const char *name, double fallback) {
  for (int i = 1; i + 1 < argc; i++) {
    if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0) return atof(argv[i + 1]);
  }
  return fallback;
}

/* Ends with the parent, and in any case after `seconds`. */
static inline void bound_lifetime(unsigned seconds) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() == 1) exit(1);
  signal(SIGPIPE, SIG_IGN);
  alarm(seconds);
}

/* As many connections as this user may have. */
static inline void raise_file_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) fail("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) fail("setrlimit");
}

static inline void set_no_delay(int fd) {
  int on = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) fail("TCP_NODELAY");
}

#endif
