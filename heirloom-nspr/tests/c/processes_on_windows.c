/* Starting processes, waiting for them, ending them, letting them go. This program is all of them. */
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

static int waited(PRProcess *process)
{
    PRInt32 code = -1;
    CHECK(PR_WaitProcess(process, &code) == PR_SUCCESS);
    return code;
}

static int run(char *mode, char *argument, char *const *envp, const PRProcessAttr *attr)
{
    return waited(start(mode, argument, envp, attr));
}

/* As NSPR has it, what programs look at first is the handle. */
static HANDLE handle_of(PRProcess *process)
{
    return *(HANDLE *)process;
}

static int runs(HANDLE handle)
{
    return WaitForSingleObject(handle, 0) == WAIT_TIMEOUT;
}

static void exit_codes_are_nsprs(void)
{
    PRProcess *process;
    CHECK(run((char *)"exit", (char *)"0", NULL, NULL) == 0);
    CHECK(run((char *)"exit", (char *)"7", NULL, NULL) == 7);
    CHECK(run((char *)"exit", (char *)"255", NULL, NULL) == 255);
    CHECK(PR_WaitProcess(start((char *)"exit", (char *)"3", NULL, NULL), NULL) == PR_SUCCESS);

    process = start((char *)"wait", NULL, NULL, NULL);
    CHECK(runs(handle_of(process)) && PR_KillProcess(process) == PR_SUCCESS);
    CHECK(WaitForSingleObject(handle_of(process), INFINITE) == WAIT_OBJECT_0);
    /* Ended, it is nobody's yet, and nothing is left to do. */
    CHECK(PR_KillProcess(process) == PR_SUCCESS && waited(process) == 256);
    CHECK(PR_KillProcess(process) == PR_FAILURE && PR_GetError() == PR_INVALID_ARGUMENT_ERROR);
    CHECK(PR_WaitProcess(process, NULL) == PR_FAILURE && PR_GetError() == PR_INVALID_ARGUMENT_ERROR);
}

static void arguments_and_variables_arrive_as_they_are(void)
{
    char *args[] = {(char *)"own name", (char *)"arguments",  (char *)"",        (char *)"two words",
                    (char *)"a\"b",     (char *)"back\\\\\"", (char *)"end\\\\", NULL};
    char *env[] = {(char *)"A=first", (char *)"no equals sign", (char *)"a=second", (char *)"B==b", NULL};
    PRProcess *process = PR_CreateProcess(self, args, NULL, NULL);
    CHECK(process != NULL && waited(process) == 0);
    CHECK(SetEnvironmentVariableA("OF_THE_PARENT", "x"));
    CHECK(run((char *)"variable", (char *)"OF_THE_PARENT=x", NULL, NULL) == 0);
    CHECK(run((char *)"variable", (char *)"OF_THE_PARENT=x", env, NULL) == 1);
    CHECK(run((char *)"variable", (char *)"A=first", env, NULL) == 0);
    CHECK(run((char *)"variable", (char *)"B==b", env, NULL) == 0);
}

static void the_path_is_not_searched_and_counts_from_the_new_directory(void)
{
    char directory[MAX_PATH], *name, *args[] = {(char *)"x", (char *)"exit", (char *)"4", NULL};
    PRProcessAttr *attr = PR_NewProcessAttr();
    PRProcess *process;
    strcpy(directory, self);
    name = strrchr(directory, '\\');
    *name++ = 0;
    CHECK(attr != NULL && PR_ProcessAttrSetCurrentDirectory(attr, directory) == PR_SUCCESS);
    process = PR_CreateProcess(name, args, NULL, attr);
    CHECK(process != NULL && waited(process) == 4);
    CHECK(PR_ProcessAttrSetCurrentDirectory(attr, A_DIRECTORY) == PR_SUCCESS);
    CHECK(run((char *)"directory", (char *)A_DIRECTORY, NULL, attr) == 0);
    CHECK(run((char *)"directory", (char *)A_DIRECTORY, NULL, NULL) == 1);
    PR_ResetProcessAttr(attr);
    CHECK(PR_CreateProcess("cmd.exe", args, NULL, attr) == NULL && PR_GetError() == PR_FILE_NOT_FOUND_ERROR);
    PR_DestroyProcessAttr(attr);
}

static void what_is_let_go_runs_on(void)
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

static DWORD WINAPI wait_for_it(void *process)
{
    PRInt32 code;
    return PR_WaitProcess(process, &code) == PR_SUCCESS;
}

static void of_those_that_wait_one_is_told_while_another_ends_it(void)
{
    int round, i;
    for (round = 0; round < 20; round++) {
        PRProcess *process = start((char *)"wait", NULL, NULL, NULL);
        HANDLE threads[3];
        DWORD one, told = 0;
        for (i = 0; i < 3; i++)
            CHECK((threads[i] = CreateThread(NULL, 0, wait_for_it, process, 0, NULL)) != NULL);
        CHECK(PR_KillProcess(process) == PR_SUCCESS);
        for (i = 0; i < 3; i++) {
            CHECK(WaitForSingleObject(threads[i], INFINITE) == WAIT_OBJECT_0 && GetExitCodeThread(threads[i], &one));
            CHECK(CloseHandle(threads[i]));
            told += one;
        }
        CHECK(told == 1);
    }
}

/* Wine's GetProcessHandleCount counts nothing. */
static int open_handles(void)
{
    int count = 0, number;
    DWORD flags;
    for (number = 4; number < 65536; number += 4)
        count += GetHandleInformation((HANDLE)(intptr_t)number, &flags) != 0;
    return count;
}

static void many_processes_take_no_more_handles_than_few(void)
{
    int before = open_handles(), i;
    HANDLE one = CreateEventA(NULL, FALSE, FALSE, NULL);
    /* The control: one more is one more. */
    CHECK(one != NULL && open_handles() == before + 1 && CloseHandle(one));
    for (i = 0; i < 300; i++) {
        PRProcess *process = start((char *)"exit", (char *)"0", NULL, NULL);
        if (i % 3 == 0)
            CHECK(PR_DetachProcess(process) == PR_SUCCESS);
        else
            CHECK(waited(process) == 0);
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
    exit_codes_are_nsprs();
    arguments_and_variables_arrive_as_they_are();
    the_path_is_not_searched_and_counts_from_the_new_directory();
    what_is_let_go_runs_on();
    of_those_that_wait_one_is_told_while_another_ends_it();
    many_processes_take_no_more_handles_than_few();
    return 0;
}
