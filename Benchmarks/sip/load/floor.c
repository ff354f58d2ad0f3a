// floor: answers every datagram with a 200 and the headers it came with, and does nothing else: the least that any
// server of this protocol pays on this kernel, with as few system calls as UDP allows.
//
//   cc -O2 -o floor floor.c
//   floor PORT        serves on loopback until it is ended
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 16, CAPACITY = 2048, STATUS_LENGTH = 16 };

int main(int count, char **arguments) {
  if (count != 2) return fprintf(stderr, "usage: floor PORT\n"), 2;
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1]))};
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  if (bind(fd, (struct sockaddr *)&here, sizeof here)) return perror("floor"), 1;
  static char buffers[BATCH][CAPACITY];
  static struct sockaddr_in peers[BATCH];
  static struct iovec in[BATCH], out[BATCH];
  static struct mmsghdr headers[BATCH];
  for (int i = 0; i < BATCH; i++) {
    // The status line is as long as its own place before the request, so nothing has to be moved.
    memcpy(buffers[i], "SIP/2.0 200 OK\r\n", STATUS_LENGTH);
    in[i] = (struct iovec){buffers[i] + STATUS_LENGTH, CAPACITY - STATUS_LENGTH};
  }
  for (;;) {
    for (int i = 0; i < BATCH; i++)
      headers[i].msg_hdr = (struct msghdr){&peers[i], sizeof peers[i], &in[i], 1, NULL, 0, 0};
    int n = recvmmsg(fd, headers, BATCH, MSG_WAITFORONE, NULL), answers = 0;
    for (int i = 0; i < n; i++) {
      char *line_end = memmem(in[i].iov_base, headers[i].msg_len, "\r\n", 2);
      if (!line_end) continue;
      // The status takes the place of the request line's end.
      char *begin = line_end + 2 - STATUS_LENGTH;
      size_t rest = headers[i].msg_len - (size_t)(line_end + 2 - (char *)in[i].iov_base);
      memcpy(begin, "SIP/2.0 200 OK\r\n", STATUS_LENGTH);
      out[answers] = (struct iovec){begin, STATUS_LENGTH + rest};
      headers[answers].msg_hdr = (struct msghdr){&peers[i], sizeof peers[i], &out[answers], 1, NULL, 0, 0};
      answers++;
    }
    for (int sent = 0; sent < answers;) {
      int n = sendmmsg(fd, headers + sent, (unsigned)(answers - sent), 0);
      if (n <= 0) break;
      sent += n;
    }
  }
}
