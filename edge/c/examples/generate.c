/* Draws a picture from a generator: generate MODEL.lat SEED PICTURE.pgm (or .ppm, of a model of colors). */
#include "read_file.h"

int main(int count, char **arguments)
{
    latent_model model;
    latent_session session;
    latent_rng rng;
    latent_image image;
    size_t length, latent_length, pixels_length, arena_length;
    void *free_bytes, *free_arena;
    unsigned char *bytes, *arena, *pixels;
    float *latent;
    FILE *file;

    if (count != 4) {
        fprintf(stderr, "usage: generate MODEL.lat SEED PICTURE.pgm\n");
        return 2;
    }
    bytes = read_file(arguments[1], &length, &free_bytes);
    check(latent_model_open(&model, bytes, length), arguments[1]);
    check(latent_model_image(&model, &image), arguments[1]);

    latent_length = latent_model_input_length(&model);
    pixels_length = latent_model_output_length(&model);
    arena_length = latent_model_arena_length(&model, 1);
    latent = calloc(latent_length, sizeof *latent);
    pixels = calloc(pixels_length, 1);
    arena = aligned(arena_length, &free_arena);
    if (latent == NULL || pixels == NULL) {
        fprintf(stderr, "no memory for the picture\n");
        return 1;
    }
    check(latent_session_open(&session, &model, arena, arena_length), "session");

    check(latent_rng_seed(&rng, strtoull(arguments[2], NULL, 10)), "seed");
    check(latent_model_sample(&model, &rng, latent, latent_length), "sample");
    check(latent_session_run_to_u8(&session, latent, latent_length, pixels, pixels_length), "run");

    file = fopen(arguments[3], "wb");
    if (file == NULL || fprintf(file, "P%d\n%lu %lu\n255\n", image.channels == 1 ? 5 : 6, (unsigned long)image.width,
                                (unsigned long)image.height) < 0 ||
        fwrite(pixels, 1, pixels_length, file) != pixels_length || fclose(file) != 0) {
        fprintf(stderr, "cannot write %s\n", arguments[3]);
        return 1;
    }
    free(latent);
    free(pixels);
    free(free_arena);
    free(free_bytes);
    return 0;
}
