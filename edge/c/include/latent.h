/* liblatent: runs small generators and encoders in memory of the caller's.
 *
 * Made of edge/c/src by edge/c/tests/header.rs; not edited by hand. What holds for all functions:
 *
 * - All memory is the caller's. Nothing is allocated, freed, locked or kept in a global, and no file is opened.
 * - A function that can fail gives LATENT_OK, which is 0, or one of the codes of latent_error_text. It never ends the program
 *   for what it is given: null pointers, wrong lengths, misaligned addresses and damaged models have codes. What it cannot
 *   see is the caller's duty: that a pointer which is not null leads to as much memory as it says.
 * - Lengths are in elements, not in bytes, but for memory of `void`, which is bytes.
 * - Nothing that is given may overlap what is written.
 * - A latent_model and a latent_session lie wherever the caller has them, and need no closing: what has been opened is gone
 *   with its memory. The bytes of a model must stay, unchanged, as long as it or a session of it is used; likewise an arena.
 * - Threads: a model may be used by any number of threads at once, a session by one at a time.
 */

#ifndef LATENT_H
#define LATENT_H

#include <stddef.h>
#include <stdint.h>

/*
 Success.
 */
#define LATENT_OK 0

/*
 A pointer is null.
 */
#define LATENT_NULL 1

/*
 A pointer is not aligned for its type.
 */
#define LATENT_MISALIGNED 2

/*
 What is given overlaps what is written.
 */
#define LATENT_OVERLAP 3

/*
 A model, session or random number generator has not been opened or seeded, or opening it failed.
 */
#define LATENT_NOT_OPEN 4

/*
 There is no such input, output or metadata.
 */
#define LATENT_NO_SUCH 5

/*
 The model does not state it.
 */
#define LATENT_NOT_STATED 6

/*
 A parameter is out of range.
 */
#define LATENT_PARAMETER 7

/*
 A length is impossible.
 */
#define LATENT_LENGTH 8

/*
 The memory of a latent_model, in words of the size of a pointer, to which it is aligned.
 */
#define LATENT_MODEL_WORDS 64

/*
 The most axes of a shape.
 */
#define LATENT_MAX_RANK 6

/*
 The memory of a latent_session, in words of the size of a pointer, to which it is aligned.
 */
#define LATENT_SESSION_WORDS 80

/*
 A random number generator (xoshiro256++), whose numbers are the same bits on every machine.
 */
typedef struct latent_rng {
  /*
   All there is to save; never all 0.
   */
  uint64_t state[4];
} latent_rng;

/*
 A packed model that has been opened: a view of its bytes, which stay where they are.
 */
typedef struct latent_model {
  size_t opaque[LATENT_MODEL_WORDS];
} latent_model;

/*
 Text that no zero ends. It lies in the model's bytes or is a constant: nothing to free.
 */
typedef struct latent_text {
  /*
   UTF-8.
   */
  const char *data;
  /*
   Bytes.
   */
  size_t length;
} latent_text;

/*
 An input or an output of a model.
 */
typedef struct latent_port {
  /*
   Its name.
   */
  struct latent_text name;
  /*
   The values of one example: the product of its shape.
   */
  size_t length;
  /*
   The axes of its shape, without the batch axis.
   */
  size_t rank;
  /*
   The extents of its axes, beyond the rank 0.
   */
  size_t shape[LATENT_MAX_RANK];
  /*
   1 if its values are whole numbers, such as labels, else 0. They are given as float in any case.
   */
  int is_whole;
} latent_port;

/*
 The pictures that a model makes or takes.
 */
typedef struct latent_image {
  /*
   1 (gray) or 3 (RGB).
   */
  size_t channels;
  /*
   Rows.
   */
  size_t height;
  /*
   Columns.
   */
  size_t width;
  /*
   The value of a black pixel (0).
   */
  float black;
  /*
   The value of a white pixel (255).
   */
  float white;
  /*
   1 if the model states these two, 0 if they are the usual ones of its kind.
   */
  int is_stated;
} latent_image;

/*
 A model at work in an arena.
 */
typedef struct latent_session {
  size_t opaque[LATENT_SESSION_WORDS];
} latent_session;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 What a code means, in a few constant words; "unknown code" for what is none. Never null.
 */
const char *latent_error_text(int code);

/*
 Begins with a seed.
 */
int latent_rng_seed(struct latent_rng *rng, uint64_t seed);

/*
 Draws values that are uniform between `low` and `high`, which is more.
 */
int latent_fill_uniform(struct latent_rng *rng, float low, float high, float *values, size_t length);

/*
 Draws normal values of a mean and a standard deviation, which is positive.
 */
int latent_fill_normal(struct latent_rng *rng, float mean, float std, float *values, size_t length);

/*
 Draws latent values of the model's own distribution. LATENT_NOT_STATED if it states none.
 */
int latent_model_sample(const struct latent_model *model,
                        struct latent_rng *rng,
                        float *values,
                        size_t length);

/*
 Spherical interpolation: `between` becomes what lies at `t` of the way, 0 to 1, on the arc from `a` to `b`. All three have
 `length` values.
 */
int latent_slerp(const float *a,
                 const float *b,
                 float t,
                 float *between,
                 size_t length);

/*
 The name of the best instruction set that this machine has and the library knows, such as AVX-512 VNNI: what sessions use.
 */
struct latent_text latent_instruction_set(void);

/*
 Opens a packed model (.lat), of which everything is checked, the checksum included. The bytes lie at an address that is a
 multiple of 4; of 64 is fastest.
 */
int latent_model_open(struct latent_model *model,
                      const void *bytes,
                      size_t length);

/*
 As latent_model_open, but without the checksum, which takes most of the time: for bytes that have been opened before and
 cannot have changed since. It is as safe; what it does not see is a changed weight.
 */
int latent_model_open_trusted(struct latent_model *model,
                              const void *bytes,
                              size_t length);

/*
 Bytes of working memory for a session that runs so many examples at once, wherever they lie; 0 if the model is not open or
 there is no such memory.
 */
size_t latent_model_arena_length(const struct latent_model *model,
                                 size_t batch);

/*
 Values of one example of the first input; 0 if the model is not open.
 */
size_t latent_model_input_length(const struct latent_model *model);

/*
 Values of one example of the first output; 0 if the model is not open.
 */
size_t latent_model_output_length(const struct latent_model *model);

/*
 The number of inputs; 0 if the model is not open.
 */
size_t latent_model_inputs(const struct latent_model *model);

/*
 The number of outputs; 0 if the model is not open.
 */
size_t latent_model_outputs(const struct latent_model *model);

/*
 One of the inputs, counted from 0.
 */
int latent_model_input(const struct latent_model *model, size_t index, struct latent_port *port);

/*
 One of the outputs, counted from 0.
 */
int latent_model_output(const struct latent_model *model, size_t index, struct latent_port *port);

/*
 The pictures that go into a model or, if none do, come out of it. LATENT_NO_SUCH if neither.
 */
int latent_model_image(const struct latent_model *model, struct latent_image *image);

/*
 The text under a key of the metadata. LATENT_NO_SUCH if there is no such key.
 */
int latent_model_metadata(const struct latent_model *model, const char *key, struct latent_text *text);

/*
 Key and text of an entry of the metadata, counted from 0. LATENT_NO_SUCH beyond the last.
 */
int latent_model_metadata_at(const struct latent_model *model,
                             size_t index,
                             struct latent_text *key,
                             struct latent_text *text);

/*
 Begins a session in an arena of latent_model_arena_length bytes or more, at any address, its own from now on. The
 latent_model may go; its bytes may not.
 */
int latent_session_open(struct latent_session *session,
                        const struct latent_model *model,
                        void *arena,
                        size_t arena_length);

/*
 Runs a model of one input and one output on as many examples as the input holds.
 */
int latent_session_run(struct latent_session *session,
                       const float *input,
                       size_t input_length,
                       float *output,
                       size_t output_length);

/*
 Runs a model that makes a picture, such as a generator, on one example. Pixels are 0 to 255, rows from above, the channels
 of a pixel side by side.
 */
int latent_session_run_to_u8(struct latent_session *session,
                             const float *input,
                             size_t input_length,
                             uint8_t *pixels,
                             size_t pixels_length);

/*
 Runs a model that takes a picture, such as an encoder, on one example. Pixels are as those of latent_session_run_to_u8.
 */
int latent_session_run_from_u8(struct latent_session *session,
                               const uint8_t *pixels,
                               size_t pixels_length,
                               float *output,
                               size_t output_length);

/*
 Gives one of the inputs, counted from 0, the values of one example. All inputs are given, in any order, before the first
 latent_session_step.
 */
int latent_session_give(struct latent_session *session,
                        size_t index,
                        const float *values,
                        size_t length);

/*
 As latent_session_give, with the pixels of a picture.
 */
int latent_session_give_u8(struct latent_session *session,
                           size_t index,
                           const uint8_t *pixels,
                           size_t length);

/*
 Runs the next operator, and writes to `is_done` 1 once all have run, else 0.
 */
int latent_session_step(struct latent_session *session, int *is_done);

/*
 Takes the values of one of the outputs, counted from 0, once all operators have run.
 */
int latent_session_take(struct latent_session *session, size_t index, float *values, size_t length);

/*
 As latent_session_take, as the pixels of a picture.
 */
int latent_session_take_u8(struct latent_session *session, size_t index, uint8_t *pixels, size_t length);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LATENT_H */
