/*
 * The second protocol, the server: turns memory into a string, and starts a
 * client with magic of its own, here fork and exec and a variable.
 *
 *     second_server ./second_client
 */
#define _POSIX_C_SOURCE 200112L
#include <heirloom_nspr.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 65536

static void fail(const char *what)
{
    char text[1024] = "";

    PR_GetErrorText(text);
    fprintf(stderr, "%s: error %d: %s\n", what, (int)PR_GetError(), text);
    exit(1);
}

int main(int argc, char **argv)
{
    char fmstring[PR_FILEMAP_STRING_BUFSIZE];
    PRFileMap *fm;
    char *addr;
    pid_t pid;
    int status;

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

    pid = fork();
    if (pid == 0) {
        setenv("GREETINGS", fmstring, 1);
        execl(argv[1], argv[1], (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        fprintf(stderr, "the client didn't exit\n");
        return 1;
    }
    printf("the client exited with %d and wrote: %s\n", WEXITSTATUS(status), addr);

    if (PR_MemUnmap(addr, SIZE) != PR_SUCCESS)
        fail("PR_MemUnmap");
    if (PR_CloseFileMap(fm) != PR_SUCCESS)
        fail("PR_CloseFileMap");
    return 0;
}
