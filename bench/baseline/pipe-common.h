/* NetPIPE's ping-pong on blocking sockets: whole messages that say their length in four bytes. */
#ifndef PIPE_COMMON_H
#define PIPE_COMMON_H

#include "echo-common.h"
#include <arpa/inet.h>

#define LARGEST (1 << 24)

static inline void receive_all(int fd, char *bytes, size_t length) {
  while (length > 0) {
    ssize_t got = recv(fd, bytes, length, 0);
    if (got < 0) fail("recv");
    if (got == 0) {
      fprintf(stderr, "the peer has closed the connection\n");
      exit(1);
    }
    bytes += got;
    length -= got;
  }
}

static inline void send_all(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t put = send(fd, bytes, length, 0);
    if (put < 0) fail("send");
    bytes += put;
    length -= put;
  }
}

/* Receives a message, header included; returns its length. */
static inline size_t receive_message(int fd, char *bytes) {
  uint32_t length;
  receive_all(fd, bytes, sizeof length);
  memcpy(&length, bytes, sizeof length);
  if (length < sizeof length || length > LARGEST) fail("length of a message");
  receive_all(fd, bytes + sizeof length, length - sizeof length);
  return length;
}

#endif
