/* Counts the copies that arrive, with their order and latency: one call for each, about ten nanoseconds. */
#include "load.h"

uint64_t tally_received, tally_moves, tally_out_of_order;

#define ANY UINT32_MAX

static uint32_t senders, rooms;
static uint32_t senders_in_room;
static uint32_t *expected;    /* for each client and each sender of its room, the number of the next message, or ANY */
static uint64_t *orders;      /* for each client, a hash of everything that it got, in order */
static uint64_t *last_moves;  /* for each client, a hash of the last line about a move */

/* Latencies are counted in classes: 128 for each power of two. So the error of a quantile is less than one percent. */
#define CLASS_BITS 7
static uint64_t latencies[(64 - CLASS_BITS + 1) << CLASS_BITS];

static unsigned class_of(uint64_t ns)
{
    if (ns >> CLASS_BITS == 0)
        return ns;
    unsigned shift = 63 - __builtin_clzll(ns) - CLASS_BITS;
    return ((shift + 1) << CLASS_BITS) + ((ns >> shift) - (1u << CLASS_BITS));
}

static uint64_t least_of_class(unsigned class)
{
    unsigned shift = class >> CLASS_BITS;
    if (shift == 0)
        return class;
    uint64_t leading = (1u << CLASS_BITS) + (class & ((1u << CLASS_BITS) - 1));
    return leading << (shift - 1);
}

void tally_begin(uint32_t client_count, uint32_t sender_count, uint32_t room_count)
{
    senders = sender_count;
    rooms = room_count;
    senders_in_room = (senders + rooms - 1) / rooms;
    expected = calloc((size_t)client_count * senders_in_room + 1, sizeof *expected);
    orders = calloc(client_count, sizeof *orders);
    last_moves = calloc(client_count, sizeof *last_moves);
    if (expected == NULL || orders == NULL || last_moves == NULL) {
        perror("calloc");
        exit(1);
    }
}

static void check(uint32_t client, uint32_t room, struct message message)
{
    if (message.sender >= senders || message.sender % rooms != room) {
        tally_out_of_order++;   /* nobody sent this, or not in this room */
        return;
    }
    uint32_t *next = &expected[(size_t)client * senders_in_room + message.sender / rooms];
    if (message.number != *next && *next != ANY)
        tally_out_of_order++;
    if (message.number >= *next || *next == ANY)
        *next = message.number + 1;
}

static void note_order(uint32_t client, uint64_t what)
{
    orders[client] = (orders[client] ^ what) * 0x9e3779b97f4a7c15u + 1;
}

void tally_add(uint32_t client, struct message message, uint64_t now)
{
    tally_received++;
    note_order(client, (uint64_t)message.sender << 32 | message.number);
    latencies[class_of(now > message.sent ? now - message.sent : 0)]++;
    check(client, client % rooms, message);
}

/* No two lines about moves are the same, because each move has its own number. */
void tally_add_move(uint32_t client, const char *line, size_t length)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)line[i]) * 0x100000001b3u;
    tally_moves++;
    tally_out_of_order += hash == last_moves[client];
    last_moves[client] = hash;
    note_order(client, hash);
}

void tally_begin_part(uint32_t client)
{
    for (uint32_t i = 0; i < senders_in_room; i++)
        expected[(size_t)client * senders_in_room + i] = ANY;
}

void tally_check_part(uint32_t client, uint32_t room, struct message message)
{
    check(client, room, message);
}

uint64_t tally_latency(double quantile)
{
    uint64_t wanted = quantile * tally_received, seen = 0;
    for (unsigned class = 0; class < sizeof latencies / sizeof *latencies; class++) {
        seen += latencies[class];
        if (seen > wanted)
            return least_of_class(class);
    }
    return 0;
}

uint32_t tally_orders(uint32_t first, uint32_t end)
{
    uint32_t most = 0;
    for (uint32_t begin = first; begin < end && begin < first + rooms; begin++) {   /* the first ones of each room */
        uint32_t different = 0;
        for (uint32_t i = begin; i < end; i += rooms) {
            bool known = false;
            for (uint32_t j = begin; j < i && !known; j += rooms)
                known = orders[j] == orders[i];   /* without faults the first comparison already matches */
            different += !known;
        }
        most = different > most ? different : most;
    }
    return most;
}
