// SPDX-License-Identifier: Apache-2.0
// What becomes of frames that come as fast as the kernel can make them?
//
//   flood frames FROM INTERFACE ADDRESS MAC CPU FRAMES     "NANOSECONDS"
//   flood drop NETNS INTERFACE                             "attached", then waits for its end
//   flood sink NETNS ADDRESS PORT CPU                      "bound", and at its end "RECEIVED"
//   flood pour NETNS ADDRESS PORT CPU MILLISECONDS         "SENT NANOSECONDS"
//
// `frames`: 60 bytes each, UDP to ADDRESS and MAC, port 9, made by BPF_PROG_TEST_RUN of a program that
// redirects them to INTERFACE of the namespace FROM. They arrive in the NAPI of the veth's other end as a
// driver's frames do, not as packets of a stack. The time is that of the frames alone, without what each call
// costs (some 20 ms). `drop`: an XDP program that drops all. `sink` and `pour`: a UDP socket that receives,
// and one that sends. The last three end with SIGTERM, or by themselves.
#include "bench.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>

#define BATCH 64
#define PAYLOAD (60 - 14 - 20 - 8)
#define FRAMES_PER_CALL 1000000ull

static volatile sig_atomic_t over;

static void end(int signal) {
  (void)signal;
  over = 1;
}

static void until_the_end(void) {
  struct sigaction action = {.sa_handler = end};

  checked(sigaction(SIGTERM, &action, NULL), "sigaction");
}

static int bpf(int command, union bpf_attr* attributes) {
  return checked((int)syscall(SYS_bpf, command, attributes, sizeof(*attributes)), "bpf");
}

static int load_xdp(const struct bpf_insn* instructions, uint32_t count) {
  union bpf_attr load = {.prog_type = BPF_PROG_TYPE_XDP,
                         .insns = (uintptr_t)instructions,
                         .insn_cnt = count,
                         .license = (uintptr_t)"Dual BSD/GPL"};

  return bpf(BPF_PROG_LOAD, &load);
}

static uint32_t index_of(const char* interface) {
  uint32_t ifindex = if_nametoindex(interface);

  if (!ifindex) die(interface);
  return ifindex;
}

/* ------------------------------------------------------------------------------------------ frames */

struct frame {
  struct ethhdr ethernet;
  struct iphdr ip;
  struct udphdr udp;
  char payload[PAYLOAD];
} __attribute__((packed));

static uint16_t checksum(const void* bytes, size_t size) {
  const uint8_t* byte = bytes;
  uint32_t sum = 0;

  for (size_t i = 0; i < size; i += 2) sum += (uint32_t)byte[i] << 8 | byte[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return htons((uint16_t)~sum);
}

static struct frame frame_to(const char* address, const char* mac) {
  struct frame frame = {
      .ethernet = {.h_source = {0x02, 0, 0, 0, 0, 1}, .h_proto = htons(ETH_P_IP)},
      .ip = {.version = 4,
             .ihl = 5,
             .ttl = 64,
             .protocol = IPPROTO_UDP,
             .tot_len = htons(sizeof(frame) - ETH_HLEN),
             .saddr = ipv4("10.0.0.1").sin_addr.s_addr,
             .daddr = ipv4(address).sin_addr.s_addr},
      .udp = {.source = htons(9), .dest = htons(9), .len = htons(8 + PAYLOAD)}, /* without a checksum */
  };
  uint8_t* to = frame.ethernet.h_dest;

  if (sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", to, to + 1, to + 2, to + 3, to + 4, to + 5) != 6) {
    fprintf(stderr, "no MAC address: %s\n", mac);
    exit(1);
  }
  frame.ip.check = checksum(&frame.ip, sizeof(frame.ip));
  return frame;
}

static int frames(char** words) {
  enter(words[0]);
  const struct bpf_insn redirect[] = {
      {.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 1, .imm = (int32_t)index_of(words[1])},
      {.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 0},
      {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect},
      {.code = BPF_JMP | BPF_EXIT},
  };
  int program = load_xdp(redirect, sizeof(redirect) / sizeof(*redirect));
  struct frame frame = frame_to(words[2], words[3]);
  uint64_t left = strtoull(words[5], NULL, 10), nanoseconds = 0;

  pin(atoi(words[4]));
  while (left) {
    uint32_t now = (uint32_t)(left < FRAMES_PER_CALL ? left : FRAMES_PER_CALL);
    struct xdp_md context = {.data_end = sizeof(frame)};
    union bpf_attr run = {.test = {.prog_fd = (uint32_t)program,
                                   .data_in = (uintptr_t)&frame,
                                   .data_size_in = sizeof(frame),
                                   .ctx_in = (uintptr_t)&context,
                                   .ctx_size_in = sizeof(context),
                                   .repeat = now,
                                   .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
                                   .batch_size = BATCH}};
    bpf(BPF_PROG_TEST_RUN, &run);
    nanoseconds += (uint64_t)run.test.duration * now + now / 2; /* of each frame, cut to a whole one */
    left -= now;
  }
  printf("%" PRIu64 "\n", nanoseconds);
  return 0;
}

static int drop(char** words) {
  const struct bpf_insn all[] = {
      {.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_DROP},
      {.code = BPF_JMP | BPF_EXIT},
  };
  enter(words[0]);
  union bpf_attr link = {.link_create = {.prog_fd = (uint32_t)load_xdp(all, 2),
                                         .target_ifindex = index_of(words[1]),
                                         .attach_type = BPF_XDP}};
  bpf(BPF_LINK_CREATE, &link); /* it ends with this process: by SIGTERM, by default */
  puts("attached");
  fflush(stdout);
  return pause();
}

/* ----------------------------------------------------------------------------------------- sockets */

static char payloads[BATCH][PAYLOAD];
static struct iovec parts[BATCH];
static struct mmsghdr messages[BATCH];

static void prepare(void) {
  for (int i = 0; i < BATCH; i++) {
    parts[i] = (struct iovec){.iov_base = payloads[i], .iov_len = PAYLOAD};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
  }
}

static struct sockaddr_in port_of(char** words) {
  struct sockaddr_in address = ipv4(words[1]);

  address.sin_port = htons((uint16_t)atoi(words[2]));
  return address;
}

static int sink(char** words) {
  struct sockaddr_in address = port_of(words);
  int size = 8 << 20, socket = socket_in(words[0], AF_INET, SOCK_DGRAM, 0);
  uint64_t received = 0;

  pin(atoi(words[3]));
  prepare();
  checked(setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)), "SO_RCVBUFFORCE");
  bind_to(socket, &address);
  limit_wait(socket, SO_RCVTIMEO, 20);
  until_the_end();
  puts("bound");
  fflush(stdout);
  while (true) {
    int more = recvmmsg(socket, messages, BATCH, MSG_WAITFORONE, NULL);
    if (more < 0 && errno != EAGAIN && errno != EINTR) die("recvmmsg");
    if (more > 0) received += (uint64_t)more;
    if (more <= 0 && over) break; /* and nothing is queued any more */
  }
  printf("%" PRIu64 "\n", received);
  return 0;
}

static int pour(char** words) {
  struct sockaddr_in address = port_of(words);
  int socket = socket_in(words[0], AF_INET, SOCK_DGRAM, 0);
  uint64_t sent = 0, start, now;

  pin(atoi(words[3]));
  prepare();
  checked(connect(socket, (struct sockaddr*)&address, sizeof(address)), "connect");
  uint64_t length = strtoull(words[4], NULL, 10) * MILLISECOND;
  for (start = now = now_ns(); now < start + length; now = now_ns())
    sent += (uint64_t)checked(sendmmsg(socket, messages, BATCH, 0), "sendmmsg");
  printf("%" PRIu64 " %" PRIu64 "\n", sent, now - start);
  return 0;
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    int words;
    int (*run)(char** words);
  } jobs[] = {{"frames", 6, frames}, {"drop", 2, drop}, {"sink", 4, sink}, {"pour", 5, pour}};

  for (size_t i = 0; argc > 1 && i < sizeof(jobs) / sizeof(*jobs); i++)
    if (!strcmp(argv[1], jobs[i].name) && argc == jobs[i].words + 2) return jobs[i].run(argv + 2);
  fprintf(stderr, "usage: see the head of flood.c\n");
  return 1;
}
