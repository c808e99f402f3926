/* A load generator for chat servers: N clients in one room, S of which talk, and every copy that arrives is counted,
 * timed and checked for its place in the order.
 *
 *     load --port 1024 --clients 500 --senders 10 --messages 100000
 *
 * One thread, epoll, non-blocking sockets. It works in three steps, so that whoever started it can look at the server
 * in between: it prints "in" when all clients are in the room, "done" when every message has reached everyone, and at
 * the end what it found, as JSON. After "in" and "done" it waits for a line on its standard input. Idle clients are
 * clients without messages: then the time between "in" and that line is theirs.
 *
 * Saturated, as many messages are on their way as the window has; with --rate they are sent at fixed times.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define SECOND 1000000000ull
#define INBOX (1 << 18)
#define LONGEST_LINE (1 << 16)
#define EVENTS 1024

/* What an event of epoll is about, if not about the client of that number. */
enum { ON_STDIN = 0x80000000u, ON_TIMER };

static struct {
    unsigned port, clients, senders, messages, rate, window, size, slow, burst;
    double seconds, patience, limit;
    const struct wire *wire;
} options = {
    .window = 512, .size = 64, .clients = 1, .senders = 1, .burst = 0, .seconds = 3600, .patience = 10, .limit = 120,
};

static enum { JOINING, WAITING, WORKING, DONE, OVER } step;
static struct client *clients;
static int poller, timer;
static unsigned started, in, refused, lost, lost_slow;
static uint64_t target, sent, now;
static uint64_t beginning, all_in, work_began, work_ended, last_progress;
static double cpu_before, cpu_of_work;

static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t clock_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void watch(int operation, int fd, uint32_t events, uint32_t about)
{
    struct epoll_event event = {.events = events, .data.u32 = about};
    if (epoll_ctl(poller, operation, fd, &event) < 0)
        fail("epoll_ctl");
}

/* ---- clients: the first ones talk, the last ones are slow ---- */

static bool is_slow(unsigned index)
{
    return index >= options.clients - options.slow;
}

static void watch_client(unsigned index)
{
    const struct client *client = &clients[index];
    bool reads = !(client->in && is_slow(index)), writes = !client->connected || client->out.length > 0;
    watch(EPOLL_CTL_MOD, client->fd, (reads ? EPOLLIN : 0) | (writes ? EPOLLOUT : 0), index);
}

static void start_client(unsigned index)
{
    struct client *client = &clients[index];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options.port)};
    struct linger reset = {.l_onoff = 1};   /* at the end no port is left waiting */
    int yes = 1, least = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client->fd < 0)
        fail("socket");
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (is_slow(index))
        setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        fail("connect");
    watch(EPOLL_CTL_ADD, client->fd, EPOLLIN | EPOLLOUT, index);
}

static void start_clients(void)
{
    while (started < options.clients && (options.burst == 0 || started - in - refused - lost < options.burst))
        start_client(started++);
}

static void lose(unsigned index)
{
    struct client *client = &clients[index];
    close(client->fd);
    client->closed = true;
    if (is_slow(index))
        lost_slow++;
    else
        lost++;
}

static void flush_client(unsigned index)
{
    struct client *client = &clients[index];
    bool waited = client->out.length > 0;
    ssize_t count = send(client->fd, client->out.data, client->out.length, MSG_NOSIGNAL);
    if (count >= 0)
        buffer_drop(&client->out, count);
    else if (errno != EAGAIN) {
        lose(index);
        return;
    }
    if (waited || client->out.length > 0)
        watch_client(index);
}

static void say(unsigned index, const char *text)
{
    buffer_add(&clients[index].out, text, strlen(text));
}

static void on_connected(unsigned index)
{
    struct client *client = &clients[index];
    int error = 0;
    socklen_t size = sizeof error;
    char hello[100];
    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        errno = error;
        fail("connect");
    }
    client->connected = true;
    client->asked = now;
    snprintf(hello, sizeof hello, options.wire->hello, index);
    say(index, hello);
    flush_client(index);
}

/* ---- what they hear ---- */

static void on_line(unsigned index, const char *line, size_t length)
{
    struct client *client = &clients[index];
    struct message message;
    if (client->in && message_read(line, length, options.size, &message)) {
        tally_add(index, message, now);
        return;
    }
    if (client->in && options.wire->echoes)
        return;   /* somebody came or left */
    enum heard heard = options.wire->listen(line, length);
    if (heard != GREETING && client->first_line == 0)
        client->first_line = now;
    if (heard == READY && !client->in) {
        say(index, options.wire->enter);
        flush_client(index);
    } else if (heard == IN && !client->in) {
        client->in = true;
        in++;
        last_progress = now;
        if (is_slow(index))
            watch_client(index);
    } else if (heard == PING) {
        say(index, "PONG ");
        buffer_add(&client->out, line + strlen("PING "), length - strlen("PING "));
        say(index, "\r\n");
        flush_client(index);
    } else if (heard == REFUSED) {
        if (refused++ == 0)
            fprintf(stderr, "load: client %u was told: %.*s\n", index, (int)length, line);
    }
}

/* At once: a server without TCP_NODELAY waits for it with its next line, and a client of its own would wait as well, so
 * that its latency would be that of two timers. */
static void acknowledge(const struct client *client)
{
    int yes = 1;
    setsockopt(client->fd, IPPROTO_TCP, TCP_QUICKACK, &yes, sizeof yes);
}

static void on_input(unsigned index)
{
    static char inbox[LONGEST_LINE + INBOX];
    struct client *client = &clients[index];
    size_t kept = client->kept.length;
    memcpy(inbox, client->kept.data ? client->kept.data : inbox, kept);
    ssize_t count = recv(client->fd, inbox + kept, INBOX, 0);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        lose(index);
        return;
    }
    now = clock_ns();
    if (options.rate > 0)
        acknowledge(client);
    const char *line = inbox, *end = inbox + kept + count, *line_end;
    while ((line_end = memchr(line, '\n', end - line)) != NULL && !client->closed) {
        size_t length = line_end - line;
        on_line(index, line, length > 0 && line_end[-1] == '\r' ? length - 1 : length);
        line = line_end + 1;
    }
    if (end - line > LONGEST_LINE) {
        fprintf(stderr, "load: a line without an end\n");
        exit(1);
    }
    client->kept.length = 0;
    buffer_add(&client->kept, line, end - line);
}

static void on_client(unsigned index, uint32_t events)
{
    struct client *client = &clients[index];
    if (client->closed)
        return;
    if (!client->connected && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        on_connected(index);
    if (!client->closed && events & EPOLLIN)
        on_input(index);
    else if (!client->closed && events & (EPOLLERR | EPOLLHUP))
        lose(index);
    if (!client->closed && client->out.length > 0 && events & EPOLLOUT)
        flush_client(index);
}

/* ---- what they say ---- */

static unsigned copies(void)
{
    return options.clients - options.slow - !options.wire->echoes;
}

static void send_messages(uint64_t count)
{
    static bool spoke[1 << 16];
    for (; count > 0; count--, sent++) {
        char text[MOST_SIZE + 1];
        unsigned sender = sent % options.senders;
        message_write(text, options.size, (struct message){sender, sent / options.senders, now});
        text[options.size] = '\0';
        if (clients[sender].closed)
            continue;   /* it will be missing */
        say(sender, options.wire->before_text);
        say(sender, text);
        say(sender, options.wire->after_text);
        spoke[sender] = true;
    }
    for (unsigned sender = 0; sender < options.senders; sender++)
        if (spoke[sender]) {
            spoke[sender] = false;
            if (!clients[sender].closed)
                flush_client(sender);
        }
}

/* As many as the window has room for; the copies that arrived tell how many messages did. */
static void fill_window(void)
{
    uint64_t most = tally_received / copies() + options.window;
    if (most > target)
        most = target;
    if (most > sent)
        send_messages(most - sent);
}

static void on_timer(void)
{
    uint64_t ticks;
    if (read(timer, &ticks, sizeof ticks) != sizeof ticks || step != WORKING)
        return;
    now = clock_ns();
    send_messages(ticks < target - sent ? ticks : target - sent);
}

static void start_timer(void)
{
    uint64_t pause = SECOND / options.rate;
    struct timespec time = {pause / SECOND, pause % SECOND};
    struct itimerspec times = {time, time};
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (timer < 0 || timerfd_settime(timer, 0, &times, NULL) < 0)
        fail("timerfd");
    watch(EPOLL_CTL_ADD, timer, EPOLLIN, ON_TIMER);
}

/* ---- from one step to the next ---- */

static void announce(const char *what)
{
    printf("%s\n", what);
    fflush(stdout);
}

static void begin_work(void)
{
    step = WORKING;
    cpu_before = cpu_seconds();
    now = work_began = last_progress = clock_ns();
    target = options.messages;
    if (options.rate > 0)
        start_timer();
}

static void report(void)
{
    uint64_t expected = sent * copies(), longest = 0;
    for (unsigned i = 0; i < options.clients; i++) {
        uint64_t waited = clients[i].first_line - clients[i].asked;
        longest = clients[i].first_line && waited > longest ? waited : longest;
    }
    printf("{\"clients\": %u, \"in_seconds\": %.6f, \"told_seconds\": %.6f, \"first_line_seconds\": %.6f, ", in,
           (all_in - beginning) / 1e9, (work_ended - beginning) / 1e9, longest / 1e9);
    printf("\"sent\": %lu, \"expected\": %lu, \"received\": %lu, \"missing\": %lu, \"duplicated\": %lu, ", sent, expected,
           tally_received, expected > tally_received ? expected - tally_received : 0,
           tally_received > expected ? tally_received - expected : 0);
    printf("\"out_of_order\": %lu, \"orders\": %u, \"lost_clients\": %u, \"lost_slow\": %u, ", tally_out_of_order,
           tally_orders(options.wire->echoes ? 0 : options.senders, options.clients - options.slow), lost, lost_slow);
    printf("\"seconds\": %.6f, \"cpu_seconds\": %.6f, \"p50_seconds\": %.9f, \"p99_seconds\": %.9f}\n",
           (work_ended - work_began) / 1e9, cpu_of_work, tally_latency(0.5) / 1e9, tally_latency(0.99) / 1e9);
}

static void on_stdin(void)
{
    char line[100];
    if (read(STDIN_FILENO, line, sizeof line) <= 0)
        exit(1);   /* nobody is interested any more */
    if (step == WAITING)
        begin_work();
    else if (step == DONE) {
        report();
        step = OVER;
    }
}

static void join_on(void)
{
    start_clients();
    if (in == options.clients) {
        all_in = clock_ns();
        step = WAITING;
        announce("in");
    } else if (refused + lost + lost_slow > 0 || clock_ns() - beginning > options.limit * SECOND) {
        fprintf(stderr, "load: %u of %u clients got in within %.1f s; %u refused, %u lost\n", in, options.clients,
                (clock_ns() - beginning) / 1e9, refused, lost + lost_slow);
        exit(3);
    }
}

static void work_on(void)
{
    static uint64_t before;
    now = clock_ns();
    if (tally_received > before || (options.rate > 0 && sent < target))
        last_progress = now;
    before = tally_received;
    if (now - work_began > options.seconds * SECOND)
        target = sent;
    if (options.rate == 0 && sent < target)
        fill_window();
    if ((sent == target && tally_received >= sent * copies()) || now - last_progress > options.patience * SECOND) {
        work_ended = clock_ns();
        cpu_of_work = cpu_seconds() - cpu_before;
        step = DONE;
        announce("done");
    }
}

static void run(void)
{
    struct epoll_event events[EVENTS];
    beginning = clock_ns();
    while (step != OVER) {
        if (step == JOINING)
            join_on();
        else if (step == WORKING)
            work_on();
        int count = epoll_wait(poller, events, EVENTS, step == JOINING || step == WORKING ? 100 : -1);
        if (count < 0 && errno != EINTR)
            fail("epoll_wait");
        now = clock_ns();
        for (int i = 0; i < count; i++) {
            uint32_t about = events[i].data.u32;
            if (about == ON_STDIN)
                on_stdin();
            else if (about == ON_TIMER)
                on_timer();
            else
                on_client(about, events[i].events);
        }
    }
}

/* ---- the command line ---- */

static void parse_options(int argc, char **argv)
{
    const struct { const char *name; unsigned *number; double *time; } known[] = {
        {"port", &options.port, NULL}, {"clients", &options.clients, NULL}, {"senders", &options.senders, NULL},
        {"messages", &options.messages, NULL}, {"rate", &options.rate, NULL}, {"window", &options.window, NULL},
        {"size", &options.size, NULL}, {"slow", &options.slow, NULL}, {"burst", &options.burst, NULL},
        {"seconds", NULL, &options.seconds}, {"patience", NULL, &options.patience}, {"limit", NULL, &options.limit},
    };
    const char *wire = "line";
    for (int i = 1; i < argc; i += 2) {
        bool found = false;
        if (i + 1 < argc && strcmp(argv[i], "--wire") == 0) {
            wire = argv[i + 1];
            found = true;
        }
        for (size_t k = 0; i + 1 < argc && k < sizeof known / sizeof *known && !found; k++)
            if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, known[k].name) == 0) {
                if (known[k].number != NULL)
                    *known[k].number = strtoul(argv[i + 1], NULL, 10);
                else
                    *known[k].time = strtod(argv[i + 1], NULL);
                found = true;
            }
        if (!found) {
            fprintf(stderr, "load: what is %s? The options are in load.c, each with a value.\n", argv[i]);
            exit(2);
        }
    }
    options.wire = wire_named(wire);
    unsigned readers = options.clients - options.slow;
    if (options.wire == NULL || options.port == 0 || options.slow >= options.clients || options.senders == 0 ||
        options.senders > readers || options.senders > 0xffff || options.size < LEAST_SIZE ||
        options.size > MOST_SIZE || (!options.wire->echoes && readers < 2 && options.messages > 0)) {
        fprintf(stderr, "load: that is no load: check --wire, --port, --clients, --senders, --slow and --size\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct rlimit files;
    parse_options(argc, argv);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    clients = calloc(options.clients, sizeof *clients);
    poller = epoll_create1(0);
    if (clients == NULL || poller < 0)
        fail("start");
    tally_begin(options.clients, options.senders);
    watch(EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, ON_STDIN);
    run();
    return 0;
}
