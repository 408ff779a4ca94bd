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
    printf("done\n");
    return 0;
}
