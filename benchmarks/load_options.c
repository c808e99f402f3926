/* Reads the command line. */
#include "load.h"

struct options options = {
    .clients = 1, .senders = 1, .rooms = 1, .every = 1000, .window = 512, .size = 64, .seconds = 3600, .patience = 10,
    .limit = 120,
};

void parse_options(int argc, char **argv)
{
    const struct { const char *name; unsigned *number; double *time; } known[] = {
        {"port", &options.port, NULL}, {"clients", &options.clients, NULL}, {"senders", &options.senders, NULL},
        {"messages", &options.messages, NULL}, {"rate", &options.rate, NULL}, {"window", &options.window, NULL},
        {"size", &options.size, NULL}, {"slow", &options.slow, NULL}, {"burst", &options.burst, NULL},
        {"first", &options.first, NULL}, {"rooms", &options.rooms, NULL}, {"movers", &options.movers, NULL},
        {"every", &options.every, NULL},
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
            fprintf(stderr, "load: %s is unknown or has no value; load_options.c has the options\n", argv[i]);
            exit(2);
        }
    }
    options.wire = wire_named(wire);
    unsigned readers = options.clients - options.slow - options.movers;
    if (options.wire == NULL || options.port == 0 || options.slow + options.movers >= options.clients ||
        options.senders == 0 || options.senders > readers || options.senders > 0xffff || options.size < LEAST_SIZE ||
        options.size > MOST_SIZE || (!options.wire->echoes && readers < 2 && options.messages > 0)) {
        fprintf(stderr, "load: invalid load; check --wire, --port, --clients, --senders, --slow, --movers and --size\n");
        exit(2);
    }
    if (options.rooms == 0 || readers % options.rooms != 0 || (options.slow > 0 && options.rooms > 1)) {
        fprintf(stderr, "load: all rooms have as many clients, not counting movers, and slow ones are in a single room\n");
        exit(2);
    }
    if (options.every == 0 || (options.movers > 0 && (options.rooms < 2 || options.wire->move == NULL))) {
        fprintf(stderr, "load: movers need several rooms, a protocol that lets them move, and --every\n");
        exit(2);
    }
}
