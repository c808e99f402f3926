/* Counts the copies that arrive, with their order and latency: one call for each, about ten nanoseconds. */
#include "load.h"

uint64_t tally_received, tally_out_of_order;

static uint32_t senders;
static uint32_t *expected;    /* for each client and sender, the number of the next message */
static uint64_t *orders;      /* for each client, a hash of everything that it got, in order */

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

void tally_begin(uint32_t client_count, uint32_t sender_count)
{
    senders = sender_count;
    expected = calloc((size_t)client_count * senders + 1, sizeof *expected);
    orders = calloc(client_count, sizeof *orders);
    if (expected == NULL || orders == NULL) {
        perror("calloc");
        exit(1);
    }
}

void tally_add(uint32_t client, struct message message, uint64_t now)
{
    tally_received++;
    orders[client] = (orders[client] ^ ((uint64_t)message.sender << 32 | message.number)) * 0x9e3779b97f4a7c15u + 1;
    latencies[class_of(now > message.sent ? now - message.sent : 0)]++;
    if (message.sender >= senders) {
        tally_out_of_order++;   /* nobody sent this */
        return;
    }
    uint32_t *next = &expected[(size_t)client * senders + message.sender];
    if (message.number != *next)
        tally_out_of_order++;
    if (message.number >= *next)
        *next = message.number + 1;
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
    uint32_t different = 0;
    for (uint32_t i = first; i < end; i++) {
        bool known = false;
        for (uint32_t j = first; j < i && !known; j++)
            known = orders[j] == orders[i];   /* without faults the first comparison already matches */
        different += !known;
    }
    return different;
}
