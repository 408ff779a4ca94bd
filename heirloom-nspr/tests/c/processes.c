/* Starts, waits for, kills and detaches processes. */
#include "check.h"

#include <pthread.h>
#include <sys/time.h>

/* valgrind makes a failed exec look like an exit, and is slow. */
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

static int wait_for(PRProcess *process)
{
    PRInt32 code = -1;
    CHECK(PR_WaitProcess(process, &code) == PR_SUCCESS);
    return code;
}

static int run(char *script, char *const *envp, const PRProcessAttr *attr)
{
    return wait_for(shell(script, envp, attr));
}

static pid_t pid_of(PRProcess *process)
{
    return *(pid_t *)process;
}

/* Whether every other thread blocks a signal. Also counts them. */
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
        /* Before it has its name, a new thread blocks all signals anyway. */
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

/* Whether a process with that PID exists, running or zombie. */
static int exists(pid_t pid)
{
    return kill(pid, 0) == 0;
}

/* Waits until a process is reaped. */
static void await_gone(pid_t pid)
{
    while (exists(pid))
        usleep(1000);
}

static void exit_codes_match_nspr(void)
{
    char *env[] = {(char *)"A=first", (char *)"no equals sign", (char *)"A=second", (char *)"B==b", NULL};
    CHECK(run((char *)"exit 0", NULL, NULL) == 0);
    CHECK(run((char *)"exit 7", NULL, NULL) == 7);
    CHECK(run((char *)"exit 255", NULL, NULL) == 255);
    CHECK(run((char *)"kill -9 $$", NULL, NULL) == 256);
    CHECK(run((char *)"kill -15 $$", NULL, NULL) == 256);
    CHECK(PR_WaitProcess(shell((char *)"exit 3", NULL, NULL), NULL) == PR_SUCCESS);

    /* The environment is this process's own, or exactly the given one. */
    CHECK(setenv("OF_THE_PARENT", "x", 1) == 0);
    CHECK(run((char *)"test \"$OF_THE_PARENT\" = x", NULL, NULL) == 0);
    CHECK(run((char *)"test \"$OF_THE_PARENT$A$B\" = first=b", env, NULL) == 0);
}

static void path_is_relative_to_the_new_directory(void)
{
    PRProcessAttr *attr = PR_NewProcessAttr();
    char *args[] = {(char *)"sh", NULL};
    CHECK(attr != NULL && PR_ProcessAttrSetCurrentDirectory(attr, "/bin") == PR_SUCCESS);
    CHECK(wait_for(start("sh", (char *)"-c", (char *)"test $(pwd -P) = $(realpath /bin)", NULL, attr)) == 0);
    CHECK(wait_for(start("./sh", (char *)"-c", (char *)"exit 4", NULL, attr)) == 4);
    PR_ResetProcessAttr(attr);
    CHECK(PR_CreateProcess("sh", args, NULL, attr) == NULL && PR_GetError() == PR_FILE_NOT_FOUND_ERROR);
    PR_DestroyProcessAttr(attr);
}

static void confined_child_does_not_reach_its_parent(void)
{
    char script[] = "test -n \"$(readlink /proc/$PPID/exe 2>&-)\"";
    char *args[] = {(char *)"sh", (char *)"-c", script, NULL};
    const char *readable[] = {"/bin", "/usr", "/lib", access("/lib64", F_OK) == 0 ? "/lib64" : NULL, NULL};
    PRProcessAttr *attr = PR_NewProcessAttr();
    PRProcess *process;
    /* The control. */
    CHECK(run(script, NULL, attr) == 0);
    CHECK(heirloom_confine(attr) == PR_SUCCESS);
    process = PR_CreateProcess("/bin/sh", args, NULL, attr);
    /* A kernel without Landlock, or valgrind. */
    CHECK(process != NULL ? wait_for(process) == 1 : PR_GetError() == PR_OPERATION_NOT_SUPPORTED_ERROR);
    PR_ResetProcessAttr(attr);
    CHECK(run(script, NULL, attr) == 0);

    args[2] = (char *)"read line < /etc/hostname";
    CHECK(run(args[2], NULL, attr) == 0);
    CHECK(heirloom_confine_to(attr, readable) == PR_SUCCESS);
    process = PR_CreateProcess("/bin/sh", args, NULL, attr);
    CHECK(process != NULL ? wait_for(process) != 0 : PR_GetError() == PR_OPERATION_NOT_SUPPORTED_ERROR);
    CHECK(heirloom_confine_to(attr, NULL) == PR_FAILURE && PR_GetError() == PR_INVALID_ARGUMENT_ERROR);
    PR_DestroyProcessAttr(attr);
}

/* Whether a child's status has a pattern. It is no shell, which would change its signals. */
static int finds(char *pattern)
{
    char *args[] = {(char *)"grep", (char *)"-q", pattern, (char *)"/proc/self/status", NULL};
    PRProcess *process = PR_CreateProcess("/bin/grep", args, NULL, NULL);
    CHECK(process != NULL);
    return wait_for(process) == 0;
}

static void child_inherits_descriptors_and_signals(void)
{
    char script[256];
    sigset_t blocked, before;
    int fd = open("/etc/hostname", O_RDONLY);
    int far = fcntl(fd, F_DUPFD, 200);
    CHECK(fd > 2 && far >= 200);
    snprintf(script, sizeof script, "test -e /proc/self/fd/%d && test -e /proc/self/fd/%d", fd, far);
    CHECK(run(script, NULL, NULL) == 0);
    /* Control: a close-on-exec descriptor is not inherited. */
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

static void detached_process_leaves_no_zombie(void)
{
    PRProcess *process;
    pid_t pid, own;
    int fds[2], status, threads;
    char *args[] = {(char *)"sh", (char *)"-c", NULL, NULL};
    char script[64], output[32] = "";

    process = shell((char *)"exit 1", NULL, NULL);
    pid = pid_of(process);
    CHECK(exists(pid) && PR_DetachProcess(process) == PR_SUCCESS);
    await_gone(pid);
    /* A process that ends after it is detached. */
    process = shell((char *)"read line", NULL, NULL);
    pid = pid_of(process);
    CHECK(PR_DetachProcess(process) == PR_SUCCESS && exists(pid));
    CHECK(PR_KillProcess(process) == PR_FAILURE && exists(pid));
    /* The thread that waits for it handles no signal of the program. */
    if (!under_valgrind)
        CHECK(others_block(SIGUSR1, &threads) && others_block(SIGCHLD, &threads) && threads == 1);
    CHECK(kill(pid, SIGKILL) == 0);
    await_gone(pid);

    CHECK(pipe(fds) == 0);
    snprintf(script, sizeof script, "echo $$ >&%d", fds[1]);
    args[2] = script;
    CHECK(PR_CreateProcessDetached("/bin/sh", args, NULL, NULL) == PR_SUCCESS);
    CHECK(read(fds[0], output, sizeof output - 1) > 0);
    await_gone(atoi(output));
    CHECK(close(fds[0]) == 0 && close(fds[1]) == 0);

    await_only_thread();
    /* The program can wait for its own children, also for any of them. */
    own = fork();
    if (own == 0)
        _exit(9);
    CHECK(run((char *)"exit 2", NULL, NULL) == 2);
    CHECK(wait(&status) == own && WEXITSTATUS(status) == 9);
    CHECK(wait(&status) == -1 && errno == ECHILD);
}

static PRProcess *victim;

static void kill_victim(int signal)
{
    (void)signal;
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

static void signal_handler_kills_during_wait(void)
{
    struct sigaction action, before;
    pthread_t self = pthread_self(), other;
    int i;
    memset(&action, 0, sizeof action);
    action.sa_handler = kill_victim;
    CHECK(sigaction(SIGUSR1, &action, &before) == 0);
    for (i = 0; i < 50; i++) {
        victim = shell((char *)"read line", NULL, NULL);
        CHECK(pthread_create(&other, NULL, signal_the_main_thread, &self) == 0);
        CHECK(wait_for(victim) == 256);
        CHECK(pthread_join(other, NULL) == 0);
        /* Killing it again signals nothing. */
        CHECK(PR_KillProcess(victim) == PR_FAILURE && PR_GetError() == PR_INVALID_ARGUMENT_ERROR);
    }
    CHECK(sigaction(SIGUSR1, &before, NULL) == 0);
}

static void wait_continues_after_a_signal(void)
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
    /* One may still be pending. */
    signal(SIGALRM, SIG_IGN);
}

static int noticed;

static void notice(int signal)
{
    (void)signal;
    noticed++;
}

static void exit_codes_survive_ignored_sigchld(void)
{
    struct sigaction action;
    PRProcess *process;
    pid_t pid;
    signal(SIGCHLD, SIG_IGN);
    CHECK(run((char *)"exit 7", NULL, NULL) == 7);
    /* A handler stays, and only SA_NOCLDWAIT is cleared. */
    memset(&action, 0, sizeof action);
    action.sa_handler = notice;
    action.sa_flags = SA_NOCLDWAIT | SA_RESTART;
    CHECK(sigaction(SIGCHLD, &action, NULL) == 0 && run((char *)"exit 7", NULL, NULL) == 7);
    CHECK(sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == notice && noticed > 0);
    CHECK((action.sa_flags & (SA_NOCLDWAIT | SA_RESTART)) == SA_RESTART);
    signal(SIGCHLD, SIG_DFL);

    /* If SIGCHLD is ignored after the start, the exit code is lost. */
    process = shell((char *)"read line", NULL, NULL);
    pid = pid_of(process);
    signal(SIGCHLD, SIG_IGN);
    CHECK(PR_KillProcess(process) == PR_SUCCESS && PR_WaitProcess(process, NULL) == PR_FAILURE);
    CHECK(PR_GetError() == PR_UNKNOWN_ERROR && PR_GetOSError() == ECHILD);
    CHECK(!exists(pid) && PR_KillProcess(process) == PR_FAILURE);

    /* A child that the kernel reaped is not signalled. */
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

/* Starts a process that is not a child, with that PID. Returns 0 if PIDs cannot be chosen. */
static int start_with_pid(pid_t pid)
{
    int number = open("/proc/sys/kernel/ns_last_pid", O_WRONLY), status;
    char digits[16];
    pid_t between;
    if (number < 0)
        return 0;
    between = fork();
    if (between == 0) {
        /* PIDs are assigned in sequence. */
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

static void reused_pid_is_not_signalled(void)
{
    PRProcess *process = shell((char *)"read line", NULL, NULL);
    pid_t pid = pid_of(process);
    /* The program reaps it, so heirloom does not know that it is gone. */
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    if (!start_with_pid(pid)) {
        fprintf(stderr, "SKIPPED: PIDs cannot be chosen here\n");
        return;
    }
    CHECK(exists(pid));
    CHECK(PR_KillProcess(process) == PR_FAILURE && PR_GetError() == PR_INVALID_ARGUMENT_ERROR);
    /* Control: the other process exists and can be signalled. */
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
        code = wait_for(process);
        CHECK(code == 5 || code == 256);
    }
    return NULL;
}

static void *kill_all(void *unused)
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

/* The killer is late: most processes were already waited for. */
static void late_kill_hits_no_other_process(void)
{
    pthread_t waiters[THREADS], killer;
    PRProcess *bystander = shell((char *)"read line", NULL, NULL);
    int i;
    CHECK(pthread_create(&killer, NULL, kill_all, NULL) == 0);
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_create(&waiters[i], NULL, start_and_wait, &current[i]) == 0);
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_join(waiters[i], NULL) == 0);
    __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    CHECK(pthread_join(killer, NULL) == 0);
    CHECK(exists(pid_of(bystander)) && PR_KillProcess(bystander) == PR_SUCCESS && wait_for(bystander) == 256);
}

static void forked_process_owns_no_children(void)
{
    PRProcess *process = shell((char *)"read line", NULL, NULL);
    int status;
    pid_t fork_of_this = fork();
    if (fork_of_this == 0) {
        int refused = PR_KillProcess(process) == PR_FAILURE && PR_GetError() == PR_INVALID_ARGUMENT_ERROR;
        refused &= PR_WaitProcess(process, NULL) == PR_FAILURE && PR_GetError() == PR_INVALID_ARGUMENT_ERROR;
        refused &= PR_DetachProcess(process) == PR_FAILURE;
        /* It can start its own. */
        _exit(refused && run((char *)"exit 8", NULL, NULL) == 8 ? 0 : 1);
    }
    CHECK(waitpid(fork_of_this, &status, 0) == fork_of_this && status == 0);
    CHECK(exists(pid_of(process)) && PR_KillProcess(process) == PR_SUCCESS && wait_for(process) == 256);
}

static void *wait_in_thread(void *process)
{
    PRInt32 code;
    return (void *)(intptr_t)(PR_WaitProcess(process, &code) == PR_SUCCESS);
}

static void only_one_waiter_succeeds(void)
{
    PRProcess *process = shell((char *)"sleep 0.1", NULL, NULL);
    pthread_t other;
    void *others;
    CHECK(pthread_create(&other, NULL, wait_in_thread, process) == 0);
    {
        int mine = (int)(intptr_t)wait_in_thread(process);
        CHECK(pthread_join(other, &others) == 0);
        CHECK(mine + (int)(intptr_t)others == 1);
    }
}

/* The memory of PRProcess objects is freed. */
static void process_memory_is_freed(void)
{
    PRProcess *first = shell((char *)"exit 0", NULL, NULL), *last = NULL;
    int i;
    CHECK(wait_for(first) == 0);
    for (i = 0; i < 600; i++) {
        last = start("/bin/true", NULL, NULL, NULL, NULL);
        CHECK(wait_for(last) == 0 && last != first);
    }
    /* The page of the first is freed, and reads as zero. */
    CHECK(pid_of(first) == 0 && pid_of(last) != 0);
    CHECK(PR_KillProcess(first) == PR_FAILURE && PR_WaitProcess(first, NULL) == PR_FAILURE);
}

int main(int argc, char **argv)
{
    int fds[2];
    under_valgrind = argc > 1 && strcmp(argv[1], "under-valgrind") == 0;
    /* Each `read line` blocks until it is killed. */
    CHECK(pipe(fds) == 0 && dup2(fds[0], 0) == 0 && setpgid(0, 0) == 0);
    exit_codes_match_nspr();
    path_is_relative_to_the_new_directory();
    confined_child_does_not_reach_its_parent();
    child_inherits_descriptors_and_signals();
    detached_process_leaves_no_zombie();
    signal_handler_kills_during_wait();
    wait_continues_after_a_signal();
    exit_codes_survive_ignored_sigchld();
    only_one_waiter_succeeds();
    forked_process_owns_no_children();
    reused_pid_is_not_signalled();
    if (!under_valgrind) {
        late_kill_hits_no_other_process();
        process_memory_is_freed();
    }
    await_only_thread();
    return 0;
}
