/* heirloom.h: the functions of channels, between a parent and its children. */
#include "without_nspr.h"

#if defined(_WIN32)
#include <process.h>
#endif

static void by_name(void)
{
    heirloom_sender *jobs, *theirs;
    heirloom_receiver *their_jobs, *answers;
    CHECK(heirloom_channel(4096, &jobs, &their_jobs) == 0 && heirloom_channel(4096, &theirs, &answers) == 0);
    CHECK(heirloom_longest_message(jobs) == 2040);
    FAILS(heirloom_channel(0, &jobs, &their_jobs) == -1, HEIRLOOM_INVALID_INPUT);
    FAILS(heirloom_channel(4096, &jobs, NULL) == -1, HEIRLOOM_INVALID_INPUT);
    heirloom_command *command = child("square");
    CHECK(heirloom_command_inherit_receiver(command, "jobs", their_jobs) == 0);
    CHECK(heirloom_command_inherit_sender(command, "answers", theirs) == 0);
    heirloom_child *started = start(command);
    for (uint32_t job = 0; job < 1000; job++) {
        uint64_t answer = 0;
        size_t len = 0;
        CHECK(heirloom_send(jobs, &job, sizeof job, 60 * SECOND) == 1);
        if (job == 0)
            FAILS(heirloom_receive(answers, &answer, 7, HEIRLOOM_FOREVER, &len) == -1, HEIRLOOM_OUT_OF_BOUNDS);
        CHECK(heirloom_receive(answers, &answer, sizeof answer, HEIRLOOM_FOREVER, &len) == 1);
        CHECK(len == sizeof answer && answer == (uint64_t)job * job);
    }
    CHECK(heirloom_receive(answers, NULL, 0, 0, NULL) == 0);
    CHECK(heirloom_receiver_arm(answers) == 1 && heirloom_sender_arm(jobs, 8) == 0);
#if defined(__linux__)
    CHECK(heirloom_receiver_fd(answers) >= 3 && heirloom_sender_fd(jobs) >= 3);
#endif
    heirloom_sender_free(jobs);
    end(started, 0);
    FAILS(heirloom_receive(answers, NULL, 0, HEIRLOOM_FOREVER, NULL) == -1, HEIRLOOM_PEER_GONE);
    heirloom_receiver_free(answers);
}

/* A child that imports what it inherits. On Windows the library's own command passes only what it names. */
#if defined(_WIN32)
typedef intptr_t importing;

static importing start_importing(const char *jobs, const char *answers)
{
    CHECK(_putenv_s("JOBS", jobs) == 0 && _putenv_s("ANSWERS", answers) == 0);
    importing started = _spawnl(_P_NOWAIT, program, program, "square", NULL);
    CHECK(started != -1);
    return started;
}

static void end_importing(importing started)
{
    int code = -1;
    CHECK(_cwait(&code, started, 0) == started && code == 0);
}
#else
typedef heirloom_child *importing;

static importing start_importing(const char *jobs, const char *answers)
{
    heirloom_command *command = child("square");
    CHECK(heirloom_command_env(command, "JOBS", jobs) == 0);
    CHECK(heirloom_command_env(command, "ANSWERS", answers) == 0);
    return start(command);
}

static void end_importing(importing started)
{
    end(started, 0);
}
#endif

static void by_export_string(void)
{
    heirloom_sender *jobs, *theirs;
    heirloom_receiver *their_jobs, *answers;
    CHECK(heirloom_channel(4096, &jobs, &their_jobs) == 0 && heirloom_channel(4096, &theirs, &answers) == 0);
    heirloom_export *exports[2] = {heirloom_receiver_export(their_jobs), heirloom_sender_export(theirs)};
    CHECK(exports[0] != NULL && exports[1] != NULL);
    FAILS(heirloom_sender_import(heirloom_export_string(exports[0])) == NULL, HEIRLOOM_WRONG_KIND);
    importing started = start_importing(heirloom_export_string(exports[0]), heirloom_export_string(exports[1]));
    heirloom_export_free(exports[0]);
    heirloom_export_free(exports[1]);
    uint32_t job = 3;
    uint64_t answer = 0;
    CHECK(heirloom_send(jobs, &job, sizeof job, 0) == 1);
    CHECK(heirloom_receive(answers, &answer, sizeof answer, HEIRLOOM_FOREVER, NULL) == 1 && answer == 9);
    heirloom_sender_free(jobs);
    end_importing(started);
    heirloom_receiver_free(answers);
}

static void in_place(void)
{
    heirloom_sender *sender;
    heirloom_receiver *receiver;
    CHECK(heirloom_channel(4096, &sender, &receiver) == 0);
    void *place = NULL;
    const void *message = NULL;
    size_t len = 0;
    /* Often enough to go round the ring several times. */
    for (unsigned int round = 0; round < 100; round++) {
        size_t long_one = 1 + round * 17 % 2040;
        CHECK(heirloom_peek(receiver, 0, &message, &len) == 0);
        CHECK(heirloom_reserve(sender, long_one, SECOND, &place) == 1);
        memset(place, (int)round, long_one);
        /* Nothing was sent yet. */
        CHECK(heirloom_consume(receiver) == 0);
        FAILS(heirloom_commit(sender, (char *)place + 8, long_one) == -1, HEIRLOOM_INVALID_INPUT);
        CHECK(heirloom_commit(sender, place, long_one) == 0);
        FAILS(heirloom_commit(sender, place, long_one) == -1, HEIRLOOM_INVALID_INPUT);
        for (int twice = 0; twice < 2; twice++) {
            CHECK(heirloom_peek(receiver, SECOND, &message, &len) == 1 && len == long_one);
            const unsigned char *bytes = message;
            CHECK(bytes[0] == (unsigned char)round && bytes[len - 1] == (unsigned char)round);
        }
        CHECK(heirloom_consume(receiver) == 1);
    }
    FAILS(heirloom_reserve(sender, 2041, 0, &place) == -1, HEIRLOOM_TOO_LARGE);
    CHECK(heirloom_send(sender, NULL, 0, 0) == 1 && heirloom_reserve(sender, 2040, 0, &place) == 1);
    CHECK(heirloom_commit(sender, place, 2040) == 0 && heirloom_reserve(sender, 2040, 0, &place) == 0);
    heirloom_sender_free(sender);
    CHECK(heirloom_consume(receiver) == 1 && heirloom_consume(receiver) == 1);
    FAILS(heirloom_consume(receiver) == -1, HEIRLOOM_PEER_GONE);
    FAILS(heirloom_peek(receiver, HEIRLOOM_FOREVER, &message, &len) == -1, HEIRLOOM_PEER_GONE);
    heirloom_receiver_free(receiver);
}

static int square(void)
{
    const char *string = getenv("JOBS");
    heirloom_receiver *jobs = string ? heirloom_receiver_import(string) : heirloom_receiver_inherited("jobs");
    string = getenv("ANSWERS");
    heirloom_sender *answers = string ? heirloom_sender_import(string) : heirloom_sender_inherited("answers");
    uint32_t job = 0;
    CHECK(jobs != NULL && answers != NULL);
    while (heirloom_receive(jobs, &job, sizeof job, HEIRLOOM_FOREVER, NULL) == 1) {
        uint64_t answer = (uint64_t)job * job;
        CHECK(heirloom_send(answers, &answer, sizeof answer, HEIRLOOM_FOREVER) == 1);
    }
    CHECK(heirloom_last_error() == HEIRLOOM_PEER_GONE);
    heirloom_receiver_free(jobs);
    heirloom_sender_free(answers);
    return 0;
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 1)
        return square();
    by_name();
    by_export_string();
    in_place();
    printf("done\n");
    return 0;
}
