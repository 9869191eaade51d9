#include <stdio.h>

#include <latent.h>

int main(void)
{
    static uint32_t bytes[2 << 20], arena[1 << 16];
    static unsigned char pixels[28 * 28];
    float z[96];
    latent_model model;
    latent_session session;
    latent_rng rng;
    FILE *file = fopen("models/dcgan-mnist.int8.lat", "rb");
    size_t length = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    int code = latent_model_open(&model, bytes, length); /* open */
    if (!code) code = latent_session_open(&session, &model, arena, sizeof arena);
    if (!code) code = latent_rng_seed(&rng, 7);
    if (!code) code = latent_model_sample(&model, &rng, z, 96); /* sample */
    if (!code) code = latent_session_run_to_u8(&session, z, 96, pixels, sizeof pixels); /* run */
    if (!code) file = freopen("seed-7.pgm", "wb", file); /* save */
    if (!code && file) fprintf(file, "P5\n28 28\n255\n");
    if (!code && file) code = fwrite(pixels, 1, sizeof pixels, file) != sizeof pixels || fclose(file);
    if (code || !file) fprintf(stderr, "error %d: %s\n", code, latent_error_text(code));
    return code || !file;
}
