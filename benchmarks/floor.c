/* The floor: the cost of passing lines on as they come. It is a bare epoll loop without hooks and without a log; its
 * only limit is that of a backlog. It implements as much of the line protocol as a client needs to enter a room. It also
 * gathers: everything that has arrived for a room goes out with one send for each client there.
 *
 *     floor PORT
 */
#define _GNU_SOURCE   /* accept4 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buffer.h"

#define MOST_CLIENTS 65536          /* the array is indexed by descriptor */
#define MOST_ROOMS 4096
#define EVENTS 1024
#define INBOX 65536
#define LONGEST_LINE 4096
#define MOST_BACKLOG (1 << 20)

struct client {
    int fd;
    struct room *room;
    unsigned place;                 /* its index in `members` of the room */
    char name[33];                  /* empty until it has one */
    struct buffer kept;             /* an unfinished line */
    struct buffer backlog;          /* the data that the socket did not take */
};

struct room {
    struct client **members;
    unsigned member_count, capacity;
    struct buffer gathered;         /* the lines that everyone here gets next */
};

static struct client *by_fd[MOST_CLIENTS];
static struct room rooms[1 + MOST_ROOMS];      /* the lobby, and those of the load generator: bench0, bench1, ... */
static struct room *busy[1 + MOST_ROOMS];      /* those with something to send */
static unsigned busy_count;
static int poller, listener;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(poller, operation, fd, &event) < 0)
        fail("epoll_ctl");
}

/* Gathers a line for the room of the client. */
static void gather(struct client *client, const char *before, const char *between, const char *text, size_t length)
{
    struct buffer *gathered = &client->room->gathered;
    if (gathered->length == 0)
        busy[busy_count++] = client->room;
    buffer_add(gathered, before, strlen(before));
    buffer_add(gathered, client->name, strlen(client->name));
    buffer_add(gathered, between, strlen(between));
    buffer_add(gathered, text, length);
    buffer_add(gathered, "\n", 1);
}

static void enter(struct client *client, struct room *room)
{
    if (room->member_count == room->capacity) {
        room->capacity = 2 * room->capacity + 8;
        room->members = realloc(room->members, room->capacity * sizeof *room->members);
        if (room->members == NULL)
            fail("realloc");
    }
    client->room = room;
    client->place = room->member_count;
    room->members[room->member_count++] = client;
    gather(client, "* ", " joined", "", 0);
}

static void leave_room(struct client *client)
{
    struct room *room = client->room;
    room->members[client->place] = room->members[--room->member_count];
    room->members[client->place]->place = client->place;
    gather(client, "* ", " left", "", 0);
}

static void leave(struct client *client)
{
    if (client->name[0] != '\0')
        leave_room(client);
    by_fd[client->fd] = NULL;
    close(client->fd);
    buffer_free(&client->kept);
    buffer_free(&client->backlog);
    free(client);
}

/* Returns false if the client is gone. */
static bool put(struct client *client, const char *data, size_t length)
{
    ssize_t count = 0;
    if (client->backlog.length == 0) {
        count = send(client->fd, data, length, MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN) {
            leave(client);
            return false;
        }
        count = count < 0 ? 0 : count;
        if ((size_t)count == length)
            return true;
        watch(EPOLL_CTL_MOD, client->fd, EPOLLIN | EPOLLOUT);
    }
    if (client->backlog.length + length - count > MOST_BACKLOG) {
        leave(client);
        return false;
    }
    buffer_add(&client->backlog, data + count, length - count);
    return true;
}

static void drain(struct client *client)
{
    ssize_t count = send(client->fd, client->backlog.data, client->backlog.length, MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN) {
        leave(client);
        return;
    }
    if (count > 0)
        buffer_drop(&client->backlog, count);
    if (client->backlog.length == 0)
        watch(EPOLL_CTL_MOD, client->fd, EPOLLIN);
}

static void broadcast(struct room *room)
{
    struct buffer batch = room->gathered;
    room->gathered = (struct buffer){0};
    for (unsigned i = 0; i < room->member_count;)
        if (put(room->members[i], batch.data, batch.length))
            i++;   /* if this client left, another one has its place now */
    buffer_free(&batch);
}

/* A room where somebody left meanwhile is busy again, at most once: its turn is the next one. */
static void broadcast_all(void)
{
    static struct room *now[1 + MOST_ROOMS];
    unsigned count = busy_count;
    memcpy(now, busy, count * sizeof *now);
    busy_count = 0;
    for (unsigned i = 0; i < count; i++)
        broadcast(now[i]);
}

/* Returns false if the client is gone. */
static bool answer(struct client *client, const char *before, const char *what)
{
    char line[100];
    int size = snprintf(line, sizeof line, "%s%s\n", before, what);
    return put(client, line, size);
}

/* Returns false if the client is gone. */
static bool move(struct client *client, const char *line, size_t length)
{
    char text[sizeof client->name];
    unsigned number;
    snprintf(text, sizeof text, "%.*s", (int)length, line);
    if (sscanf(text, "/join bench%u", &number) != 1 || number >= MOST_ROOMS)
        return answer(client, "* there is only ", "/join");
    leave_room(client);
    enter(client, &rooms[1 + number]);
    return answer(client, "* you are in ", text + strlen("/join "));
}

/* Returns false if the client is gone. */
static bool hear(struct client *client, const char *line, size_t length)
{
    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (client->name[0] != '\0' && length > 0 && line[0] == '/')
        return move(client, line, length);
    if (client->name[0] != '\0') {
        gather(client, "", ": ", line, length);
        return true;
    }
    if (length == 0)
        return true;
    snprintf(client->name, sizeof client->name, "%.*s", (int)length, line);
    enter(client, &rooms[0]);
    return answer(client, "* welcome, ", client->name);
}

static void receive(struct client *client)
{
    static char inbox[LONGEST_LINE + INBOX];
    size_t kept = client->kept.length;
    if (kept > 0)
        memcpy(inbox, client->kept.data, kept);
    ssize_t count = recv(client->fd, inbox + kept, INBOX, 0);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        leave(client);
        return;
    }
    const char *line = inbox, *end = inbox + kept + count, *line_end;
    while ((line_end = memchr(line, '\n', end - line)) != NULL) {
        if (!hear(client, line, line_end - line))
            return;
        line = line_end + 1;
    }
    if (end - line > LONGEST_LINE) {
        leave(client);
        return;
    }
    client->kept.length = 0;
    buffer_add(&client->kept, line, end - line);
}

static void accept_all(void)
{
    int fd, yes = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct client *client = calloc(1, sizeof *client);
        if (client == NULL || fd >= MOST_CLIENTS)
            fail("accept");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        client->fd = fd;
        by_fd[fd] = client;
        watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

static void on_event(int fd, uint32_t events)
{
    if (fd == listener)
        accept_all();
    else {
        if (events & EPOLLOUT && by_fd[fd] != NULL)
            drain(by_fd[fd]);
        if (events & (EPOLLIN | EPOLLERR | EPOLLHUP) && by_fd[fd] != NULL)
            receive(by_fd[fd]);
    }
}

static void run(void)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++)
            on_event(events[i].data.fd, events[i].events);
        broadcast_all();
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 1024)};
    struct rlimit files;
    int yes = 1;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    poller = epoll_create1(0);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 4096) < 0)
        fail("listen");
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    run();
}
