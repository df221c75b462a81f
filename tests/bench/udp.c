// SPDX-License-Identifier: Apache-2.0
// How many of the smallest UDP packets does a path carry per second?
//
//   udp FROM TO ADDRESS CPU MILLISECONDS      "SENT RECEIVED NANOSECONDS"
//
// FROM and TO are network namespaces, ADDRESS is TO's. One thread sends a batch, and then receives it:
// sender, the kernel's part and receiver take turns on one CPU, nothing overflows, and packets per second are
// the inverse of what the whole path costs. A frame is 60 bytes, 64 with its checksum on a real wire.
#include "bench.h"

#define BATCH 64
#define PAYLOAD (60 - 14 - 20 - 8)
#define WARM_UP (50 * MILLISECOND)

static struct mmsghdr to_send[BATCH], to_receive[BATCH];

static void prepare(void) {
  static char sent[PAYLOAD], received[BATCH][PAYLOAD];
  static struct iovec out = {.iov_base = sent, .iov_len = PAYLOAD}, in[BATCH];

  for (int i = 0; i < BATCH; i++) {
    in[i] = (struct iovec){.iov_base = received[i], .iov_len = PAYLOAD};
    to_send[i].msg_hdr = (struct msghdr){.msg_iov = &out, .msg_iovlen = 1};
    to_receive[i].msg_hdr = (struct msghdr){.msg_iov = &in[i], .msg_iovlen = 1};
  }
}

/* One batch goes and comes; how many came. What does not come within the receiver's timeout is lost. */
static int turn(int client, int server) {
  int sent = checked(sendmmsg(client, to_send, BATCH, 0), "sendmmsg"), received = 0;

  if (sent != BATCH) {
    fprintf(stderr, "sendmmsg: %d of %d\n", sent, BATCH);
    exit(1);
  }
  while (received < BATCH) {
    int more = recvmmsg(server, to_receive, BATCH - received, MSG_WAITFORONE, NULL);
    if (more < 0 && errno != EAGAIN) die("recvmmsg");
    if (more <= 0) break;
    received += more;
  }
  return received;
}

int main(int argc, char** argv) {
  uint64_t sent = 0, received = 0, start, now;

  if (argc != 6) {
    fprintf(stderr, "usage: see the head of udp.c\n");
    return 1;
  }
  pin(atoi(argv[4]));
  uint64_t length = strtoull(argv[5], NULL, 10) * MILLISECOND;
  struct sockaddr_in address = ipv4(argv[3]);
  int server = socket_in(argv[2], AF_INET, SOCK_DGRAM, 0);
  bind_to(server, &address);
  limit_wait(server, SO_RCVTIMEO, 20);
  int client = socket_in(argv[1], AF_INET, SOCK_DGRAM, 0);
  checked(connect(client, (struct sockaddr*)&address, sizeof(address)), "connect");
  prepare();
  for (start = now_ns(); now_ns() < start + WARM_UP;) turn(client, server);
  for (start = now = now_ns(); now < start + length; now = now_ns()) {
    sent += BATCH;
    received += (uint64_t)turn(client, server);
  }
  printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", sent, received, now - start);
  return 0;
}
