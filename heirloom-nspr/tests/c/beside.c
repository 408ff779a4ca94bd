/* Uses the library beside another static library that is written in Rust. */
#include "check.h"

extern int other(void);

int main(void)
{
    PRFileMap *map = PR_OpenAnonFileMap(NULL, 4096, PR_PROT_READWRITE);
    CHECK(map != NULL && PR_CloseFileMap(map) == PR_SUCCESS);
    CHECK(other() == 7);
    return 0;
}
