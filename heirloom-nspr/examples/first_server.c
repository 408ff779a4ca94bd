/*
 * The server of the first protocol: creates memory, writes to it, and starts a
 * client that inherits it by name.
 *
 *     first_server ./first_client
 */
#include <heirloom_nspr.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    char *client[2];
    PRFileMap *fm;
    PRProcessAttr *attr;
    PRProcess *process;
    PRInt32 code;
    char *addr;

    if (argc != 2) {
        fprintf(stderr, "usage: %s CLIENT\n", argv[0]);
        return 2;
    }
    client[0] = argv[1];
    client[1] = NULL;

    fm = PR_OpenAnonFileMap(NULL, SIZE, PR_PROT_READWRITE);
    if (fm == NULL)
        fail("PR_OpenAnonFileMap");
    addr = (char *)PR_MemMap(fm, 0, SIZE);
    if (addr == NULL)
        fail("PR_MemMap");
    strcpy(addr, "hello from the server");

    attr = PR_NewProcessAttr();
    if (attr == NULL)
        fail("PR_NewProcessAttr");
    if (PR_ProcessAttrSetInheritableFileMap(attr, fm, "greetings") != PR_SUCCESS)
        fail("PR_ProcessAttrSetInheritableFileMap");
    process = PR_CreateProcess(client[0], client, NULL, attr);
    if (process == NULL)
        fail("PR_CreateProcess");
    PR_DestroyProcessAttr(attr);

    if (PR_WaitProcess(process, &code) != PR_SUCCESS)
        fail("PR_WaitProcess");
    printf("the client exited with %d and wrote: %s\n", (int)code, addr);

    if (PR_MemUnmap(addr, SIZE) != PR_SUCCESS)
        fail("PR_MemUnmap");
    if (PR_CloseFileMap(fm) != PR_SUCCESS)
        fail("PR_CloseFileMap");
    return 0;
}
