/* Runs a program of Wine's host, selected by the name of this executable: the compilers and cargo, which the tests start. */
#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static const char *host_programs[][2] = {
    {"cc.exe", "x86_64-w64-mingw32-gcc"},
    {"c++.exe", "x86_64-w64-mingw32-g++"},
    {"cargo.exe", "cargo"},
};

int main(int argc, char **argv) {
    int (CDECL *spawn)(char *const[], int) =
        (void *)GetProcAddress(GetModuleHandleA("ntdll.dll"), "__wine_unix_spawnvp");
    char path[MAX_PATH];
    if (!spawn) return 127;
    GetModuleFileNameA(NULL, path, sizeof path);
    for (size_t i = 0; i < sizeof host_programs / sizeof *host_programs; i++)
        if (!strcmp(strrchr(path, '\\') + 1, host_programs[i][0])) argv[0] = (char *)host_programs[i][1];
    /* Paths have the drive Z:, which is the host's root, or no drive. */
    for (int i = 1; i < argc; i++) {
        char *from = argv[i], *to = argv[i];
        while (*from) {
            if (!strncmp(from, "Z:\\", 3) || !strncmp(from, "Z:/", 3)) from += 2;
            *to++ = *from == '\\' ? '/' : *from;
            from++;
        }
        *to = 0;
    }
    return spawn(argv, 1);
}
