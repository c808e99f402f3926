/* The floor: the cost of passing lines on as they come. It is a bare epoll loop without hooks and without a log; its
 * only limit is that of a backlog. It implements as much of the line protocol as a client needs to join. It also
 * gathers: everything that has arrived goes out with one send for each client.
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

#define MOST_CLIENTS 65536          /* the arrays are indexed by descriptor */
#define EVENTS 1024
#define INBOX 65536
#define LONGEST_LINE 4096
#define MOST_BACKLOG (1 << 20)

struct client {
    int fd;
    unsigned place;                 /* its index in `members` */
    char name[33];                  /* empty until it has one */
    struct buffer kept;             /* an unfinished line */
    struct buffer backlog;          /* the data that the socket did not take */
};

static struct client *by_fd[MOST_CLIENTS];
static struct client *members[MOST_CLIENTS];
static unsigned member_count;
static struct buffer gathered;      /* the lines that everyone gets next */
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

static void gather(const char *before, const char *name, const char *between, const char *text, size_t length)
{
    buffer_add(&gathered, before, strlen(before));
    buffer_add(&gathered, name, strlen(name));
    buffer_add(&gathered, between, strlen(between));
    buffer_add(&gathered, text, length);
    buffer_add(&gathered, "\n", 1);
}

static void leave(struct client *client)
{
    if (client->name[0] != '\0') {
        members[client->place] = members[--member_count];
        members[client->place]->place = client->place;
        gather("* ", client->name, " left", "", 0);
    }
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

static void broadcast(void)
{
    struct buffer batch = gathered;
    gathered = (struct buffer){0};
    for (unsigned i = 0; i < member_count;)
        if (put(members[i], batch.data, batch.length))
            i++;   /* if this client left, another one has its place now */
    buffer_free(&batch);
}

/* Returns false if the client is gone. */
static bool hear(struct client *client, const char *line, size_t length)
{
    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (client->name[0] != '\0') {
        gather("", client->name, ": ", line, length);
        return true;
    }
    if (length == 0)
        return true;
    char welcome[sizeof client->name + 20];
    snprintf(client->name, sizeof client->name, "%.*s", (int)length, line);
    int size = snprintf(welcome, sizeof welcome, "* welcome, %s\n", client->name);
    client->place = member_count;
    members[member_count++] = client;
    gather("* ", client->name, " joined", "", 0);
    return put(client, welcome, size);
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
        if (gathered.length > 0)
            broadcast();
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
