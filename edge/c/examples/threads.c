/* One model, a session for each of four threads: threads MODEL.lat. Thread n draws the seeds n, n + 4, ...; then the main thread
 * draws them all again, and every picture has to be the same. */
#include <pthread.h>

#include "read_file.h"

enum { THREADS = 4, PICTURES = 16 };

static latent_model model;
static unsigned char *pictures[PICTURES];

/* Draws the pictures first, first + by, ... in a session of its own. */
static void draw(size_t first, size_t by, unsigned char **into)
{
    size_t latent_length = latent_model_input_length(&model), pixels_length = latent_model_output_length(&model);
    size_t arena_length = latent_model_arena_length(&model, 1), at;
    void *free_arena, *free_latent;
    unsigned char *arena = aligned(arena_length, &free_arena);
    float *latent = (float *)(void *)aligned(latent_length * sizeof *latent, &free_latent);
    latent_session session;
    latent_rng rng;

    check(latent_session_open(&session, &model, arena, arena_length), "session");
    for (at = first; at < PICTURES; at += by) {
        check(latent_rng_seed(&rng, at), "seed");
        check(latent_model_sample(&model, &rng, latent, latent_length), "sample");
        check(latent_session_run_to_u8(&session, latent, latent_length, into[at], pixels_length), "run");
    }
    free(free_arena);
    free(free_latent);
}

static void *thread(void *first)
{
    draw(*(size_t *)first, THREADS, pictures);
    return NULL;
}

int main(int count, char **arguments)
{
    size_t length, pixels_length, at, starts[THREADS];
    void *free_bytes, *free_pictures[PICTURES], *free_again[PICTURES];
    unsigned char *bytes, *again[PICTURES];
    pthread_t threads[THREADS];

    if (count != 2) {
        fprintf(stderr, "usage: threads MODEL.lat\n");
        return 2;
    }
    bytes = read_file(arguments[1], &length, &free_bytes);
    check(latent_model_open(&model, bytes, length), arguments[1]);
    pixels_length = latent_model_output_length(&model);
    for (at = 0; at < PICTURES; at++) {
        pictures[at] = aligned(pixels_length, &free_pictures[at]);
        again[at] = aligned(pixels_length, &free_again[at]);
    }
    for (at = 0; at < THREADS; at++) {
        starts[at] = at;
        if (pthread_create(&threads[at], NULL, thread, &starts[at]) != 0) {
            fprintf(stderr, "cannot start a thread\n");
            return 1;
        }
    }
    for (at = 0; at < THREADS; at++) {
        pthread_join(threads[at], NULL);
    }
    draw(0, 1, again);
    for (at = 0; at < PICTURES; at++) {
        if (memcmp(pictures[at], again[at], pixels_length) != 0) {
            fprintf(stderr, "picture %lu of a thread is another than alone\n", (unsigned long)at);
            return 1;
        }
        free(free_pictures[at]);
        free(free_again[at]);
    }
    free(free_bytes);
    printf("%d pictures of %d threads are the same as of one\n", PICTURES, THREADS);
    return 0;
}
