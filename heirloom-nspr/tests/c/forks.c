/* A process whose threads use the library forks without executing a program, and its children use the library. */
#include "check.h"

#include <pthread.h>

#define FORKS 300

static volatile int stop;

/* Uses every lock that is not held during a start. */
static void use_file_maps(void)
{
    char string[PR_FILEMAP_STRING_BUFSIZE];
    PRFileMap *fm = create(4096, PR_PROT_READWRITE), *imported;
    PRProcessAttr *attr = PR_NewProcessAttr();
    CHECK(attr != NULL);
    CHECK(PR_MemUnmap(map(fm, 4096), 4096) == PR_SUCCESS);
    CHECK(PR_ExportFileMapAsString(fm, sizeof string, string) == PR_SUCCESS);
    imported = PR_ImportFileMapFromString(string);
    CHECK(imported != NULL);
    CHECK(PR_ProcessAttrSetInheritableFileMap(attr, fm, "memory") == PR_SUCCESS);
    CHECK(PR_ProcessAttrSetCurrentDirectory(attr, "/") == PR_SUCCESS);
    PR_ResetProcessAttr(attr);
    PR_DestroyProcessAttr(attr);
    CHECK(heirloom_make_read_only(fm) == PR_SUCCESS);
    /* A child of a fork may still have a copy of the mapping. */
    CHECK(heirloom_freeze(fm) == PR_SUCCESS || PR_GetError() == PR_FILE_IS_BUSY_ERROR);
    CHECK(PR_CloseFileMap(imported) == PR_SUCCESS && PR_CloseFileMap(fm) == PR_SUCCESS);
    CHECK(PR_GetInheritedFileMap("missing") == NULL && PR_GetError() == PR_FILE_NOT_FOUND_ERROR);
}

/* Uses those of starts. */
static void use_processes(void)
{
    char *argv[] = {A_PROGRAM, NULL};
    PRInt32 code = -1;
    PRProcess *process;
    PRProcessAttr *attr = PR_NewProcessAttr();
    CHECK(attr != NULL);
#if defined(HEIRLOOM_WITH_NSPR)
    PR_ProcessAttrSetStdioRedirect(attr, PR_StandardOutput, PR_GetSpecialFD(PR_StandardError));
#endif
    process = PR_CreateProcess(A_PROGRAM, argv, NULL, attr);
    CHECK(process != NULL && PR_WaitProcess(process, &code) == PR_SUCCESS && code == 0);
    PR_DestroyProcessAttr(attr);
}

static void *in_thread(void *use)
{
    while (!stop)
        (*(void (**)(void))use)();
    return NULL;
}

int main(void)
{
    static void (*uses[])(void) = {use_file_maps, use_file_maps, use_processes, use_processes};
    pthread_t threads[4];
    int i, status;
#if defined(HEIRLOOM_WITH_NSPR)
    /* Several threads must not initialize it at once. */
    PR_Init(PR_USER_THREAD, PR_PRIORITY_NORMAL, 0);
#endif
    for (i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, in_thread, &uses[i]) == 0);
    for (i = 0; i < FORKS; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            /* Ends a child that blocks forever. */
            alarm(60);
            use_file_maps();
            use_processes();
            _exit(0);
        }
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    stop = 1;
    for (i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}
