/*
 * The server of a ping-pong: sends every message back when it has all of it. One client at a time.
 *
 *   pipe-server --lifetime SECONDS [--any 1]
 *
 * Prints the port it listens on: of loopback, or with --any 1 of all addresses.
 */
#include "pipe-common.h"

int main(int argc, char **argv) {
  bound_lifetime(option(argc, argv, "lifetime", 60));
  uint32_t where = option(argc, argv, "any", 0) != 0 ? INADDR_ANY : INADDR_LOOPBACK;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(where)};
  socklen_t length = sizeof address;
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) < 0) fail("bind");
  if (listen(listener, 16) < 0) fail("listen");
  if (getsockname(listener, (struct sockaddr *)&address, &length) < 0) fail("getsockname");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);

  char *message = malloc(LARGEST);
  int fd = accept(listener, NULL, NULL);
  if (message == NULL || fd < 0) fail("accept");
  set_no_delay(fd);
  for (;;) send_all(fd, message, receive_message(fd, message));
}
