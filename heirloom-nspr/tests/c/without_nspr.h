/* Common to the test programs of heirloom.h. */
#ifndef WITHOUT_NSPR_H
#define WITHOUT_NSPR_H

#include <heirloom.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))
/* The call fails with that kind of error, and a text. */
#define FAILS(call, kind) \
    do { \
        CHECK(call); \
        CHECK(heirloom_last_error() == (kind)); \
        CHECK(strlen(heirloom_last_message()) > 10); \
    } while (0)
#define SECOND INT64_C(1000000000)

static const char *program;

static inline void check_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: check failed: %s (last error %d, errno %d: %s)\n", file, line, what,
            heirloom_last_error(), heirloom_last_errno(), heirloom_last_message());
    exit(1);
}

static inline heirloom_command *child(const char *what)
{
    heirloom_command *command = heirloom_command_new(program);
    CHECK(command != NULL && heirloom_command_arg(command, what) == 0);
    return command;
}

static inline heirloom_child *start(heirloom_command *command)
{
    heirloom_child *started = heirloom_command_spawn(command);
    CHECK(started != NULL);
    heirloom_command_free(command);
    return started;
}

static inline void end(heirloom_child *started, int expected)
{
    int code = -1;
    CHECK(heirloom_child_wait(started, &code) == 0);
    CHECK(code == expected);
    heirloom_child_free(started);
}

#endif
