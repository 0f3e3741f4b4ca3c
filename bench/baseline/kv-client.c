/*
 * Load generator for a memcached server, on epoll: one thread that never sleeps. It makes the loads of
 * bench/kv/workload.ts, at the times and with the measure of bench/kv/schedule.ts: see there.
 *
 *   kv-client --address A.B.C.D as a number --port PORT --etc 0|1 --conns N --depth N --seconds S --seed N
 *             --warmup S --settle S --drain S --fractions N --fraction0 F --fraction1 F …
 *
 * Prints a line of JSON: an array with, for each load, the rate offered, requests answered, seconds and the
 * cells of the histogram that are not 0, as pairs.
 */
#include "echo-common.h"
#include <math.h>
#include <time.h>

#define KEYS 10000
#define STEP_BITS 7
#define CELLS ((31 - STEP_BITS + 1) << STEP_BITS)
#define MAX_DEPTH 64

static const char stored[] = "STORED\r\n";

struct request {
  char *text;
  size_t length, answer;
};

struct connection {
  int fd;
  unsigned in_flight, oldest;
  size_t seen;
  /* When each in flight was due, 0: it is not measured; and how long its answer is. */
  double due[MAX_DEPTH];
  size_t expected[MAX_DEPTH];
};

static struct request gets[KEYS], sets[KEYS];
static struct connection *connections;
static unsigned conns, depth, turn;
static uint64_t free_places;
static int poller;
static char chunk[CHUNK];
static uint64_t confirmed;

/* The load: requests a second, 0: as many as the connections take. Times in seconds. */
static double rate, begin_at, end_at, next_at;
static uint64_t due_count, answered_count, achieved;
static uint64_t cells[CELLS];

static double seconds_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

/* ---- The records of bench/kv/workload.ts ---- */

static double uniform_of(uint32_t index, uint32_t purpose) {
  uint32_t h = (index * 4 + purpose) * 0x9e3779b1u;
  h = (h ^ (h >> 16)) * 0x85ebca6bu;
  h = (h ^ (h >> 13)) * 0xc2b2ae35u;
  h ^= h >> 16;
  return (h + 0.5) / 4294967296.0;
}

static double clamp(double value, double min, double max) {
  return value < min ? min : value > max ? max : value;
}

static void describe(uint32_t index, int etc, size_t *key, size_t *length) {
  *key = 19;
  *length = 2;
  if (!etc) return;
  double extreme =
      30.7984 + 8.20449 * (pow(-log(uniform_of(index, 1)), -0.078688) - 1) / 0.078688;
  double pareto = 15 + 214.476 * (pow(1 - uniform_of(index, 2), -0.348238) - 1) / 0.348238;
  *key = (size_t)clamp(floor(extreme + 0.5), 20, 70);
  *length = (size_t)clamp(floor(pareto + 0.5), 1, 1024);
}

static void prepare_requests(int etc) {
  for (uint32_t i = 0; i < KEYS; i++) {
    size_t key, length;
    describe(i, etc, &key, &length);
    char *get = malloc(key + 16), *set = malloc(key + length + 64);
    if (get == NULL || set == NULL) fail("malloc");
    gets[i].length = sprintf(get, "get k%0*u\r\n", (int)key - 1, i);
    gets[i].text = get;
    int head = sprintf(set, "set k%0*u 0 0 %zu\r\n", (int)key - 1, i, length);
    memset(set + head, 'v', length);
    memcpy(set + head + length, "\r\n", 2);
    sets[i].length = head + length + 2;
    sets[i].text = set;
    sets[i].answer = strlen(stored);
    char around[128];
    gets[i].answer =
        sprintf(around, "VALUE k%0*u 0 %zu\r\n\r\nEND\r\n", (int)key - 1, i, length) + length;
  }
}

/* ---- Chance: xorshift64* (Vigna 2014) ---- */

static uint64_t state;

static double uniform(void) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return ((state * 0x2545f4914f6cdd1dull) >> 11) / 9007199254740992.0;
}

/* ---- Requests and answers ---- */

static unsigned cell_of(double nanoseconds) {
  uint32_t value = nanoseconds < 0 ? 0 : nanoseconds > 2147483647 ? 2147483647 : (uint32_t)nanoseconds;
  if (value < 2u << STEP_BITS) return value;
  unsigned scale = 31 - __builtin_clz(value) - STEP_BITS;
  return (scale << STEP_BITS) + (value >> scale);
}

static void send_request(const struct request *request, double due) {
  while (connections[turn].in_flight == depth) turn = turn + 1 == conns ? 0 : turn + 1;
  struct connection *c = &connections[turn];
  turn = turn + 1 == conns ? 0 : turn + 1;
  unsigned place = (c->oldest + c->in_flight) % depth;
  c->in_flight++;
  free_places--;
  c->due[place] = due;
  c->expected[place] = request->answer;
  ssize_t put = send(c->fd, request->text, request->length, MSG_DONTWAIT);
  if (put != (ssize_t)request->length) fail("send");
}

static void answered(double due, double now) {
  if (now >= begin_at && now < end_at) achieved++;
  if (due < begin_at || due >= end_at) return;
  answered_count++;
  cells[cell_of((now - due) * 1e9)]++;
}

static void on_readable(struct connection *c) {
  ssize_t got = recv(c->fd, chunk, sizeof chunk, MSG_DONTWAIT);
  if (got <= 0) {
    if (got < 0 && errno == EAGAIN) return;
    fail(got == 0 ? "the server closed the connection" : "recv");
  }
  double now = seconds_now();
  for (size_t at = 0; at < (size_t)got;) {
    size_t expected = c->expected[c->oldest];
    if (c->seen == 0 && chunk[at] != (expected == strlen(stored) ? 'S' : 'V')) {
      fprintf(stderr, "an unexpected answer: %.20s\n", chunk + at);
      exit(1);
    }
    size_t part = expected - c->seen;
    if (part > (size_t)got - at) part = (size_t)got - at;
    at += part;
    c->seen += part;
    if (c->seen < expected) break;
    double due = c->due[c->oldest];
    c->seen = 0;
    c->oldest = (c->oldest + 1) % depth;
    c->in_flight--;
    free_places++;
    if (due == 0) confirmed++;
    else answered(due, now);
  }
}

static void take_answers(void) {
  static struct epoll_event ready[BATCH];
  int count = epoll_wait(poller, ready, BATCH, 0);
  if (count < 0 && errno != EINTR) fail("epoll_wait");
  for (int i = 0; i < count; i++) on_readable(ready[i].data.ptr);
}

static void open_connections(uint32_t address, uint16_t port) {
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(port)};
  server.sin_addr.s_addr = htonl(address);
  connections = calloc(conns, sizeof *connections);
  poller = epoll_create1(EPOLL_CLOEXEC);
  if (connections == NULL || poller < 0) fail("epoll_create1");
  for (unsigned i = 0; i < conns; i++) {
    struct connection *c = &connections[i];
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) fail("socket");
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0) fail("connect");
    set_no_delay(c->fd);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) < 0) fail("epoll_ctl");
  }
  free_places = (uint64_t)conns * depth;
}

/* ---- Loads ---- */

static double gap(void) {
  return -log(1 - uniform()) / rate;
}

static int is_over(double now, double drain) {
  int begun = rate == 0 || next_at >= end_at;
  if (now >= end_at && begun && answered_count == due_count) return 1;
  return now >= end_at + drain;
}

static void run_load(double get_share, double settle, double seconds, double drain) {
  memset(cells, 0, sizeof cells);
  due_count = answered_count = achieved = 0;
  next_at = seconds_now();
  begin_at = next_at + settle;
  end_at = begin_at + seconds;
  for (double now = next_at; !is_over(now, drain); now = seconds_now()) {
    while (free_places > 0 && (rate == 0 || next_at <= now)) {
      double due = rate == 0 ? now : next_at;
      if (rate != 0) next_at += gap();
      if (due >= begin_at && due < end_at) due_count++;
      unsigned index = (unsigned)(uniform() * KEYS);
      send_request(uniform() < get_share ? &gets[index] : &sets[index], due);
    }
    take_answers();
  }
  /* What has not been answered, or not even begun, took as long as was waited for it. */
  uint64_t lost = due_count - answered_count;
  for (; rate != 0 && next_at < end_at; lost++) next_at += gap();
  cells[cell_of(drain * 1e9)] += lost;
}

static void print_load(const char *before, double seconds) {
  printf("%s[%.3f,%llu,%.6f", before, rate, (unsigned long long)achieved, seconds);
  for (unsigned i = 0; i < CELLS; i++) {
    if (cells[i] != 0) printf(",%u,%llu", i, (unsigned long long)cells[i]);
  }
  printf("]");
}

int main(int argc, char **argv) {
  int etc = option(argc, argv, "etc", 0) != 0;
  int loads = option(argc, argv, "fractions", 0);
  double seconds = option(argc, argv, "seconds", 1), warmup = option(argc, argv, "warmup", 1);
  double settle = option(argc, argv, "settle", 0.2), drain = option(argc, argv, "drain", 0.5);
  double get_share = etc ? 0.75 : 0.998;
  conns = option(argc, argv, "conns", 64);
  depth = option(argc, argv, "depth", 4);
  if (depth > MAX_DEPTH) depth = MAX_DEPTH;
  state = (uint64_t)option(argc, argv, "seed", 1) * 0x9e3779b97f4a7c15ull | 1;
  bound_lifetime(warmup + (loads + 1) * (seconds + settle + drain) + 30);
  raise_file_limit();
  prepare_requests(etc);
  open_connections((uint32_t)option(argc, argv, "address", INADDR_LOOPBACK),
                   (uint16_t)option(argc, argv, "port", 11211));

  for (unsigned i = 0; i < KEYS;) {
    if (free_places > 0) send_request(&sets[i++], 0);
    take_answers();
  }
  while (confirmed < KEYS) take_answers();

  run_load(get_share, warmup, seconds, drain);
  double saturation = achieved / seconds;
  print_load("[", seconds);
  for (int i = 0; i < loads; i++) {
    char name[32];
    sprintf(name, "fraction%d", i);
    rate = saturation * option(argc, argv, name, 0.5);
    run_load(get_share, settle, seconds, drain);
    print_load(",", seconds);
  }
  printf("]\n");
  return 0;
}
