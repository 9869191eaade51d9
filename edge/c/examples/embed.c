/* Prints the features that an encoder gives a picture, one to a line: embed ENCODER.lat PICTURE.pgm (or .ppm of colors). */
#include "read_file.h"

/* The next number of a PGM's header, comments left out; 0 if there is none. */
static size_t number(FILE *file)
{
    int next = fgetc(file);
    size_t value = 0;
    while (next == ' ' || next == '\n' || next == '\t' || next == '\r' || next == '#') {
        if (next == '#') {
            while (next != '\n' && next != EOF) {
                next = fgetc(file);
            }
        } else {
            next = fgetc(file);
        }
    }
    while (next >= '0' && next <= '9' && value < 100000) {
        value = value * 10 + (size_t)(next - '0');
        next = fgetc(file);
    }
    return value;
}

int main(int count, char **arguments)
{
    latent_model model;
    latent_session session;
    latent_image image;
    size_t length, pixels_length, features_length, arena_length, at;
    void *free_bytes, *free_arena;
    unsigned char *bytes, *arena, *pixels;
    float *features;
    FILE *file;

    if (count != 3) {
        fprintf(stderr, "usage: embed ENCODER.lat PICTURE.pgm\n");
        return 2;
    }
    bytes = read_file(arguments[1], &length, &free_bytes);
    check(latent_model_open(&model, bytes, length), arguments[1]);
    check(latent_model_image(&model, &image), arguments[1]);

    pixels_length = latent_model_input_length(&model);
    features_length = latent_model_output_length(&model);
    arena_length = latent_model_arena_length(&model, 1);
    pixels = calloc(pixels_length, 1);
    features = calloc(features_length, sizeof *features);
    arena = aligned(arena_length, &free_arena);
    file = fopen(arguments[2], "rb");
    if (pixels == NULL || features == NULL || file == NULL || fgetc(file) != 'P' ||
        fgetc(file) != (image.channels == 1 ? '5' : '6') || number(file) != image.width ||
        number(file) != image.height || number(file) != 255 || fread(pixels, 1, pixels_length, file) != pixels_length) {
        fprintf(stderr, "%s is no PGM (PPM, of colors) of %lux%lu\n", arguments[2], (unsigned long)image.width,
                (unsigned long)image.height);
        return 1;
    }
    fclose(file);

    check(latent_session_open(&session, &model, arena, arena_length), "session");
    check(latent_session_run_from_u8(&session, pixels, pixels_length, features, features_length), "run");
    for (at = 0; at < features_length; at++) {
        printf("%.9g\n", (double)features[at]);
    }
    free(pixels);
    free(features);
    free(free_arena);
    free(free_bytes);
    return 0;
}
