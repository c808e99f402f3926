/* The format of lines: trichat's line protocol, its JSON lines, and IRC. */
#define _GNU_SOURCE   /* memmem */
#include "load.h"

static bool begins(const char *line, size_t length, const char *start)
{
    size_t wanted = strlen(start);
    return length >= wanted && memcmp(line, start, wanted) == 0;
}

static enum heard listen_line(const char *line, size_t length)
{
    if (begins(line, length, "* welcome to "))
        return GREETING;
    if (begins(line, length, "* welcome, "))
        return options.rooms > 1 ? READY : IN;
    if (begins(line, length, "* you are in "))
        return IN;
    if (begins(line, length, "* v") || memmem(line, length, " is now v", 9) != NULL)   /* the names of movers */
        return MOVED;
    if (begins(line, length, "* refused") || begins(line, length, "* disconnected") || begins(line, length, "* the name"))
        return REFUSED;
    return OTHER;
}

static enum heard listen_json(const char *line, size_t length)
{
    if (begins(line, length, "{\"hello\":"))
        return GREETING;
    if (begins(line, length, "{\"entered\":"))
        return IN;
    if (begins(line, length, "{\"error\":") || begins(line, length, "{\"bye\":"))
        return REFUSED;
    return OTHER;
}

/* ":server 001 u7 :Welcome". RFC 2812, section 5, has the numbers. */
static enum heard listen_irc(const char *line, size_t length)
{
    if (begins(line, length, "PING "))
        return PING;
    if (begins(line, length, "ERROR "))
        return REFUSED;
    const char *space = memchr(line, ' ', length);
    if (space == NULL)
        return OTHER;
    length -= space - line;
    if (begins(space, length, " 376 ") || begins(space, length, " 422 "))   /* the end of the message of the day */
        return READY;
    if (begins(space, length, " 366 "))                                     /* the end of the names in the room */
        return IN;
    if (begins(space, length, " 433 ") || begins(space, length, " 471 "))   /* name taken, room full */
        return REFUSED;
    return OTHER;
}

static const struct wire WIRES[] = {
    {"line", true, "u%1$u\n", "/join bench%u\n", "", "\n", "", "/nick v%1$u-%2$u\n/join bench%3$u\n", listen_line},
    {"json", true, "{\"login\":{\"name\":\"u%1$u\"}}\n{\"join\":{\"room\":\"bench%2$u\"}}\n", "", "{\"say\":{\"text\":\"",
     "\"}}\n", "\"}}", NULL, listen_json},
    {"irc", false, "NICK u%1$u\r\nUSER u%1$u 0 * :u%1$u\r\n", "JOIN #bench%u\r\n", "PRIVMSG #bench%u :", "\r\n", "",
     NULL, listen_irc},
};

const struct wire *wire_named(const char *name)
{
    for (size_t i = 0; i < sizeof WIRES / sizeof *WIRES; i++)
        if (strcmp(WIRES[i].name, name) == 0)
            return &WIRES[i];
    return NULL;
}

/* "=m"; then sender (4 digits), number (8) and time (16), in hexadecimal; then dots up to the size. */
#define MARK "=m"

static void write_hex(char *digits, int count, uint64_t value)
{
    for (int i = count - 1; i >= 0; i--, value >>= 4)
        digits[i] = "0123456789abcdef"[value & 15];
}

static bool read_hex(const char *digits, int count, uint64_t *value)
{
    *value = 0;
    for (int i = 0; i < count; i++) {
        unsigned digit = (unsigned char)digits[i];
        if (digit - '0' < 10)
            digit -= '0';
        else if (digit - 'a' < 6)
            digit -= 'a' - 10;
        else
            return false;
        *value = *value << 4 | digit;
    }
    return true;
}

void message_write(char *text, size_t size, struct message message)
{
    memset(text, '.', size);
    memcpy(text, MARK, 2);
    write_hex(text + 2, 4, message.sender);
    write_hex(text + 6, 8, message.number);
    write_hex(text + 14, 16, message.sent);
}

bool message_read(const char *line, size_t length, size_t size, struct message *message)
{
    size_t tail = strlen(options.wire->tail);
    const char *mark = memchr(line, '=', length);
    if (mark == NULL || line + length != mark + size + tail || mark[1] != 'm' ||
        memcmp(mark + size, options.wire->tail, tail) != 0)
        return false;
    uint64_t sender, number;
    if (!read_hex(mark + 2, 4, &sender) || !read_hex(mark + 6, 8, &number) || !read_hex(mark + 14, 16, &message->sent))
        return false;
    message->sender = sender;
    message->number = number;
    return true;
}
