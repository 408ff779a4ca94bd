/*
 * The server of the second protocol: exports memory as a string, passes it in a
 * variable, and starts a client by the system's own calls.
 *
 *     second_server ./second_client
 */
#define _POSIX_C_SOURCE 200112L
#include <heirloom_nspr.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(_WIN32)
#include <process.h>
#else
#include <sys/wait.h>
#include <unistd.h>
#endif

#define SIZE 65536

static void fail(const char *what)
{
    char text[1024] = "";

    PR_GetErrorText(text);
    fprintf(stderr, "%s: error %d: %s\n", what, (int)PR_GetError(), text);
    exit(1);
}

/* Starts a client that inherits all inheritable descriptors, and returns its exit code. */
static int run(const char *client, const char *fmstring)
{
#if defined(_WIN32)
    char variable[sizeof "GREETINGS=" + PR_FILEMAP_STRING_BUFSIZE];

    sprintf(variable, "GREETINGS=%s", fmstring);
    if (_putenv(variable) != 0)
        return -1;
    return (int)_spawnl(_P_WAIT, client, client, (char *)NULL);
#else
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        setenv("GREETINGS", fmstring, 1);
        execl(client, client, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
#endif
}

int main(int argc, char **argv)
{
    char fmstring[PR_FILEMAP_STRING_BUFSIZE];
    PRFileMap *fm;
    char *addr;
    int code;

    if (argc != 2) {
        fprintf(stderr, "usage: %s CLIENT\n", argv[0]);
        return 2;
    }

    fm = PR_OpenAnonFileMap(NULL, SIZE, PR_PROT_READWRITE);
    if (fm == NULL)
        fail("PR_OpenAnonFileMap");
    if (PR_ExportFileMapAsString(fm, sizeof fmstring, fmstring) != PR_SUCCESS)
        fail("PR_ExportFileMapAsString");
    addr = (char *)PR_MemMap(fm, 0, SIZE);
    if (addr == NULL)
        fail("PR_MemMap");
    strcpy(addr, "hello from the server");

    code = run(argv[1], fmstring);
    if (code < 0) {
        fprintf(stderr, "the client did not exit\n");
        return 1;
    }
    printf("the client exited with %d and wrote: %s\n", code, addr);

    if (PR_MemUnmap(addr, SIZE) != PR_SUCCESS)
        fail("PR_MemUnmap");
    if (PR_CloseFileMap(fm) != PR_SUCCESS)
        fail("PR_CloseFileMap");
    return 0;
}
