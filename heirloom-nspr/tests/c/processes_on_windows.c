/* Starts, waits for, kills and detaches processes. This program is also its own child. */
#include "check.h"

static char self[MAX_PATH];

static PRProcess *start(char *mode, char *argument, char *const *envp, const PRProcessAttr *attr)
{
    char *args[4];
    PRProcess *process;
    args[0] = (char *)"the program's own name";
    args[1] = mode;
    args[2] = argument;
    args[3] = NULL;
    process = PR_CreateProcess(self, args, envp, attr);
    CHECK(process != NULL);
    return process;
}

static int wait_for(PRProcess *process)
{
    PRInt32 code = -1;
    CHECK(PR_WaitProcess(process, &code) == PR_SUCCESS);
    return code;
}

static int run(char *mode, char *argument, char *const *envp, const PRProcessAttr *attr)
{
    return wait_for(start(mode, argument, envp, attr));
}

/* As in NSPR, a PRProcess starts with the handle. */
static HANDLE handle_of(PRProcess *process)
{
    return *(HANDLE *)process;
}

static int runs(HANDLE handle)
{
    return WaitForSingleObject(handle, 0) == WAIT_TIMEOUT;
}

static void exit_codes_match_nspr(void)
{
    PRProcess *process;
    CHECK(run((char *)"exit", (char *)"0", NULL, NULL) == 0);
    CHECK(run((char *)"exit", (char *)"7", NULL, NULL) == 7);
    CHECK(run((char *)"exit", (char *)"255", NULL, NULL) == 255);
    CHECK(PR_WaitProcess(start((char *)"exit", (char *)"3", NULL, NULL), NULL) == PR_SUCCESS);

    process = start((char *)"wait", NULL, NULL, NULL);
    CHECK(runs(handle_of(process)) && PR_KillProcess(process) == PR_SUCCESS);
    CHECK(WaitForSingleObject(handle_of(process), INFINITE) == WAIT_OBJECT_0);
    /* It has ended and was not waited for: killing it succeeds. */
    CHECK(PR_KillProcess(process) == PR_SUCCESS && wait_for(process) == 256);
    CHECK(PR_KillProcess(process) == PR_FAILURE && PR_GetError() == PR_INVALID_ARGUMENT_ERROR);
    CHECK(PR_WaitProcess(process, NULL) == PR_FAILURE && PR_GetError() == PR_INVALID_ARGUMENT_ERROR);
}

static void arguments_and_variables_arrive_unchanged(void)
{
    char *args[] = {(char *)"own name", (char *)"arguments",  (char *)"",        (char *)"two words",
                    (char *)"a\"b",     (char *)"back\\\\\"", (char *)"end\\\\", NULL};
    char *env[] = {(char *)"A=first", (char *)"no equals sign", (char *)"a=second", (char *)"B==b", NULL};
    PRProcess *process = PR_CreateProcess(self, args, NULL, NULL);
    CHECK(process != NULL && wait_for(process) == 0);
    CHECK(SetEnvironmentVariableA("OF_THE_PARENT", "x"));
    CHECK(run((char *)"variable", (char *)"OF_THE_PARENT=x", NULL, NULL) == 0);
    CHECK(run((char *)"variable", (char *)"OF_THE_PARENT=x", env, NULL) == 1);
    CHECK(run((char *)"variable", (char *)"A=first", env, NULL) == 0);
    CHECK(run((char *)"variable", (char *)"B==b", env, NULL) == 0);
}

static void path_is_relative_to_the_new_directory(void)
{
    char directory[MAX_PATH], *name, *args[] = {(char *)"x", (char *)"exit", (char *)"4", NULL};
    PRProcessAttr *attr = PR_NewProcessAttr();
    PRProcess *process;
    strcpy(directory, self);
    name = strrchr(directory, '\\');
    *name++ = 0;
    CHECK(attr != NULL && PR_ProcessAttrSetCurrentDirectory(attr, directory) == PR_SUCCESS);
    process = PR_CreateProcess(name, args, NULL, attr);
    CHECK(process != NULL && wait_for(process) == 4);
    CHECK(PR_ProcessAttrSetCurrentDirectory(attr, A_DIRECTORY) == PR_SUCCESS);
    CHECK(run((char *)"directory", (char *)A_DIRECTORY, NULL, attr) == 0);
    CHECK(run((char *)"directory", (char *)A_DIRECTORY, NULL, NULL) == 1);
    PR_ResetProcessAttr(attr);
    CHECK(PR_CreateProcess("cmd.exe", args, NULL, attr) == NULL && PR_GetError() == PR_FILE_NOT_FOUND_ERROR);
    PR_DestroyProcessAttr(attr);
}

static void detached_process_runs_on(void)
{
    PRProcess *process = start((char *)"wait", NULL, NULL, NULL);
    HANDLE handle;
    char *args[] = {(char *)"x", (char *)"exit", (char *)"1", NULL};
    CHECK(DuplicateHandle(GetCurrentProcess(), handle_of(process), GetCurrentProcess(), &handle, 0, FALSE,
                          DUPLICATE_SAME_ACCESS));
    CHECK(PR_DetachProcess(process) == PR_SUCCESS && runs(handle));
    CHECK(PR_KillProcess(process) == PR_FAILURE && runs(handle));
    CHECK(TerminateProcess(handle, 1) && CloseHandle(handle));
    CHECK(PR_CreateProcessDetached(self, args, NULL, NULL) == PR_SUCCESS);
}

static DWORD WINAPI wait_in_thread(void *process)
{
    PRInt32 code;
    return PR_WaitProcess(process, &code) == PR_SUCCESS;
}

static void only_one_waiter_succeeds_during_kill(void)
{
    int round, i;
    for (round = 0; round < 20; round++) {
        PRProcess *process = start((char *)"wait", NULL, NULL, NULL);
        HANDLE threads[3];
        DWORD one, succeeded = 0;
        for (i = 0; i < 3; i++)
            CHECK((threads[i] = CreateThread(NULL, 0, wait_in_thread, process, 0, NULL)) != NULL);
        CHECK(PR_KillProcess(process) == PR_SUCCESS);
        for (i = 0; i < 3; i++) {
            CHECK(WaitForSingleObject(threads[i], INFINITE) == WAIT_OBJECT_0 && GetExitCodeThread(threads[i], &one));
            CHECK(CloseHandle(threads[i]));
            succeeded += one;
        }
        CHECK(succeeded == 1);
    }
}

/* Wine's GetProcessHandleCount does not count. */
static int open_handles(void)
{
    int count = 0, number;
    DWORD flags;
    for (number = 4; number < 65536; number += 4)
        count += GetHandleInformation((HANDLE)(intptr_t)number, &flags) != 0;
    return count;
}

static void process_handles_are_closed(void)
{
    int before = open_handles(), i;
    HANDLE one = CreateEventA(NULL, FALSE, FALSE, NULL);
    /* Control: another handle is counted. */
    CHECK(one != NULL && open_handles() == before + 1 && CloseHandle(one));
    for (i = 0; i < 300; i++) {
        PRProcess *process = start((char *)"exit", (char *)"0", NULL, NULL);
        if (i % 3 == 0)
            CHECK(PR_DetachProcess(process) == PR_SUCCESS);
        else
            CHECK(wait_for(process) == 0);
    }
    CHECK(open_handles() == before);
}

static int directory_is(const char *expected)
{
    char directory[MAX_PATH];
    CHECK(GetCurrentDirectoryA(sizeof directory, directory) != 0);
    return _stricmp(directory, expected) == 0;
}

int main(int argc, char **argv)
{
    own_path(self, sizeof self);
    if (argc > 2 && strcmp(argv[1], "exit") == 0)
        return atoi(argv[2]);
    if (argc > 1 && strcmp(argv[1], "wait") == 0)
        Sleep(INFINITE);
    if (argc > 2 && strcmp(argv[1], "variable") == 0) {
        char value[64] = "", *equals = strchr(argv[2], '=');
        *equals++ = 0;
        GetEnvironmentVariableA(argv[2], value, sizeof value);
        return strcmp(value, equals) != 0;
    }
    if (argc > 2 && strcmp(argv[1], "directory") == 0)
        return !directory_is(argv[2]);
    if (argc > 1 && strcmp(argv[1], "arguments") == 0) {
        CHECK(argc == 7 && strcmp(argv[0], "own name") == 0 && argv[2][0] == 0 && strcmp(argv[3], "two words") == 0);
        CHECK(strcmp(argv[4], "a\"b") == 0 && strcmp(argv[5], "back\\\\\"") == 0 && strcmp(argv[6], "end\\\\") == 0);
        return 0;
    }
    exit_codes_match_nspr();
    arguments_and_variables_arrive_unchanged();
    path_is_relative_to_the_new_directory();
    detached_process_runs_on();
    only_one_waiter_succeeds_during_kill();
    process_handles_are_closed();
    return 0;
}
