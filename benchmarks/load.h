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
    unsigned rooms;            /* client n is in room n % rooms, and so is what it says */
    unsigned movers;           /* so many of the last clients go from room to room */
    unsigned every;            /* one of them goes, under a new name, after so many messages */
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

/* ---- load_clients.c: the first ones talk, the last ones are slow, or go from room to room ---- */

struct client {
    int fd;
    bool connected, in, closed;
    bool blocked;            /* its socket is full at present */
    unsigned room;           /* the one whose messages it gets */
    unsigned next_room;      /* where a mover goes, or is */
    bool moving;             /* it was not told yet that it is there */
    char before_text[32];    /* what comes before a message that it says */
    uint64_t asked;          /* the time when it gave its name, in ns */
    uint64_t first_line;     /* the time of the first line after the greeting */
    struct buffer kept;      /* an unfinished line */
    struct buffer out;       /* the data that the socket has not taken yet */
};

extern struct client *clients;
extern unsigned clients_in, clients_refused, clients_lost, clients_lost_slow;

void start_clients(void);
unsigned residents(void);    /* the clients that stay in one room and read */
bool move_one(void);         /* lets the next mover go; returns false if all of them are on their way */
void say(unsigned index, const char *text);
void flush_client(unsigned index);
void on_client(unsigned index, uint32_t events);

/* ---- load_wire.c: the format of lines ---- */

enum heard { OTHER, GREETING, READY, IN, MOVED, PING, REFUSED };

struct wire {
    const char *name;
    bool echoes;                         /* whether a sender gets its own message */
    const char *hello;                   /* the first text of a client; %1$u is its number, counted from options.first,
                                          * and %2$u that of its room */
    const char *enter;                   /* its answer to READY; %u is its room */
    const char *before_text, *after_text;   /* around what it says in room %u */
    const char *tail;                    /* what ends the line in which this arrives */
    const char *move;                    /* how client %1$u goes to room %3$u, where %2$u differs each time; or NULL */
    enum heard (*listen)(const char *line, size_t length);   /* returns the meaning of a line that is not a message */
};

const struct wire *wire_named(const char *name);

/* How many lines each resident of a mover's rooms gets, on average: the new name, the departure, the arrival. */
#define LINES_OF_A_MOVE 3

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

void tally_begin(uint32_t client_count, uint32_t sender_count, uint32_t room_count);
void tally_add(uint32_t client, struct message message, uint64_t now);
void tally_add_move(uint32_t client, const char *line, size_t length);

/* Movers get parts of what is said. These are checked, but not counted: each has to be gapless. */
void tally_begin_part(uint32_t client);
void tally_check_part(uint32_t client, uint32_t room, struct message message);

extern uint64_t tally_received;          /* copies of messages that all residents have received */
extern uint64_t tally_moves;             /* copies of lines about movers that they have received */
extern uint64_t tally_out_of_order;      /* copies that were not the next one of their sender */

uint64_t tally_latency(double quantile); /* in ns */
uint32_t tally_orders(uint32_t first, uint32_t end);   /* the number of different orders in which those of these clients
                                                        * that share a room got the messages: that of the worst room */

#endif
