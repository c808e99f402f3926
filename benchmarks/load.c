/* A load generator for chat servers: N clients in one room, or in several, S of which talk. It counts and times every
 * copy that arrives, and checks its place in the order.
 *
 *     load --port 1024 --clients 500 --senders 10 --messages 100000
 *
 * It has one thread, epoll and non-blocking sockets. It works in three steps, so that its parent can measure the server
 * in between. It prints "in" when all clients are in the room, "done" when every message has reached everyone, and the
 * results as JSON at the end. After "in" and "done" it waits for a line on its standard input. To measure idle clients,
 * use clients without messages, and measure between "in" and that line.
 *
 * Without --rate, the window says how many messages are in flight; with --rate, they are sent at fixed times.
 *
 * With --movers, some clients take another name and go to the next room while the others talk. Everyone else in both
 * rooms has to be told, once and at one place in the order.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define SECOND 1000000000ull
#define EVENTS 1024

/* The data of an epoll event that does not belong to a client. Other values are the number of a client. */
enum { ON_STDIN = 0x80000000u, ON_TIMER };

uint64_t now;

static enum { JOINING, WAITING, WORKING, DONE, OVER } step;
static int poller, timer;
static uint64_t target, sent, moves;
static uint64_t beginning, all_in, work_began, work_ended, last_progress;
static double cpu_before, cpu_of_work;

void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

uint64_t clock_ns(void)
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

void watch(int operation, int fd, uint32_t events, uint32_t about)
{
    struct epoll_event event = {.events = events, .data.u32 = about};
    if (epoll_ctl(poller, operation, fd, &event) < 0)
        fail("epoll_ctl");
}

/* ---- sending ---- */

/* The copies of a message. */
static unsigned copies(void)
{
    return residents() / options.rooms - !options.wire->echoes;
}

/* The copies of everything that was sent until now. */
static uint64_t expected(void)
{
    return sent * copies() + moves * LINES_OF_A_MOVE * (residents() / options.rooms);
}

static uint64_t received(void)
{
    return tally_received + tally_moves;
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
            continue;   /* the tally counts it as missing */
        say(sender, clients[sender].before_text);
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

static void move_some(void)
{
    while (options.movers > 0 && moves < sent / options.every && move_one())
        moves++;
}

/* Sends as many messages as the window allows. The number of copies that have arrived tells how many messages have. */
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

/* ---- the steps ---- */

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
    uint64_t all = expected(), arrived = received(), longest = 0;
    for (unsigned i = 0; i < options.clients; i++) {
        uint64_t waited = clients[i].first_line - clients[i].asked;
        longest = clients[i].first_line && waited > longest ? waited : longest;
    }
    printf("{\"clients\": %u, \"in_seconds\": %.6f, \"told_seconds\": %.6f, \"first_line_seconds\": %.6f, ", clients_in,
           (all_in - beginning) / 1e9, (work_ended - beginning) / 1e9, longest / 1e9);
    printf("\"sent\": %lu, \"moves\": %lu, \"expected\": %lu, \"received\": %lu, \"missing\": %lu, \"duplicated\": %lu, ",
           sent, moves, all, arrived, all > arrived ? all - arrived : 0, arrived > all ? arrived - all : 0);
    printf("\"out_of_order\": %lu, \"orders\": %u, \"lost_clients\": %u, ", tally_out_of_order,
           tally_orders(options.wire->echoes ? 0 : options.senders, residents()), clients_lost);
    printf("\"seconds\": %.6f, \"cpu_seconds\": %.6f, \"p50_seconds\": %.9f, \"p99_seconds\": %.9f}\n",
           (work_ended - work_began) / 1e9, cpu_of_work, tally_latency(0.5) / 1e9, tally_latency(0.99) / 1e9);
}

static void on_stdin(void)
{
    char line[100];
    if (read(STDIN_FILENO, line, sizeof line) <= 0)
        exit(1);   /* the parent is gone */
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
    if (clients_in == options.clients) {
        all_in = clock_ns();
        step = WAITING;
        announce("in");
    } else if (clients_refused + clients_lost + clients_lost_slow > 0 ||
               clock_ns() - beginning > options.limit * SECOND) {
        fprintf(stderr, "load: %u of %u clients joined within %.1f s; %u refused, %u lost\n", clients_in, options.clients,
                (clock_ns() - beginning) / 1e9, clients_refused, clients_lost + clients_lost_slow);
        exit(3);
    }
}

static void work_on(void)
{
    static uint64_t before;
    now = clock_ns();
    if (received() > before || (options.rate > 0 && sent < target))
        last_progress = now;
    before = received();
    if (now - work_began > options.seconds * SECOND)
        target = sent;
    if (options.rate == 0 && sent < target)
        fill_window();
    if (sent < target)
        move_some();
    bool all_there = tally_received >= sent * copies() && received() >= expected();
    if ((sent == target && all_there) || now - last_progress > options.patience * SECOND) {
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
    tally_begin(options.clients, options.senders, options.rooms);
    watch(EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, ON_STDIN);
    run();
    return 0;
}
