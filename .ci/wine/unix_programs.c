/* The Unix programs that the library's examples start: true, false, echo, sleep and cat, selected by the executable's name. */
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static int cat(FILE *in) {
    char buffer[4096];
    size_t len;
    if (!in) return 1;
    while ((len = fread(buffer, 1, sizeof buffer, in)) > 0) fwrite(buffer, 1, len, stdout);
    return 0;
}

int main(int argc, char **argv) {
    char path[MAX_PATH];
    GetModuleFileNameA(NULL, path, sizeof path);
    const char *name = strrchr(path, '\\') + 1;
    _setmode(0, _O_BINARY);
    _setmode(1, _O_BINARY);
    if (!strcmp(name, "false.exe")) return 1;
    if (!strcmp(name, "sleep.exe")) Sleep(1000 * atoi(argv[1]));
    if (!strcmp(name, "cat.exe")) return cat(argc > 1 ? fopen(argv[1], "rb") : stdin);
    if (!strcmp(name, "echo.exe")) {
        for (int i = 1; i < argc; i++) printf("%s%s", argv[i], i + 1 < argc ? " " : "\n");
    }
    return 0;
}
