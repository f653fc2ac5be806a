// The traffic of bench/compare: TCP streams, UDP datagrams at a set rate or flat out, and receivers that count them.
//
//   blast tcp-receive ADDRESS PORT STREAMS                       ends with the last stream
//   blast tcp-send ADDRESS PORT STREAMS SECONDS
//   blast udp-receive ADDRESS PORT RUN                           ends when told to by SIGTERM and nothing more comes
//   blast udp-send ADDRESS PORT RUN SIZE RATE SECONDS            RATE in datagrams per second; 0: as fast as it can
//
// A receiver prints "ready" first. Each prints what it counted as one line of JSON. RUN is a number that tells the
// datagrams of one measurement from stragglers of the one before.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  MAX_STREAMS = 64,
  BLOCK = 128 << 10,
  BATCH = 64,
  MAX_DATAGRAM = 2048,
  SEQUENCES = 1 << 27,
  RECEIVE_BUFFER = 8 << 20
};

// The sender wakes up this much apart at most rates; a datagram at a time would leave it no time but for waking up.
static const int64_t pause_ns = 50000;
// What a sender that was kept from running makes up for at once. More would be a burst of its own making.
static const int64_t most_overdue = 64;

struct stamp {
  uint64_t run, sequence;
};

static volatile sig_atomic_t is_told_to_end;

static void on_signal(int number) {
  (void)number;
  is_told_to_end = 1;
}

static void die(const char* what) {
  fprintf(stderr, "blast: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void sleep_until(int64_t moment) {
  const struct timespec time = {moment / 1000000000LL, moment % 1000000000LL};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

static int open_socket(int kind, const char* address, const char* port, struct sockaddr_in* where) {
  *where = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  if (inet_pton(AF_INET, address, &where->sin_addr) != 1) {
    errno = EINVAL;
    die(address);
  }
  const int fd = socket(AF_INET, kind | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  return fd;
}

static void bind_to(int fd, const struct sockaddr_in* where) {
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(fd, (const struct sockaddr*)where, sizeof *where) < 0) die("bind");
}

static void say_ready(void) {
  puts("ready");
  fflush(stdout);
}

// --- TCP

static int tcp_receive(const char* address, const char* port, int streams) {
  static char block[BLOCK];
  struct sockaddr_in where;
  struct pollfd open[MAX_STREAMS];
  const int listener = open_socket(SOCK_STREAM, address, port, &where);
  bind_to(listener, &where);
  if (listen(listener, MAX_STREAMS) < 0) die("listen");
  say_ready();
  for (int i = 0; i < streams; ++i) {
    open[i] = (struct pollfd){.fd = accept(listener, NULL, NULL), .events = POLLIN};
    if (open[i].fd < 0) die("accept");
  }
  int64_t first = 0, last = 0;
  uint64_t bytes = 0;
  for (int left = streams; left;) {
    if (poll(open, (nfds_t)streams, -1) < 0) die("poll");
    for (int i = 0; i < streams; ++i) {
      if (!open[i].revents) continue;
      const ssize_t size = recv(open[i].fd, block, sizeof block, MSG_DONTWAIT);
      if (size < 0 && errno == EAGAIN) continue;
      if (size < 0) die("recv");
      if (size == 0) {
        open[i].fd = -1;  // poll passes over it
        --left;
        continue;
      }
      last = now();
      if (!first) first = last;
      bytes += (uint64_t)size;
    }
  }
  printf("{\"bytes\": %llu, \"seconds\": %.6f}\n", (unsigned long long)bytes, (double)(last - first) / 1e9);
  return 0;
}

static int tcp_send(const char* address, const char* port, int streams, double seconds) {
  static char block[BLOCK];
  struct sockaddr_in where;
  struct pollfd open[MAX_STREAMS];
  for (int i = 0; i < streams; ++i) {
    open[i] = (struct pollfd){.fd = open_socket(SOCK_STREAM, address, port, &where), .events = POLLOUT};
    if (connect(open[i].fd, (struct sockaddr*)&where, sizeof where) < 0) die("connect");
  }
  for (const int64_t end = now() + (int64_t)(seconds * 1e9); now() < end;) {
    // Not for ever: a path that carries nothing must not keep the sender here.
    if (poll(open, (nfds_t)streams, 100) < 0) die("poll");
    for (int i = 0; i < streams; ++i) {
      if (open[i].revents && send(open[i].fd, block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        die("send");
    }
  }
  unsigned long retransmits = 0;
  for (int i = 0; i < streams; ++i) {
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    getsockopt(open[i].fd, IPPROTO_TCP, TCP_INFO, &info, &size);
    retransmits += info.tcpi_total_retrans;
    close(open[i].fd);
  }
  printf("{\"retransmits\": %lu}\n", retransmits);
  return 0;
}

// --- UDP

static int udp_receive(const char* address, const char* port, uint64_t run) {
  static char data[BATCH][MAX_DATAGRAM];
  static uint8_t seen[SEQUENCES / 8];
  struct sockaddr_in where;
  struct mmsghdr messages[BATCH];
  struct iovec pieces[BATCH];
  const int fd = open_socket(SOCK_DGRAM, address, port, &where);
  // What waits for this program was delivered: its buffer must not be what overflows. FORCE needs root outside of user
  // namespaces.
  const int room = RECEIVE_BUFFER;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  const struct timeval wait = {.tv_usec = 50000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  bind_to(fd, &where);
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < BATCH; ++i) {
    pieces[i] = (struct iovec){data[i], MAX_DATAGRAM};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  signal(SIGTERM, on_signal);
  say_ready();
  uint64_t delivered = 0, duplicates = 0, reordered = 0, highest = 0;
  int64_t first = 0, last = 0, told = 0;
  for (int silences = 0;;) {
    const int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
    if (count < 0 && errno != EAGAIN && errno != EINTR) die("recvmmsg");
    const int64_t time = now();
    if (is_told_to_end) {
      if (!told) told = time;
      silences = count < 0 && errno == EAGAIN ? silences + 1 : 0;
      if (silences == 2 || time - told > 2000000000LL) break;
    }
    for (int i = 0; i < count; ++i) {
      struct stamp stamp;
      if (messages[i].msg_len < sizeof stamp) continue;
      memcpy(&stamp, data[i], sizeof stamp);
      if (stamp.run != run || stamp.sequence >= SEQUENCES) continue;
      const uint8_t bit = (uint8_t)(1 << stamp.sequence % 8);
      if (seen[stamp.sequence / 8] & bit) {
        ++duplicates;
        continue;
      }
      seen[stamp.sequence / 8] |= bit;
      ++delivered;
      if (stamp.sequence < highest)
        ++reordered;
      else
        highest = stamp.sequence;
      last = time;
      if (!first) first = time;
    }
  }
  printf("{\"delivered\": %llu, \"duplicates\": %llu, \"reordered\": %llu, \"seconds\": %.6f}\n",
         (unsigned long long)delivered, (unsigned long long)duplicates, (unsigned long long)reordered,
         (double)(last - first) / 1e9);
  return 0;
}

static int udp_send(const char* address, const char* port, uint64_t run, size_t size, double rate, double seconds) {
  static char datagram[MAX_DATAGRAM];
  struct sockaddr_in where;
  if (size < sizeof(struct stamp) || size > sizeof datagram) {
    errno = EINVAL;
    die("SIZE");
  }
  const int fd = open_socket(SOCK_DGRAM, address, port, &where);
  if (connect(fd, (struct sockaddr*)&where, sizeof where) < 0) die("connect");
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  struct stamp stamp = {.run = run};
  const int64_t began = now(), end = began + (int64_t)(seconds * 1e9);
  const double apart = rate > 0 ? 1e9 / rate : 0;
  double due = (double)began;
  int64_t time = began;
  while (time < end) {
    int64_t burst = 16;
    if (rate > 0) {
      if ((double)time - due > apart * (double)most_overdue) due = (double)time - apart * (double)most_overdue;
      burst = due <= (double)time ? (int64_t)(((double)time - due) / apart) + 1 : 0;
      due += apart * (double)burst;
    }
    for (; burst > 0; --burst, ++stamp.sequence) {
      memcpy(datagram, &stamp, sizeof stamp);
      // What the stack refuses was sent and lost, as far as the receiver can tell.
      send(fd, datagram, size, 0);
    }
    if (rate > 0) sleep_until((int64_t)due > time + pause_ns ? (int64_t)due : time + pause_ns);
    time = now();
  }
  printf("{\"sent\": %llu, \"seconds\": %.6f}\n", (unsigned long long)stamp.sequence, (double)(time - began) / 1e9);
  return 0;
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  if (!strcmp(what, "tcp-receive") && argc == 5) return tcp_receive(argv[2], argv[3], atoi(argv[4]));
  if (!strcmp(what, "tcp-send") && argc == 6) return tcp_send(argv[2], argv[3], atoi(argv[4]), atof(argv[5]));
  if (!strcmp(what, "udp-receive") && argc == 5) return udp_receive(argv[2], argv[3], strtoull(argv[4], NULL, 10));
  if (!strcmp(what, "udp-send") && argc == 8) {
    return udp_send(argv[2], argv[3], strtoull(argv[4], NULL, 10), (size_t)atol(argv[5]), atof(argv[6]), atof(argv[7]));
  }
  fprintf(stderr, "blast: the first lines of blast.c tell how it is called\n");
  return 2;
}
