/*
 * The client of a ping-pong: one message there and back at a time, for some seconds, of which the first
 * quarter is for warming up.
 *
 *   pipe-client --port PORT --size BYTES --seconds S [--address IPV4]
 *
 * Prints one line of JSON: {"one_way_us": mean}.
 */
#include "pipe-common.h"
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void round_trip(int fd, const char *message, char *answer, size_t size) {
  send_all(fd, message, size);
  if (receive_message(fd, answer) != size) fail("length of an answer");
}

static const char *text_option(int argc, char **argv, const char *name, const char *fallback) {
  for (int i = 1; i + 1 < argc; i++) {
    if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0) return argv[i + 1];
  }
  return fallback;
}

int main(int argc, char **argv) {
  size_t size = option(argc, argv, "size", 64);
  double seconds = option(argc, argv, "seconds", 1);
  bound_lifetime(seconds + 30);
  struct sockaddr_in server = {.sin_family = AF_INET};
  server.sin_port = htons((uint16_t)option(argc, argv, "port", 0));
  if (inet_pton(AF_INET, text_option(argc, argv, "address", "127.0.0.1"), &server.sin_addr) != 1) {
    fail("address");
  }
  char *message = malloc(size), *answer = malloc(LARGEST);
  if (message == NULL || answer == NULL) fail("malloc");
  for (size_t i = 0; i < size; i++) message[i] = (char)(i * 7 + (i >> 8));
  uint32_t header = size;
  memcpy(message, &header, sizeof header);

  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server) < 0) fail("connect");
  set_no_delay(fd);
  round_trip(fd, message, answer, size);
  if (memcmp(message, answer, size) != 0) {
    fprintf(stderr, "the answer differs from what was sent\n");
    return 1;
  }
  double warm = now() + seconds / 4;
  while (now() < warm) round_trip(fd, message, answer, size);
  double begin = now(), end = begin + seconds * 3 / 4, at = begin;
  uint64_t rounds = 0;
  for (; at < end; at = now(), rounds++) round_trip(fd, message, answer, size);
  printf("{\"one_way_us\":%.3f}\n", (at - begin) * 1e6 / rounds / 2);
  return 0;
}
