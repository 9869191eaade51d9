//! The API as C calls it, beside the runtime. What each block of unsafe code relies on is that pointers which are not null lead
//! to what they say.
#![allow(clippy::undocumented_unsafe_blocks)]

use core::ffi::c_int;
use core::mem::zeroed;
use core::ptr::{null, null_mut};
use std::vec;
use std::vec::Vec;

use latent_runtime::AlignedBytes;
use latent_runtime::format::Model;
use latent_runtime::latent::{Distribution, slerp};
use latent_runtime::native::Session;
use latent_runtime::rng::Rng;

use crate::latents::*;
use crate::model::*;
use crate::session::*;
use crate::status::*;

static GENERATOR: &[u8] = include_bytes!("../../models/generator.lat");
static ENCODER: &[u8] = include_bytes!("../../models/encoder.lat");

/// A model and a session of it, with their memory.
struct Opened {
    bytes: AlignedBytes,
    arena: Vec<u8>,
    model: latent_model,
    session: latent_session,
}

fn opened(bytes: &[u8]) -> Opened {
    let bytes = AlignedBytes::copy_of(bytes);
    let mut opened =
        Opened { bytes, arena: vec![], model: unsafe { zeroed() }, session: unsafe { zeroed() } };
    let data = opened.bytes.as_slice();
    unsafe {
        assert_eq!(latent_model_open(&mut opened.model, data.as_ptr().cast(), data.len()), LATENT_OK);
        opened.arena = vec![0xff; latent_model_arena_length(&opened.model, 1)];
        let (start, length) = (opened.arena.as_mut_ptr().cast(), opened.arena.len());
        assert_eq!(latent_session_open(&mut opened.session, &opened.model, start, length), LATENT_OK);
    }
    opened
}

fn latent(seed: u64) -> [f32; 16] {
    let mut values = [0.0; 16];
    Distribution::REFERENCE.fill(&mut Rng::from_seed(seed), &mut values);
    values
}

fn text(text: latent_text) -> &'static str {
    let bytes = unsafe { core::slice::from_raw_parts(text.data.cast(), text.length) };
    core::str::from_utf8(bytes).unwrap()
}

#[test]
fn every_way_to_run_gives_the_bits_of_the_runtime() {
    let mut c = opened(GENERATOR);
    let bytes = AlignedBytes::copy_of(GENERATOR);
    let model = Model::from_bytes(bytes.as_slice()).unwrap();
    let mut arena = vec![0; model.arena_len(1).unwrap()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let (z, mut done) = (latent(7), 0);
    let (mut values, mut pixels) = ([0.0; 256], [0u8; 256]);
    session.run(&z, &mut values).unwrap();
    session.run_u8(&z, &mut pixels).unwrap();
    let (mut found, mut bytes) = ([9.0f32; 256], [9u8; 256]);
    unsafe {
        assert_eq!(latent_session_run(&mut c.session, z.as_ptr(), 16, found.as_mut_ptr(), 256), LATENT_OK);
        assert_eq!(found.map(f32::to_bits), values.map(f32::to_bits));
        let code = latent_session_run_to_u8(&mut c.session, z.as_ptr(), 16, bytes.as_mut_ptr(), 256);
        assert_eq!((code, bytes), (LATENT_OK, pixels));

        (found, bytes) = ([9.0; 256], [9; 256]);
        assert_eq!(latent_session_give(&mut c.session, 0, z.as_ptr(), 16), LATENT_OK);
        assert_eq!(latent_session_take_u8(&mut c.session, 0, bytes.as_mut_ptr(), 256), 312);
        let mut steps = 0;
        while done == 0 {
            assert_eq!(latent_session_step(&mut c.session, &mut done), LATENT_OK);
            steps += 1;
        }
        assert_eq!(steps, model.operators_len() + 1);
        assert_eq!(latent_session_take_u8(&mut c.session, 0, bytes.as_mut_ptr(), 256), LATENT_OK);
        assert_eq!(latent_session_take(&mut c.session, 0, found.as_mut_ptr(), 256), LATENT_OK);
    }
    assert_eq!((found, bytes), (values, pixels));

    let mut c = opened(ENCODER);
    let code = AlignedBytes::copy_of(ENCODER);
    let model = Model::from_bytes(code.as_slice()).unwrap();
    let mut arena = vec![0; model.arena_len(1).unwrap()];
    let (mut features, mut found) = ([0.0f32; 32], [9.0f32; 32]);
    Session::new(&model, &mut arena).unwrap().run_u8(&pixels, &mut features).unwrap();
    unsafe {
        let code = latent_session_run_from_u8(&mut c.session, pixels.as_ptr(), 256, found.as_mut_ptr(), 32);
        assert_eq!((code, found), (LATENT_OK, features));
        found = [9.0; 32];
        assert_eq!(latent_session_give_u8(&mut c.session, 0, pixels.as_ptr(), 256), LATENT_OK);
        while latent_session_step(&mut c.session, &mut done) == LATENT_OK && done == 0 {}
        assert_eq!(latent_session_take(&mut c.session, 0, found.as_mut_ptr(), 32), LATENT_OK);
    }
    assert_eq!(found, features);
}

#[test]
fn a_model_tells_of_itself() {
    let (generator, encoder) = (opened(GENERATOR), opened(ENCODER));
    unsafe {
        let (mut port, mut image): (latent_port, latent_image) = (zeroed(), zeroed());
        assert_eq!((latent_model_inputs(&encoder.model), latent_model_outputs(&encoder.model)), (1, 1));
        assert_eq!(latent_model_input_length(&encoder.model), 256);
        assert_eq!(latent_model_output_length(&encoder.model), 32);
        assert_eq!(latent_model_input(&encoder.model, 0, &mut port), LATENT_OK);
        assert_eq!((text(port.name), port.length, port.rank, port.is_whole), ("image", 256, 3, 0));
        assert_eq!(port.shape, [1, 16, 16, 0, 0, 0]);
        assert_eq!(latent_model_output(&encoder.model, 0, &mut port), LATENT_OK);
        assert_eq!((text(port.name), port.length, port.rank), ("features", 32, 1));
        for (c, black) in [(&generator, -1.0), (&encoder, 0.0)] {
            assert_eq!(latent_model_image(&c.model, &mut image), LATENT_OK);
            let expected =
                latent_image { channels: 1, height: 16, width: 16, black, white: 1.0, is_stated: 1 };
            assert_eq!(image, expected);
        }
        let (mut key, mut found) = (latent_text::new(""), latent_text::new(""));
        let get = |key: &core::ffi::CStr, found: &mut latent_text| {
            latent_model_metadata(&encoder.model, key.as_ptr(), found)
        };
        assert_eq!((get(c"latent.image", &mut found), text(found)), (LATENT_OK, "1x16x16"));
        assert_eq!(get(c"latent.imag", &mut found), LATENT_NO_SUCH);
        assert_eq!(latent_model_metadata_at(&encoder.model, 0, &mut key, &mut found), LATENT_OK);
        assert_eq!((text(key), text(found)), ("latent.image", "1x16x16"));
        assert_eq!(latent_model_metadata_at(&encoder.model, 99, &mut key, &mut found), LATENT_NO_SUCH);
    }
    assert_eq!(text(latent_instruction_set()), latent_runtime::native::instruction_set());
}

#[test]
fn draws_and_walks_are_those_of_the_runtime() {
    let (mut a, mut b, mut between) = ([0.0f32; 16], [0.0f32; 16], [0.0f32; 16]);
    unsafe {
        let mut rng: latent_rng = zeroed();
        assert_eq!(latent_fill_uniform(&mut rng, -1.0, 1.0, a.as_mut_ptr(), 16), LATENT_NOT_OPEN);
        assert_eq!(latent_rng_seed(&mut rng, 7), LATENT_OK);
        assert_eq!(latent_fill_uniform(&mut rng, -1.0, 1.0, a.as_mut_ptr(), 16), LATENT_OK);
        assert_eq!(latent_fill_normal(&mut rng, 0.5, 2.0, b.as_mut_ptr(), 16), LATENT_OK);
        assert_eq!(latent_slerp(a.as_ptr(), b.as_ptr(), 0.3, between.as_mut_ptr(), 16), LATENT_OK);
        assert_eq!(latent_fill_normal(&mut rng, 0.5, 0.0, b.as_mut_ptr(), 16), LATENT_PARAMETER);
        assert_eq!(latent_fill_uniform(&mut rng, f32::NAN, 1.0, b.as_mut_ptr(), 16), LATENT_PARAMETER);
        assert_eq!(latent_slerp(a.as_ptr(), b.as_ptr(), 0.3, b.as_mut_ptr().add(1), 15), LATENT_OVERLAP);
    }
    let (mut expected, mut rng) = ([[0.0f32; 16]; 3], Rng::from_seed(7));
    let [first, second, third] = &mut expected;
    Distribution::REFERENCE.fill(&mut rng, first);
    Distribution::Normal { mean: 0.5, std: 2.0 }.fill(&mut rng, second);
    slerp(first, second, 0.3, third);
    assert_eq!([a, b, between], expected);
    assert_eq!(a, latent(7));
}

#[test]
fn what_is_wrong_has_a_code_and_leaves_nothing_open() {
    let mut c = opened(GENERATOR);
    let bytes = c.bytes.as_slice().to_vec();
    let mut damaged = AlignedBytes::copy_of(&bytes);
    damaged.as_mut_slice()[bytes.len() - 1] ^= 1;
    let (z, mut values, mut port, mut done) = (latent(1), [0.0f32; 256], unsafe { zeroed() }, 0);
    let out = values.as_mut_ptr();
    unsafe {
        let mut model: latent_model = zeroed();
        let start = c.bytes.as_slice().as_ptr();
        let mut open = |start: *const u8, length| latent_model_open(&mut model, start.cast(), length);
        for (found, expected) in [
            (open(null(), 0), 100),
            (open(null(), 10), LATENT_NULL),
            (open(start, 99), 100),
            (open(start.add(1), bytes.len() - 1), 101),
            (open(start, bytes.len() - 4), 103),
            (open(start, usize::MAX), LATENT_LENGTH),
            (open(damaged.as_slice().as_ptr(), bytes.len()), 105),
        ] {
            assert_eq!(found, expected);
        }
        // The memory holds no model after that.
        assert_eq!(latent_model_input(&model, 0, &mut port), LATENT_NOT_OPEN);
        assert_eq!(latent_model_arena_length(&model, 1), 0);
        let data: *const core::ffi::c_void = damaged.as_slice().as_ptr().cast();
        assert_eq!(latent_model_open_trusted(&mut model, data, bytes.len()), LATENT_OK);
        assert_eq!(latent_model_open(null_mut(), data, bytes.len()), LATENT_NULL);
        assert_eq!(latent_model_inputs(null()), 0);
        assert_eq!(latent_model_input(&c.model, 1, &mut port), LATENT_NO_SUCH);
        assert_eq!(latent_model_input(&c.model, 0, null_mut()), LATENT_NULL);
        assert_eq!(latent_model_metadata(&c.model, null(), null_mut()), LATENT_NULL);
        let odd = (&raw const c.model).byte_add(1);
        assert_eq!(latent_model_input(odd, 0, &mut port), LATENT_MISALIGNED);
        assert_eq!(latent_model_arena_length(&c.model, usize::MAX), 0);

        let mut session: latent_session = zeroed();
        assert_eq!(latent_session_run(&mut session, z.as_ptr(), 16, out, 256), LATENT_NOT_OPEN);
        let (arena, length) = (c.arena.as_mut_ptr(), c.arena.len());
        for (found, expected) in [
            (latent_session_open(&mut session, &c.model, arena.cast(), length - 1), 200),
            (latent_session_open(&mut session, &c.model, null_mut(), length), LATENT_NULL),
            (latent_session_open(&mut session, &c.model, null_mut(), 0), 200),
            (latent_session_open(&mut session, null(), arena.cast(), length), LATENT_NULL),
            (latent_session_open(&mut session, &c.model, start.cast_mut().cast(), length), LATENT_OVERLAP),
        ] {
            assert_eq!(found, expected);
        }
        let session: *mut latent_session = &mut c.session;
        let step = |done: *mut c_int| latent_session_step(session, done);
        for (found, expected) in [
            (step(&mut done), 312),
            (step(null_mut()), LATENT_NULL),
            (latent_session_run(session, z.as_ptr(), 15, out, 256), 300),
            (latent_session_run(session, z.as_ptr(), 16, out, 255), 304),
            (latent_session_run(session, null(), 16, out, 256), LATENT_NULL),
            (latent_session_run(session, z.as_ptr(), 16, null_mut(), 256), LATENT_NULL),
            (latent_session_run(session, out, 16, out, 256), LATENT_OVERLAP),
            (latent_session_run(session, z.as_ptr().byte_add(2), 15, out, 256), LATENT_MISALIGNED),
            (latent_session_run(null_mut(), z.as_ptr(), 16, out, 256), LATENT_NULL),
            (latent_session_give(session, 1, z.as_ptr(), 16), 305),
            (latent_session_give(session, 0, z.as_ptr(), 17), 308),
            (latent_session_take(session, 0, out, 256), 312),
        ] {
            assert_eq!(found, expected);
        }
        let mut rng: latent_rng = zeroed();
        assert_eq!(latent_rng_seed(null_mut(), 1), LATENT_NULL);
        assert_eq!(latent_model_sample(&c.model, &mut rng, out, 16), LATENT_NOT_OPEN);
        assert_eq!(latent_model_sample(&opened(ENCODER).model, &mut rng, out, 16), LATENT_NOT_STATED);
    }
}
