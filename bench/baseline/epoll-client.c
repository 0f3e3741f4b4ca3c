/*
 * Load generator for a TCP echo server, on epoll: one thread, level-triggered. Every connection keeps
 * `pipeline` messages in flight; an echo that has come back complete is a message, and starts the next.
 *
 *   epoll-client --port PORT --conns N --size BYTES --pipeline N --rounds N --warmup S --seconds S
 *                --latency 0|1 --spin 0|1
 *
 * After `rounds` messages (0: never) a connection is reset and opened again. The first message of
 * every connection is compared byte for byte, the others by length. Prints one line of JSON.
 */
#include "echo-common.h"
#include <time.h>

#define MAX_SAMPLES (4 * 1000 * 1000)

struct connection {
  int fd;
  /* Echoes seen in full, and bytes of the one that is coming. */
  uint64_t echoed;
  size_t partial;
  /* Messages begun, bytes of them not yet written, and where in the pattern those go on. */
  uint64_t begun;
  size_t unsent, offset;
  int wants_room;
};

static char chunk[CHUNK];
/* As many whole messages as are written at once. */
static char *pattern;
static size_t size, pattern_length;
static uint64_t pipeline, rounds;
static struct sockaddr_in server = {.sin_family = AF_INET};
static int poller;

static uint64_t messages, opened;
static uint64_t *samples, sample_count, sent_at;
static int measuring;

static uint64_t nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void watch(struct connection *c, int operation) {
  struct epoll_event event = {.events = EPOLLIN | (c->wants_room ? EPOLLOUT : 0), .data.ptr = c};
  if (epoll_ctl(poller, operation, c->fd, &event) < 0) fail("epoll_ctl");
}

/* Writes what the socket takes; asks for EPOLLOUT while something is left. */
static void flush(struct connection *c) {
  while (c->unsent > 0) {
    size_t run = pattern_length - c->offset;
    if (run > c->unsent) run = c->unsent;
    ssize_t put = send(c->fd, pattern + c->offset, run, MSG_DONTWAIT);
    if (put < 0) {
      if (errno == EAGAIN) break;
      fail("send");
    }
    c->unsent -= put;
    c->offset = (c->offset + put) % size;
  }
  if (c->wants_room != (c->unsent > 0)) {
    c->wants_room = c->unsent > 0;
    watch(c, EPOLL_CTL_MOD);
  }
}

/* Begins up to `count` messages more. */
static void begin(struct connection *c, uint64_t count) {
  if (rounds != 0 && c->begun + count > rounds) count = rounds - c->begun;
  c->begun += count;
  c->unsent += count * size;
  if (samples != NULL) sent_at = nanoseconds();
  flush(c);
}

static void open_connection(struct connection *c) {
  memset(c, 0, sizeof *c);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0) fail("socket");
  if (connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0) fail("connect");
  set_no_delay(c->fd);
  opened++;
  watch(c, EPOLL_CTL_ADD);
  begin(c, pipeline);
}

/* Closes with RST, as the paper's clients do, so that no port is left in TIME-WAIT. */
static void reset(struct connection *c) {
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(c->fd);
}

static void verify(const struct connection *c, size_t got) {
  size_t rest = size - c->partial;
  if (got < rest) rest = got;
  if (memcmp(chunk, pattern + c->partial, rest) != 0) {
    fprintf(stderr, "the echo differs from what was sent\n");
    exit(1);
  }
}

static void on_readable(struct connection *c) {
  ssize_t got = recv(c->fd, chunk, sizeof chunk, MSG_DONTWAIT);
  if (got <= 0) {
    if (got < 0 && errno == EAGAIN) return;
    fail(got == 0 ? "the server closed the connection" : "recv");
  }
  if (c->echoed == 0) verify(c, got);
  uint64_t whole = (c->partial + got) / size;
  c->partial = (c->partial + got) % size;
  if (whole == 0) return;
  if (samples != NULL && measuring && sample_count < MAX_SAMPLES) {
    samples[sample_count++] = nanoseconds() - sent_at;
  }
  messages += whole;
  c->echoed += whole;
  if (rounds != 0 && c->echoed >= rounds) {
    reset(c);
    open_connection(c);
  } else {
    begin(c, whole);
  }
}

static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static double percentile_us(double fraction) {
  return sample_count == 0 ? 0 : samples[(uint64_t)(fraction * (sample_count - 1))] / 1000.0;
}

int main(int argc, char **argv) {
  int conns = option(argc, argv, "conns", 64);
  size = option(argc, argv, "size", 64);
  pipeline = option(argc, argv, "pipeline", 1);
  rounds = option(argc, argv, "rounds", 0);
  double warmup = option(argc, argv, "warmup", 0.3), seconds = option(argc, argv, "seconds", 1);
  int timeout = option(argc, argv, "spin", 0) != 0 ? 0 : 1000;
  bound_lifetime(warmup + seconds + 30);
  raise_file_limit();
  server.sin_port = htons((uint16_t)option(argc, argv, "port", 0));
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (option(argc, argv, "latency", 0) != 0) {
    samples = malloc(MAX_SAMPLES * sizeof *samples);
    if (samples == NULL) fail("malloc");
  }

  size_t copies = CHUNK / size > 1 ? CHUNK / size : 1;
  if (copies > pipeline) copies = pipeline;
  pattern_length = copies * size;
  pattern = malloc(pattern_length);
  struct connection *connections = calloc(conns, sizeof *connections);
  if (pattern == NULL || connections == NULL) fail("malloc");
  for (size_t i = 0; i < pattern_length; i++) pattern[i] = (char)((i % size) * 7 + (i % size >> 8));

  poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) fail("epoll_create1");
  for (int i = 0; i < conns; i++) open_connection(&connections[i]);

  static struct epoll_event ready[BATCH];
  uint64_t begin_at = nanoseconds() + (uint64_t)(warmup * 1e9), end_at = UINT64_MAX;
  uint64_t first_message = 0, first_opened = 0;
  for (;;) {
    uint64_t now = nanoseconds();
    if (!measuring && now >= begin_at) {
      measuring = 1;
      begin_at = now;
      end_at = now + (uint64_t)(seconds * 1e9);
      first_message = messages;
      first_opened = opened;
    }
    if (now >= end_at) {
      end_at = now;
      break;
    }
    int count = epoll_wait(poller, ready, BATCH, timeout);
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < count; i++) {
      struct connection *c = ready[i].data.ptr;
      if (ready[i].events & EPOLLOUT) flush(c);
      if (ready[i].events & ~EPOLLOUT) on_readable(c);
    }
  }

  if (sample_count > 0) qsort(samples, sample_count, sizeof *samples, by_value);
  printf("{\"messages\":%llu,\"seconds\":%.6f,\"opened\":%llu,\"p50_us\":%.3f,\"p99_us\":%.3f}\n",
         (unsigned long long)(messages - first_message), (end_at - begin_at) / 1e9,
         (unsigned long long)(opened - first_opened), percentile_us(0.5), percentile_us(0.99));
  return 0;
}
