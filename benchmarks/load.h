/* The declarations that the parts of the load generator share. load.c describes it. */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"

/* ---- load_options.c ---- */

struct options {
    unsigned port, clients, senders, messages;
    unsigned first;            /* the number in the name of the first client */
    unsigned rate;             /* messages a second; 0 for as many as the window allows */
    unsigned window;           /* messages in flight */
    unsigned size;             /* bytes of a message */
    unsigned slow;             /* so many of the last clients read nothing once they are in */
    unsigned burst;            /* clients that join at a time; 0 for all at once */
    double seconds;            /* after so many seconds nothing more is sent */
    double patience;           /* after so many seconds without news, missing copies count as lost */
    double limit;              /* seconds within which all clients must join */
    const struct wire *wire;
};

extern struct options options;

void parse_options(int argc, char **argv);

/* ---- load.c: the loop, and the steps ---- */

extern uint64_t now;           /* the time of the last event, in ns */

uint64_t clock_ns(void);
void fail(const char *what);
void watch(int operation, int fd, uint32_t events, uint32_t about);   /* about: the number of a client */

/* ---- load_clients.c: the first ones talk, the last ones are slow ---- */

struct client {
    int fd;
    bool connected, in, closed;
    bool blocked;            /* its socket is full at present */
    uint64_t asked;          /* the time when it gave its name, in ns */
    uint64_t first_line;     /* the time of the first line after the greeting */
    struct buffer kept;      /* an unfinished line */
    struct buffer out;       /* the data that the socket has not taken yet */
};

extern struct client *clients;
extern unsigned clients_in, clients_refused, clients_lost, clients_lost_slow;

void start_clients(void);
void say(unsigned index, const char *text);
void flush_client(unsigned index);
void on_client(unsigned index, uint32_t events);

/* ---- load_wire.c: the format of lines ---- */

enum heard { OTHER, GREETING, READY, IN, PING, REFUSED };

struct wire {
    const char *name;
    bool echoes;                         /* whether a sender gets its own message */
    const char *hello;                   /* the first text of a client; %1$u is its number, counted from options.first */
    const char *enter;                   /* its answer to READY */
    const char *before_text, *after_text;
    enum heard (*listen)(const char *line, size_t length);   /* returns the meaning of a line that is not a message */
};

const struct wire *wire_named(const char *name);

/* A message is text of a fixed size. It has the number of its sender, its own number there, and the time. */
#define LEAST_SIZE 30
#define MOST_SIZE 400     /* the longest text that an IRC server passes on whole */

struct message {
    uint32_t sender, number;
    uint64_t sent;
};

void message_write(char *text, size_t size, struct message message);
bool message_read(const char *line, size_t length, size_t size, struct message *message);

/* ---- load_tally.c: counts, order and latency of the copies that arrive ---- */

void tally_begin(uint32_t client_count, uint32_t sender_count);
void tally_add(uint32_t client, struct message message, uint64_t now);

extern uint64_t tally_received;          /* copies that all clients have received */
extern uint64_t tally_out_of_order;      /* copies that were not the next one of their sender */

uint64_t tally_latency(double quantile); /* in ns */
uint32_t tally_orders(uint32_t first, uint32_t end);   /* the number of different orders in which these clients got the messages */

#endif
