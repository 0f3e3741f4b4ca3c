/*
 * TCP echo server on epoll: one thread, level-triggered, one read and one write per ready connection.
 *
 * Level-triggered needs no second read to see EAGAIN, so a small message costs two system calls and
 * its share of an epoll_wait. What a socket does not take is kept, and that connection is not read
 * again until it is out.
 *
 *   epoll-server --lifetime SECONDS --spin 0|1
 *
 * Prints the port it listens on. With --spin 1 it polls epoll without ever sleeping.
 */
#include "echo-common.h"

struct connection {
  int fd;
  /* Bytes read but not yet written: [from, to) of `rest`; no buffer while there are none. */
  char *rest;
  size_t from, to;
};

static char chunk[CHUNK];
static int poller;

static void watch(struct connection *c, uint32_t events, int operation) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  if (epoll_ctl(poller, operation, c->fd, &event) < 0) fail("epoll_ctl");
}

static void drop(struct connection *c) {
  close(c->fd);
  free(c->rest);
  free(c);
}

static void accept_all(int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EAGAIN || errno == ECONNABORTED) return;
      fail("accept");
    }
    set_no_delay(fd);
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL) fail("calloc");
    c->fd = fd;
    watch(c, EPOLLIN, EPOLL_CTL_ADD);
  }
}

/* Keeps what the socket did not take and waits for room instead of data. */
static void keep_rest(struct connection *c, const char *bytes, size_t length) {
  c->rest = malloc(length);
  if (c->rest == NULL) fail("malloc");
  memcpy(c->rest, bytes, length);
  c->from = 0;
  c->to = length;
  watch(c, EPOLLOUT, EPOLL_CTL_MOD);
}

static void on_readable(struct connection *c) {
  ssize_t got = read(c->fd, chunk, sizeof chunk);
  if (got <= 0) {
    if (got < 0 && errno == EAGAIN) return;
    drop(c);
    return;
  }
  ssize_t put = write(c->fd, chunk, got);
  if (put < 0) {
    if (errno != EAGAIN) {
      drop(c);
      return;
    }
    put = 0;
  }
  if (put < got) keep_rest(c, chunk + put, got - put);
}

static void on_writable(struct connection *c) {
  ssize_t put = write(c->fd, c->rest + c->from, c->to - c->from);
  if (put < 0) {
    if (errno != EAGAIN) drop(c);
    return;
  }
  c->from += put;
  if (c->from < c->to) return;
  free(c->rest);
  c->rest = NULL;
  watch(c, EPOLLIN, EPOLL_CTL_MOD);
}

int main(int argc, char **argv) {
  bound_lifetime(option(argc, argv, "lifetime", 60));
  raise_file_limit();
  int timeout = option(argc, argv, "spin", 0) != 0 ? 0 : -1;

  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) < 0) fail("bind");
  if (listen(listener, SOMAXCONN) < 0) fail("listen");
  if (getsockname(listener, (struct sockaddr *)&address, &length) < 0) fail("getsockname");

  poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) fail("epoll_create1");
  struct epoll_event on_listener = {.events = EPOLLIN, .data.ptr = NULL};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &on_listener) < 0) fail("epoll_ctl");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);

  static struct epoll_event ready[BATCH];
  for (;;) {
    int count = epoll_wait(poller, ready, BATCH, timeout);
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < count; i++) {
      struct connection *c = ready[i].data.ptr;
      if (c == NULL) {
        accept_all(listener);
      } else if (ready[i].events & EPOLLOUT) {
        on_writable(c);
      } else {
        on_readable(c);
      }
    }
  }
}
