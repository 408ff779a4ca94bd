/*
 * The client of the second protocol: imports the string that its server passed
 * in a variable, and answers in the memory.
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

int main(void)
{
    PRFileMap *fm;
    char *addr;

    fm = PR_ImportFileMapFromString(getenv("GREETINGS"));
    if (fm == NULL)
        fail("PR_ImportFileMapFromString");
    addr = (char *)PR_MemMap(fm, 0, SIZE);
    if (addr == NULL)
        fail("PR_MemMap");

    printf("the server wrote: %s\n", addr);
    strcpy(addr, "hello from the client");

    if (PR_MemUnmap(addr, SIZE) != PR_SUCCESS)
        fail("PR_MemUnmap");
    if (PR_CloseFileMap(fm) != PR_SUCCESS)
        fail("PR_CloseFileMap");
    return 7;
}
