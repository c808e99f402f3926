/* The clients: they connect, give their names, and pass what they receive to the tally. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define INBOX (1 << 18)
#define LONGEST_LINE (1 << 16)

struct client *clients;
unsigned clients_in, clients_refused, clients_lost, clients_lost_slow;

static unsigned started;

unsigned residents(void)
{
    return options.clients - options.slow - options.movers;
}

static bool is_slow(unsigned index)
{
    return index >= options.clients - options.slow;
}

static bool is_mover(unsigned index)
{
    return index >= options.clients - options.movers;
}

static void watch_client(unsigned index)
{
    const struct client *client = &clients[index];
    bool reads = !(client->in && is_slow(index));
    watch(EPOLL_CTL_MOD, client->fd, (reads ? EPOLLIN : 0) | (client->blocked ? EPOLLOUT : 0), index);
}

static void start_client(unsigned index)
{
    struct client *client = &clients[index];
    client->room = client->next_room = index % options.rooms;
    snprintf(client->before_text, sizeof client->before_text, options.wire->before_text, client->room);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options.port)};
    struct linger reset = {.l_onoff = 1};   /* so that no port stays in TIME_WAIT */
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
    client->blocked = true;
    watch(EPOLL_CTL_ADD, client->fd, EPOLLIN | EPOLLOUT, index);
}

void start_clients(void)
{
    while (started < options.clients && (options.burst == 0 || started - clients_in < options.burst))
        start_client(started++);
}

static void lose(unsigned index)
{
    struct client *client = &clients[index];
    close(client->fd);
    client->closed = true;
    if (is_slow(index))
        clients_lost_slow++;
    else
        clients_lost++;
}

void flush_client(unsigned index)
{
    struct client *client = &clients[index];
    ssize_t count = send(client->fd, client->out.data, client->out.length, MSG_NOSIGNAL);
    if (count >= 0)
        buffer_drop(&client->out, count);
    else if (errno != EAGAIN) {
        lose(index);
        return;
    }
    bool blocked = client->out.length > 0;
    if (blocked != client->blocked) {
        client->blocked = blocked;
        watch_client(index);
    }
}

void say(unsigned index, const char *text)
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
    snprintf(hello, sizeof hello, options.wire->hello, options.first + index, client->room);
    say(index, hello);
    flush_client(index);
}

bool move_one(void)
{
    static unsigned moves;
    unsigned index = options.clients - 1 - moves % options.movers;   /* the one that moved longest ago */
    struct client *client = &clients[index];
    if (client->moving || client->closed)
        return false;
    char text[100];
    client->next_room = (client->room + 1) % options.rooms;
    client->moving = true;
    snprintf(text, sizeof text, options.wire->move, options.first + index, ++moves, client->next_room);
    say(index, text);
    flush_client(index);
    return true;
}

/* ---- receiving ---- */

static void go_to_next_room(unsigned index)
{
    struct client *client = &clients[index];
    if (client->room != client->next_room) {
        client->room = client->next_room;
        tally_begin_part(index);
    }
}

/* Before it is told that it is in the next room, a mover gets the rest of what is said in its room, and then the history
 * of the next one. */
static void on_message_to_mover(unsigned index, struct message message)
{
    if (message.sender % options.rooms == clients[index].next_room)
        go_to_next_room(index);
    tally_check_part(index, clients[index].room, message);
}

static void on_line(unsigned index, const char *line, size_t length)
{
    struct client *client = &clients[index];
    struct message message;
    if (client->in && message_read(line, length, options.size, &message)) {
        if (is_mover(index))
            on_message_to_mover(index, message);
        else
            tally_add(index, message, now);
        return;
    }
    if (client->in && options.wire->echoes && options.movers == 0)
        return;   /* somebody came or left */
    enum heard heard = options.wire->listen(line, length);
    if (heard != GREETING && client->first_line == 0)
        client->first_line = now;
    if (heard == READY && !client->in) {
        char enter[100];
        snprintf(enter, sizeof enter, options.wire->enter, client->room);
        say(index, enter);
        flush_client(index);
    } else if (heard == MOVED && client->in && !is_mover(index)) {
        tally_add_move(index, line, length);
    } else if (heard == IN && client->in) {
        go_to_next_room(index);
        client->moving = false;
    } else if (heard == IN) {
        client->in = true;
        clients_in++;
        if (is_slow(index))
            watch_client(index);
    } else if (heard == PING) {
        say(index, "PONG ");
        buffer_add(&client->out, line + strlen("PING "), length - strlen("PING "));
        say(index, "\r\n");
        flush_client(index);
    } else if (heard == REFUSED) {
        if (clients_refused++ == 0)
            fprintf(stderr, "load: client %u was told: %.*s\n", index, (int)length, line);
    }
}

/* Acknowledges at once. A server without TCP_NODELAY waits for the acknowledgement before it sends its next line. With
 * delayed acknowledgements, the latency would be that of two timers. */
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
        fprintf(stderr, "load: a line of the server is too long\n");
        exit(1);
    }
    client->kept.length = 0;
    buffer_add(&client->kept, line, end - line);
}

void on_client(unsigned index, uint32_t events)
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
