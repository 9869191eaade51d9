/* What the examples share: a file in memory, aligned as the engine likes it; ending with a sentence. */
#ifndef READ_FILE_H
#define READ_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <latent.h>

/* Ends the program unless the code is LATENT_OK. */
static void check(int code, const char *what)
{
    if (code != LATENT_OK) {
        fprintf(stderr, "%s: error %d: %s\n", what, code, latent_error_text(code));
        exit(1);
    }
}

/* So many bytes, zero, at a multiple of 64; `*to_free` is for free(). */
static unsigned char *aligned(size_t length, void **to_free)
{
    *to_free = calloc(1, length + 64);
    if (*to_free == NULL) {
        fprintf(stderr, "no memory for %lu bytes\n", (unsigned long)length);
        exit(1);
    }
    return (unsigned char *)(((uintptr_t)*to_free + 63) / 64 * 64);
}

/* The contents of a file. */
static unsigned char *read_file(const char *path, size_t *length, void **to_free)
{
    FILE *file = fopen(path, "rb");
    long end = -1;
    unsigned char *bytes = NULL;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0) {
        end = ftell(file);
        rewind(file);
    }
    if (end >= 0) {
        *length = (size_t)end;
        bytes = aligned(*length, to_free);
    }
    if (bytes == NULL || fread(bytes, 1, *length, file) != *length) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    fclose(file);
    return bytes;
}

#endif
