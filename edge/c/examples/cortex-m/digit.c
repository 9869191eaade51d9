/* A digit from a model inside the program, with static memory alone: on a Cortex-M, and on any other machine too. Prints the
 * picture as a PGM in text. */
#include <stdio.h>

#include <latent.h>

/* The model, which model.S puts at a multiple of 64. */
extern const unsigned char model_begin[], model_end[];

enum { LATENT = 16, SIDE = 16, ARENA = 8 * 1024 };

static unsigned char arena[ARENA], pixels[SIDE * SIDE];
static float latent[LATENT];
static latent_model model;
static latent_session session;
static latent_rng rng;

/* Says what failed, if anything did. */
static int failed(int code)
{
    if (code != LATENT_OK) {
        printf("error %d: %s\n", code, latent_error_text(code));
    }
    return code != LATENT_OK;
}

int main(void)
{
    int at;
    if (failed(latent_model_open(&model, model_begin, (size_t)(model_end - model_begin))) ||
        failed(latent_session_open(&session, &model, arena, sizeof arena)) || failed(latent_rng_seed(&rng, 7)) ||
        failed(latent_fill_uniform(&rng, -1.0f, 1.0f, latent, LATENT)) ||
        failed(latent_session_run_to_u8(&session, latent, LATENT, pixels, sizeof pixels))) {
        return 1;
    }
    printf("P2\n%d %d\n255\n", SIDE, SIDE);
    for (at = 0; at < SIDE * SIDE; at++) {
        printf("%d%c", pixels[at], at % SIDE == SIDE - 1 ? '\n' : ' ');
    }
    return 0;
}
