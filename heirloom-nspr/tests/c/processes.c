/* Starting processes, waiting for them, ending them, letting them go. */
#include "check.h"

#include <pthread.h>
#include <sys/time.h>

/* Where a failed exec looks like a process that exits, and much is slow. */
static int under_valgrind;

static PRProcess *start(const char *path, char *first, char *second, char *const *envp, const PRProcessAttr *attr)
{
    char *args[5];
    PRProcess *process;
    args[0] = (char *)path;
    args[1] = first;
    args[2] = second;
    args[3] = NULL;
    args[4] = NULL;
    process = PR_CreateProcess(path, args, envp, attr);
    CHECK(process != NULL);
    return process;
}

static PRProcess *shell(char *script, char *const *envp, const PRProcessAttr *attr)
{
    return start("/bin/sh", (char *)"-c", script, envp, attr);
}

static int waited(PRProcess *process)
{
    PRInt32 code = -1;
    CHECK(PR_WaitProcess(process, &code) == PR_SUCCESS);
    return code;
}

static int run(char *script, char *const *envp, const PRProcessAttr *attr)
{
    return waited(shell(script, envp, attr));
}

static pid_t pid_of(PRProcess *process)
{
    return *(pid_t *)process;
}

/* Whether every thread but this one blocks that signal; how many there are. */
static int others_block(int signal, int *threads)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    int all = 1;
    CHECK(tasks != NULL);
    *threads = 0;
    while ((task = readdir(tasks)) != NULL) {
        char path[300], line[256], name[256] = "";
        unsigned long long blocked = 0;
        if (task->d_name[0] == '.' || atoi(task->d_name) == getpid())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        /* Until it has its name, a new thread still blocks all for its own start. */
        while (strcmp(name, "heirloom-reaper") != 0) {
            FILE *status = fopen(path, "r");
            CHECK(status != NULL);
            while (fgets(line, sizeof line, status) != NULL) {
                sscanf(line, "Name: %255s", name);
                sscanf(line, "SigBlk: %llx", &blocked);
            }
            fclose(status);
        }
        all &= blocked >> (signal - 1) & 1;
        ++*threads;
    }
    closedir(tasks);
    return all;
}

/* Whether there is a process of that number, which ended or not. */
static int exists(pid_t pid)
{
    return kill(pid, 0) == 0;
}

/* Waits for what must come: a process to be gone, without a trace. */
static void await_gone(pid_t pid)
{
    while (exists(pid))
        usleep(1000);
}

static void exit_codes_are_nsprs(void)
{
    char *env[] = {(char *)"A=first", (char *)"no equals sign", (char *)"A=second", (char *)"B==b", NULL};
    CHECK(run((char *)"exit 0", NULL, NULL) == 0);
    CHECK(run((char *)"exit 7", NULL, NULL) == 7);
    CHECK(run((char *)"exit 255", NULL, NULL) == 255);
    CHECK(run((char *)"kill -9 $$", NULL, NULL) == 256);
    CHECK(run((char *)"kill -15 $$", NULL, NULL) == 256);
    CHECK(PR_WaitProcess(shell((char *)"exit 3", NULL, NULL), NULL) == PR_SUCCESS);

    /* The environment is this process's own, or what is given and nothing else. */
    CHECK(setenv("OF_THE_PARENT", "x", 1) == 0);
    CHECK(run((char *)"test \"$OF_THE_PARENT\" = x", NULL, NULL) == 0);
    CHECK(run((char *)"test \"$OF_THE_PARENT$A$B\" = first=b", env, NULL) == 0);
}

static void the_path_is_not_searched_and_counts_from_the_new_directory(void)
{
    PRProcessAttr *attr = PR_NewProcessAttr();
    char *args[] = {(char *)"sh", NULL};
    CHECK(attr != NULL && PR_ProcessAttrSetCurrentDirectory(attr, "/bin") == PR_SUCCESS);
    CHECK(waited(start("sh", (char *)"-c", (char *)"test $(pwd -P) = $(realpath /bin)", NULL, attr)) == 0);
    CHECK(waited(start("./sh", (char *)"-c", (char *)"exit 4", NULL, attr)) == 4);
    PR_ResetProcessAttr(attr);
    CHECK(PR_CreateProcess("sh", args, NULL, attr) == NULL && PR_GetError() == PR_FILE_NOT_FOUND_ERROR);
    PR_DestroyProcessAttr(attr);
}

/* Whether a child finds that in what the kernel says of it. A shell would clear its signals first. */
static int finds(char *pattern)
{
    char *args[] = {(char *)"grep", (char *)"-q", pattern, (char *)"/proc/self/status", NULL};
    PRProcess *process = PR_CreateProcess("/bin/grep", args, NULL, NULL);
    CHECK(process != NULL);
    return waited(process) == 0;
}

static void the_child_has_what_the_caller_opened_and_its_signals(void)
{
    char script[256];
    sigset_t blocked, before;
    int fd = open("/etc/hostname", O_RDONLY);
    int far = fcntl(fd, F_DUPFD, 200);
    CHECK(fd > 2 && far >= 200);
    snprintf(script, sizeof script, "test -e /proc/self/fd/%d && test -e /proc/self/fd/%d", fd, far);
    CHECK(run(script, NULL, NULL) == 0);
    /* The control: what is close-on-exec isn't there. */
    CHECK(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && run(script, NULL, NULL) == 1);
    CHECK(close(fd) == 0 && close(far) == 0);

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    CHECK(sigprocmask(SIG_BLOCK, &blocked, &before) == 0);
    signal(SIGPIPE, SIG_IGN);
    /* SIGUSR2 is signal 12, SIGPIPE is 13: bits 0x800 and 0x1000. */
    CHECK(finds((char *)"SigBlk:.*8..$") && finds((char *)"SigIgn:.*1...$"));
    CHECK(sigprocmask(SIG_SETMASK, &before, NULL) == 0);
    signal(SIGPIPE, SIG_DFL);
    CHECK(!finds((char *)"SigBlk:.*8..$") && !finds((char *)"SigIgn:.*1...$"));
}

static void what_is_let_go_leaves_no_zombie(void)
{
    PRProcess *process;
    pid_t pid, own;
    int fds[2], status, threads;
    char *args[] = {(char *)"sh", (char *)"-c", NULL, NULL};
    char script[64], told[32] = "";

    process = shell((char *)"exit 1", NULL, NULL);
    pid = pid_of(process);
    CHECK(exists(pid) && PR_DetachProcess(process) == PR_SUCCESS);
    await_gone(pid);
    /* And one that ends later. */
    process = shell((char *)"read line", NULL, NULL);
    pid = pid_of(process);
    CHECK(PR_DetachProcess(process) == PR_SUCCESS && exists(pid));
    CHECK(PR_KillProcess(process) == PR_FAILURE && exists(pid));
    /* What waits for it handles no signal of the program's. */
    if (!under_valgrind)
        CHECK(others_block(SIGUSR1, &threads) && others_block(SIGCHLD, &threads) && threads == 1);
    CHECK(kill(pid, SIGKILL) == 0);
    await_gone(pid);

    CHECK(pipe(fds) == 0);
    snprintf(script, sizeof script, "echo $$ >&%d", fds[1]);
    args[2] = script;
    CHECK(PR_CreateProcessDetached("/bin/sh", args, NULL, NULL) == PR_SUCCESS);
    CHECK(read(fds[0], told, sizeof told - 1) > 0);
    await_gone(atoi(told));
    CHECK(close(fds[0]) == 0 && close(fds[1]) == 0);

    await_only_thread();
    /* A child of the program's own is the program's own to wait for, also by a wait for any. */
    own = fork();
    if (own == 0)
        _exit(9);
    CHECK(run((char *)"exit 2", NULL, NULL) == 2);
    CHECK(wait(&status) == own && WEXITSTATUS(status) == 9);
    CHECK(wait(&status) == -1 && errno == ECHILD);
}

static PRProcess *victim;

static void end_it(int signal)
{
    (void)signal;
    /* From a handler, whatever its thread is doing. */
    if (PR_KillProcess(victim) != PR_SUCCESS)
        _exit(50);
}

static void *signal_the_main_thread(void *main_thread)
{
    usleep(1000);
    pthread_kill(*(pthread_t *)main_thread, SIGUSR1);
    return NULL;
}

static int interruptions;

static void interrupt(int signal)
{
    (void)signal;
    interruptions++;
}

static void a_signal_handler_ends_it_while_it_is_waited_for(void)
{
    struct sigaction action, before;
    pthread_t self = pthread_self(), other;
    int i;
    memset(&action, 0, sizeof action);
    action.sa_handler = end_it;
    CHECK(sigaction(SIGUSR1, &action, &before) == 0);
    for (i = 0; i < 50; i++) {
        victim = shell((char *)"read line", NULL, NULL);
        CHECK(pthread_create(&other, NULL, signal_the_main_thread, &self) == 0);
        CHECK(waited(victim) == 256);
        CHECK(pthread_join(other, NULL) == 0);
        /* Again, when it is long gone: nothing is signalled. */
        CHECK(PR_KillProcess(victim) == PR_FAILURE && PR_GetError() == PR_INVALID_ARGUMENT_ERROR);
    }
    CHECK(sigaction(SIGUSR1, &before, NULL) == 0);
}

static void waiting_goes_on_after_a_signal(void)
{
    struct sigaction action;
    struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    memset(&action, 0, sizeof action);
    action.sa_handler = interrupt;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    CHECK(run((char *)"sleep 0.2; exit 6", NULL, NULL) == 6);
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    CHECK(interruptions > 5);
    /* One may still be on its way. */
    signal(SIGALRM, SIG_IGN);
}

static int noticed;

static void notice(int signal)
{
    (void)signal;
    noticed++;
}

static void a_program_that_ignored_sigchld_is_told_exit_codes(void)
{
    struct sigaction action;
    PRProcess *process;
    pid_t pid;
    signal(SIGCHLD, SIG_IGN);
    CHECK(run((char *)"exit 7", NULL, NULL) == 7);
    /* A handler stays what it is, and only the wish to keep no exit codes goes. */
    memset(&action, 0, sizeof action);
    action.sa_handler = notice;
    action.sa_flags = SA_NOCLDWAIT | SA_RESTART;
    CHECK(sigaction(SIGCHLD, &action, NULL) == 0 && run((char *)"exit 7", NULL, NULL) == 7);
    CHECK(sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == notice && noticed > 0);
    CHECK((action.sa_flags & (SA_NOCLDWAIT | SA_RESTART)) == SA_RESTART);
    signal(SIGCHLD, SIG_DFL);

    /* Ignored later, nobody knows how it ended, and that is what it says. */
    process = shell((char *)"read line", NULL, NULL);
    pid = pid_of(process);
    signal(SIGCHLD, SIG_IGN);
    CHECK(PR_KillProcess(process) == PR_SUCCESS && PR_WaitProcess(process, NULL) == PR_FAILURE);
    CHECK(PR_GetError() == PR_UNKNOWN_ERROR && PR_GetOSError() == ECHILD);
    CHECK(!exists(pid) && PR_KillProcess(process) == PR_FAILURE);

    /* One that is gone before anybody waits is not signalled, whosever its number is now. */
    signal(SIGCHLD, SIG_DFL);
    process = shell((char *)"read line", NULL, NULL);
    pid = pid_of(process);
    signal(SIGCHLD, SIG_IGN);
    CHECK(kill(pid, SIGKILL) == 0);
    await_gone(pid);
    CHECK(PR_KillProcess(process) == PR_FAILURE && PR_GetError() == PR_INVALID_ARGUMENT_ERROR);
    CHECK(PR_DetachProcess(process) == PR_SUCCESS);
    signal(SIGCHLD, SIG_DFL);
}

/* Starts a process that is not our child, with that number; 0 where the system doesn't let choose. */
static int stranger_with_number(pid_t pid)
{
    int number = open("/proc/sys/kernel/ns_last_pid", O_WRONLY), status;
    char digits[16];
    pid_t between;
    if (number < 0)
        return 0;
    between = fork();
    if (between == 0) {
        /* Numbers are given out in turn. */
        snprintf(digits, sizeof digits, "%d", (int)pid - 1);
        if (write(number, digits, strlen(digits)) < 0)
            _exit(1);
        between = fork();
        if (between == 0) {
            pause();
            _exit(0);
        }
        if (between != pid && between > 0)
            kill(between, SIGKILL);
        _exit(between == pid ? 0 : 1);
    }
    CHECK(close(number) == 0 && waitpid(between, &status, 0) == between);
    return WEXITSTATUS(status) == 0;
}

static void a_number_that_is_a_strangers_by_now_is_not_signalled(void)
{
    PRProcess *process = shell((char *)"read line", NULL, NULL);
    pid_t pid = pid_of(process);
    /* Somebody else waits for it, so that nothing here knows that it is gone. */
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    if (!stranger_with_number(pid)) {
        fprintf(stderr, "SKIPPED: the numbers of processes can't be chosen here\n");
        return;
    }
    CHECK(exists(pid));
    CHECK(PR_KillProcess(process) == PR_FAILURE && PR_GetError() == PR_INVALID_ARGUMENT_ERROR);
    /* The control: it was there to be hit, and is hit by who means it. */
    CHECK(exists(pid) && kill(pid, SIGKILL) == 0);
    CHECK(PR_WaitProcess(process, NULL) == PR_FAILURE && PR_GetOSError() == ECHILD);
}

enum { THREADS = 4, ROUNDS = 100 };

static PRProcess *current[THREADS];
static int over;

static void *start_and_wait(void *slot)
{
    PRProcess **mine = slot;
    int i;
    for (i = 0; i < ROUNDS; i++) {
        PRProcess *process = shell((char *)"exit 5", NULL, NULL);
        int code;
        __atomic_store_n(mine, process, __ATOMIC_RELEASE);
        code = waited(process);
        CHECK(code == 5 || code == 256);
    }
    return NULL;
}

static void *kill_what_there_is(void *unused)
{
    (void)unused;
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
        int i;
        for (i = 0; i < THREADS; i++)
            PR_KillProcess(__atomic_load_n(&current[i], __ATOMIC_ACQUIRE));
        usleep(500);
    }
    return NULL;
}

/* Killers that are always late: what they are told of was waited for, mostly. */
static void killing_from_other_threads_hits_nobody_else(void)
{
    pthread_t waiters[THREADS], killer;
    PRProcess *bystander = shell((char *)"read line", NULL, NULL);
    int i;
    CHECK(pthread_create(&killer, NULL, kill_what_there_is, NULL) == 0);
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_create(&waiters[i], NULL, start_and_wait, &current[i]) == 0);
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_join(waiters[i], NULL) == 0);
    __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    CHECK(pthread_join(killer, NULL) == 0);
    CHECK(exists(pid_of(bystander)) && PR_KillProcess(bystander) == PR_SUCCESS && waited(bystander) == 256);
}

static void a_forked_process_has_no_children_yet(void)
{
    PRProcess *process = shell((char *)"read line", NULL, NULL);
    int status;
    pid_t fork_of_this = fork();
    if (fork_of_this == 0) {
        int refused = PR_KillProcess(process) == PR_FAILURE && PR_GetError() == PR_INVALID_ARGUMENT_ERROR;
        refused &= PR_WaitProcess(process, NULL) == PR_FAILURE && PR_GetError() == PR_INVALID_ARGUMENT_ERROR;
        refused &= PR_DetachProcess(process) == PR_FAILURE;
        /* But it may have some. */
        _exit(refused && run((char *)"exit 8", NULL, NULL) == 8 ? 0 : 1);
    }
    CHECK(waitpid(fork_of_this, &status, 0) == fork_of_this && status == 0);
    CHECK(exists(pid_of(process)) && PR_KillProcess(process) == PR_SUCCESS && waited(process) == 256);
}

static void *wait_for_it(void *process)
{
    PRInt32 code;
    return (void *)(intptr_t)(PR_WaitProcess(process, &code) == PR_SUCCESS);
}

static void of_two_that_wait_one_is_told(void)
{
    PRProcess *process = shell((char *)"sleep 0.1", NULL, NULL);
    pthread_t other;
    void *told;
    CHECK(pthread_create(&other, NULL, wait_for_it, process) == 0);
    {
        int mine = (int)(intptr_t)wait_for_it(process);
        CHECK(pthread_join(other, &told) == 0);
        CHECK(mine + (int)(intptr_t)told == 1);
    }
}

/* Places of processes are given back: many of them take no memory that grows. */
static void many_processes_take_no_more_memory_than_few(void)
{
    PRProcess *first = shell((char *)"exit 0", NULL, NULL), *last = NULL;
    int i;
    CHECK(waited(first) == 0);
    for (i = 0; i < 600; i++) {
        last = start("/bin/true", NULL, NULL, NULL, NULL);
        CHECK(waited(last) == 0 && last != first);
    }
    /* The page of the first is gone by now, and reads as nothing. */
    CHECK(pid_of(first) == 0 && pid_of(last) != 0);
    CHECK(PR_KillProcess(first) == PR_FAILURE && PR_WaitProcess(first, NULL) == PR_FAILURE);
}

int main(int argc, char **argv)
{
    int fds[2];
    under_valgrind = argc > 1 && strcmp(argv[1], "under-valgrind") == 0;
    /* Each `read line` waits until it is ended. */
    CHECK(pipe(fds) == 0 && dup2(fds[0], 0) == 0 && setpgid(0, 0) == 0);
    exit_codes_are_nsprs();
    the_path_is_not_searched_and_counts_from_the_new_directory();
    the_child_has_what_the_caller_opened_and_its_signals();
    what_is_let_go_leaves_no_zombie();
    a_signal_handler_ends_it_while_it_is_waited_for();
    waiting_goes_on_after_a_signal();
    a_program_that_ignored_sigchld_is_told_exit_codes();
    of_two_that_wait_one_is_told();
    a_forked_process_has_no_children_yet();
    a_number_that_is_a_strangers_by_now_is_not_signalled();
    if (!under_valgrind) {
        killing_from_other_threads_hits_nobody_else();
        many_processes_take_no_more_memory_than_few();
    }
    await_only_thread();
    return 0;
}
