/*
 * Load generator in an open loop for a TCP echo server, on epoll: one thread that never sleeps. Requests
 * are due at random moments (Poisson), on random connections, and are sent when they are due, whatever
 * has come back. Latency counts from when a request was due: a late client hides nothing.
 *
 *   open-loop-client --port PORT --conns N --size BYTES --rate REQUESTS_PER_S --warmup S
 *                    --warmup-rate REQUESTS_PER_S --seconds S --seed N
 *
 * Prints one line of JSON: requests due in the measured seconds, those answered, their latency.
 */
#include "echo-common.h"
#include <math.h>
#include <time.h>

/* Requests in flight on one connection; one that would be more waits in the client. */
#define DEPTH 4096
/* Time for the last answers, ns. */
#define DRAIN 200000000

struct connection {
  int fd;
  size_t partial;
  /* When the requests that are on their way were due: a ring. */
  uint64_t *due;
  uint32_t first, count;
};

static char chunk[CHUNK];
static char *request;
static size_t size;
static uint64_t begin_at, sent, answered;
static uint64_t *samples, sample_limit;
static uint64_t state;

static uint64_t nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* From 0, exclusive, to 1 (xorshift64*, Vigna 2016). */
static double uniform(void) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return ((state * 0x2545F4914F6CDD1D >> 11) + 1) / 9007199254740992.0;
}

static void open_connection(struct connection *c, const struct sockaddr_in *server, int poller) {
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0) fail("socket");
  if (connect(c->fd, (const struct sockaddr *)server, sizeof *server) < 0) fail("connect");
  set_no_delay(c->fd);
  c->due = malloc(DEPTH * sizeof *c->due);
  if (c->due == NULL) fail("malloc");
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) < 0) fail("epoll_ctl");
}

static void send_request(struct connection *c, uint64_t due) {
  if (c->count == DEPTH) {
    fprintf(stderr, "saturated: %d requests wait on one connection\n", DEPTH);
    exit(1);
  }
  if (due >= begin_at) sent++;
  c->due[(c->first + c->count++) % DEPTH] = due;
  /* Blocking: what does not fit makes the client late, and that counts as latency. */
  for (size_t out = 0; out < size;) {
    ssize_t put = send(c->fd, request + out, size - out, 0);
    if (put < 0) fail("send");
    out += put;
  }
}

static void on_readable(struct connection *c) {
  ssize_t got = recv(c->fd, chunk, sizeof chunk, MSG_DONTWAIT);
  if (got <= 0) {
    if (got < 0 && errno == EAGAIN) return;
    fail(got == 0 ? "the server closed the connection" : "recv");
  }
  uint64_t now = nanoseconds();
  for (c->partial += got; c->partial >= size; c->partial -= size) {
    uint64_t due = c->due[c->first++ % DEPTH];
    c->count--;
    if (due < begin_at) continue;
    if (answered < sample_limit) samples[answered] = now - due;
    answered++;
  }
}

static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static double percentile_us(double fraction) {
  uint64_t count = answered < sample_limit ? answered : sample_limit;
  return count == 0 ? 0 : samples[(uint64_t)(fraction * (count - 1))] / 1000.0;
}

int main(int argc, char **argv) {
  int conns = option(argc, argv, "conns", 64);
  size = option(argc, argv, "size", 64);
  double rate = option(argc, argv, "rate", 1000), warmup = option(argc, argv, "warmup", 0.3);
  double warmup_rate = option(argc, argv, "warmup-rate", rate);
  double seconds = option(argc, argv, "seconds", 1);
  state = (uint64_t)option(argc, argv, "seed", 1) * 0x9E3779B97F4A7C15 + 1;
  bound_lifetime(warmup + seconds + 30);
  raise_file_limit();
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  server.sin_port = htons((uint16_t)option(argc, argv, "port", 0));
  sample_limit = rate * seconds * 1.5 + 1000;
  samples = malloc(sample_limit * sizeof *samples);
  request = calloc(1, size);
  struct connection *connections = calloc(conns, sizeof *connections);
  if (samples == NULL || request == NULL || connections == NULL) fail("malloc");
  int poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) fail("epoll_create1");
  for (int i = 0; i < conns; i++) open_connection(&connections[i], &server, poller);

  static struct epoll_event ready[BATCH];
  double due = nanoseconds();
  begin_at = due + warmup * 1e9;
  uint64_t end_at = begin_at + (uint64_t)(seconds * 1e9);
  for (uint64_t now = due; now < end_at + DRAIN; now = nanoseconds()) {
    while (due <= now && due < end_at) {
      send_request(&connections[(int)(uniform() * conns) % conns], due);
      due -= log(uniform()) / (due < begin_at ? warmup_rate : rate) * 1e9;
    }
    int count = epoll_wait(poller, ready, BATCH, 0);
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < count; i++) on_readable(ready[i].data.ptr);
  }

  qsort(samples, answered < sample_limit ? answered : sample_limit, sizeof *samples, by_value);
  printf("{\"sent\":%llu,\"answered\":%llu,\"seconds\":%.6f,\"p50_us\":%.3f,\"p99_us\":%.3f}\n",
         (unsigned long long)sent, (unsigned long long)answered, seconds, percentile_us(0.5),
         percentile_us(0.99));
  return 0;
}
