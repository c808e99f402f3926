/* What the parts of the load generator share. load.c says what it is for. */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"

/* ---- load_options.c ---- */

struct options {
    unsigned port, clients, senders, messages;
    unsigned first;            /* the number of the first client, by which a server knows it */
    unsigned rate;             /* messages a second; 0 for as many as the window has room for */
    unsigned window;           /* messages on their way */
    unsigned size;             /* bytes of a message */
    unsigned slow;             /* clients, the last ones, that read nothing once they are in */
    unsigned burst;            /* clients that come in at a time; 0 for all at once */
    double seconds;            /* after which nothing more is sent */
    double patience;           /* seconds without news after which what is missing is lost */
    double limit;              /* seconds for all to come in */
    const struct wire *wire;
};

extern struct options options;

void parse_options(int argc, char **argv);

/* ---- load.c: the loop, and the steps ---- */

extern uint64_t now;           /* in ns, of the last event */

uint64_t clock_ns(void);
void fail(const char *what);
void watch(int operation, int fd, uint32_t events, uint32_t about);   /* about: the number of a client */

/* ---- load_clients.c: the first ones talk, the last ones are slow ---- */

struct client {
    int fd;
    bool connected, in, closed;
    bool blocked;            /* its socket does not take anything just now */
    uint64_t asked;          /* when it gave its name, in ns */
    uint64_t first_line;     /* when the first line after the greeting came */
    struct buffer kept;      /* the beginning of a line whose rest has not come yet */
    struct buffer out;       /* what the socket did not take yet */
};

extern struct client *clients;
extern unsigned clients_in, clients_refused, clients_lost, clients_lost_slow;

void start_clients(void);
void say(unsigned index, const char *text);
void flush_client(unsigned index);
void on_client(unsigned index, uint32_t events);

/* ---- load_wire.c: how lines look ---- */

enum heard { OTHER, GREETING, READY, IN, PING, REFUSED };

struct wire {
    const char *name;
    bool echoes;                         /* a sender gets its own message, too */
    const char *hello;                   /* what a new client says; %1$u is its number, counted from options.first */
    const char *enter;                   /* its answer to READY */
    const char *before_text, *after_text;
    enum heard (*listen)(const char *line, size_t length);   /* what a line that is no message means */
};

const struct wire *wire_named(const char *name);

/* A message is text of a fixed size: who sent it, its number among those of that sender, and when, all in it. */
#define LEAST_SIZE 30
#define MOST_SIZE 400     /* what an IRC server passes on whole */

struct message {
    uint32_t sender, number;
    uint64_t sent;
};

void message_write(char *text, size_t size, struct message message);
bool message_read(const char *line, size_t length, size_t size, struct message *message);

/* ---- load_tally.c: what arrived, in which order, how late ---- */

void tally_begin(uint32_t client_count, uint32_t sender_count);
void tally_add(uint32_t client, struct message message, uint64_t now);

extern uint64_t tally_received;          /* copies of messages, all clients together */
extern uint64_t tally_out_of_order;      /* copies that were not the next one of their sender */

uint64_t tally_latency(double quantile); /* in ns */
uint32_t tally_orders(uint32_t first, uint32_t end);   /* in how many different orders these clients got it all */

#endif
