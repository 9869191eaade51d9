//! 3x3 convolutions of stride 1 in f32, with f32, f16 or bf16 weights, by Winograd's minimal filtering F(2x2, 3x3) (Lavin and
//! Gray, "Fast Algorithms for Convolutional Neural Networks", 2015): tiles of 2x2 outputs from 4x4 inputs, in 16
//! multiplications a channel instead of 36.
//!
//! Tiles go in chunks that fit a core's cache: their inputs are transformed, 16 matrix products follow (with the same
//! kernels as all others), then outputs are transformed back and finished. Those kernels convert 16-bit weights in registers,
//! each once for the six rows of a tile: with AVX-512 that takes the time of f32 weights, so nothing is converted ahead.

use super::epilogue::Epilogue;
use super::geometry::{Geometry, OutOfBounds};
use super::image::Block;
use super::matmul::{Layout, Part, Place, Target};
use super::scalar::winograd::{self, Chunk};
use super::scratch::Regions;
use super::tile::{MAX_ROWS, OutputPointer, Pointers, Tile, TileKernel};
use super::values::{Values, ValuesMut};
use super::{Engine, Isa};
use crate::ops::{BLOCK, Bias, PackedWeights};

/// Elements of transformed inputs, and of products, that a chunk may have.
const ELEMENTS: usize = 1 << 16;
/// And with what lies between the 16 matrices.
const HALF: usize = ELEMENTS + 16 * BLOCK;
/// Elements of scratch memory that each thread needs.
pub(crate) const SCRATCH: usize = 2 * HALF;
/// Blocks of output channels that are computed together.
const BLOCKS: usize = 4;
/// The most channels, in and out.
pub(crate) const MAX_CHANNELS: usize = 4096;
/// The bias of the inner products.
static ZEROS: [f32; MAX_CHANNELS] = [0.0; MAX_CHANNELS];

/// Computes a convolution whose output has even height and width. `part` is that of a direct convolution, but for its
/// weights: 16 transformed kernels, `[4 * row + column][block][depth][16]`. Threads without scratch memory stay idle.
pub(crate) fn winograd(
    engine: &mut Engine,
    layout: &Layout,
    part: &Part<'_>,
    input: Values<'_>,
    mut output: ValuesMut<'_>,
    scratch: &mut [f32],
) -> Result<(), OutOfBounds> {
    let place = Place { phase: [0, 0], group: 0 };
    let geometry = layout.direct(place, part)?;
    geometry.check(&input, &part.weights, &part.epilogue, &output)?;
    let Values::F32(values) = input else { return Err(OutOfBounds) };
    let (weights, epilogue) = (part.weights, part.epilogue);
    let kernel = geometry.blocks() * BLOCK * geometry.depth;
    let sizes = geometry.taps == [3, 3]
        && geometry.height.is_multiple_of(2)
        && geometry.width.is_multiple_of(2)
        && geometry.depth.max(geometry.channels) <= MAX_CHANNELS
        && !weights.weight_type().is_integer()
        && weights.len() >= 16 * kernel
        && scratch.len() >= SCRATCH;
    if !sizes {
        return Err(OutOfBounds);
    }
    let target = Target::new(&mut output);
    let tiles = geometry.pixels() / 4;
    let threads = engine.threads().min(scratch.len() / SCRATCH);
    let division = Division::new(&geometry, threads);
    let isa = engine.isa();
    let regions = Regions::new(scratch, SCRATCH);
    let run = |thread: usize, index: usize| {
        // SAFETY: each thread asks for the region of its number.
        #[allow(unsafe_code)]
        let scratch = unsafe { regions.of(thread) };
        let (transformed, products) = scratch.split_at_mut(HALF);
        let (first, part) = (index / division.parts * division.size, index % division.parts);
        let chunk = Chunk { geometry: &geometry, first, count: (tiles - first).min(division.size) };
        into(isa, &chunk, values, transformed);
        let mut block = geometry.blocks() * part / division.parts;
        let end = geometry.blocks() * (part + 1) / division.parts;
        while block < end {
            let blocks = (end - block).min(BLOCKS);
            multiply(isa, &chunk, transformed, &weights, (block, blocks), products);
            out_of(isa, &chunk, products, (block, blocks), &epilogue, &target);
            block += blocks;
        }
    };
    let jobs = tiles.div_ceil(division.size) * division.parts;
    if threads < engine.threads() || threads == 1 || jobs == 1 {
        (0..jobs).for_each(|index| run(0, index));
    } else {
        engine.parallel(jobs, &run);
    }
    Ok(())
}

/// How a layer is divided into jobs: chunks of tiles, and parts of the output channels.
struct Division {
    /// Tiles in a chunk.
    size: usize,
    /// Parts that the blocks of output channels are divided into.
    parts: usize,
}

impl Division {
    /// As few chunks as fit, since each reads all weights. Threads share out what there is more of: with chunks of tiles
    /// each reads the same weights, with parts of the channels each transforms the same inputs.
    fn new(geometry: &Geometry, threads: usize) -> Self {
        let tiles = geometry.pixels() / 4;
        let most = (ELEMENTS / 16 / geometry.depth.max(BLOCKS * BLOCK)).max(1);
        let chunks = tiles.div_ceil(most);
        let parts = if tiles < geometry.channels { threads.min(geometry.blocks()) } else { 1 };
        let chunks = if parts == 1 { chunks.next_multiple_of(threads) } else { chunks };
        Self { size: tiles.div_ceil(chunks), parts }
    }
}

fn into(isa: Isa, chunk: &Chunk<'_>, input: &[f32], transformed: &mut [f32]) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `winograd` has checked the geometry, whose pixels `chunk` divides.
        #[allow(unsafe_code)]
        Isa::X86(isa) => unsafe { isa.winograd_into(chunk, input, transformed) },
        _ => winograd::into(chunk, input, transformed),
    }
}

fn out_of(
    isa: Isa,
    chunk: &Chunk<'_>,
    products: &[f32],
    blocks: (usize, usize),
    epilogue: &Epilogue<'_>,
    target: &Target<'_>,
) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::X86(isa) => {
            let (none, weights) = (Values::F32(&[]), PackedWeights::F32(&[]));
            let pointers = Pointers::new(chunk.geometry, &none, &weights, epilogue, target.pointer());
            // SAFETY: `winograd` has checked the geometry, whose pixels `chunk` divides.
            #[allow(unsafe_code)]
            unsafe {
                isa.winograd_out_of(chunk, products, blocks, &pointers);
            }
        }
        _ => {
            let mut write = |at: usize, block: &Block, lanes: usize| target.write_floats(at, block, lanes);
            winograd::out_of(chunk, products, blocks, epilogue, &mut write);
        }
    }
}

/// The 16 products of the transformed inputs `[16][tile][depth]` with some blocks of the weights, into
/// `[16][tile][16 * blocks]`.
fn multiply(
    isa: Isa,
    chunk: &Chunk<'_>,
    transformed: &[f32],
    weights: &PackedWeights<'_>,
    (block, blocks): (usize, usize),
    products: &mut [f32],
) {
    let (count, depth) = (chunk.count, chunk.geometry.depth);
    let kernel = chunk.geometry.blocks() * BLOCK * depth;
    let (from, to) = (chunk.matrix(depth), chunk.matrix(blocks * BLOCK));
    for n in 0..16 {
        let Some(kernel) = weights.from(n * kernel + block * BLOCK * depth) else { return };
        let input = &transformed[n * from..n * from + count * depth];
        let output = &mut products[n * to..n * to + count * blocks * BLOCK];
        match isa {
            #[cfg(any(embedded, all(test, feature = "std")))]
            Isa::Embedded(_) => winograd::multiply(depth, input, &kernel, output, blocks),
            #[cfg(any(scalar, test))]
            Isa::Scalar => winograd::multiply(depth, input, &kernel, output, blocks),
            #[cfg(target_arch = "x86_64")]
            Isa::X86(isa) => tiles(isa, (count, depth, blocks), input, &kernel, output),
            #[cfg(target_arch = "aarch64")]
            Isa::Arm(isa) => tiles(isa, (count, depth, blocks), input, &kernel, output),
            #[cfg(target_feature = "simd128")]
            Isa::Wasm(isa) => tiles(isa, (count, depth, blocks), input, &kernel, output),
        }
    }
}

/// One product, in the tiles of a vector kernel.
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64", target_feature = "simd128")),
    allow(dead_code)
)]
fn tiles<K: TileKernel>(
    isa: K,
    (count, depth, blocks): (usize, usize, usize),
    input: &[f32],
    weights: &PackedWeights<'_>,
    output: &mut [f32],
) {
    let channels = blocks * BLOCK;
    let strides = |column| super::geometry::Strides { column, ..Default::default() };
    let geometry = Geometry {
        batch: 1,
        height: 1,
        width: count,
        taps: [1, 1],
        tap: [0, 0],
        depth,
        input: strides(depth),
        output: strides(channels),
        residual: strides(0),
        channels,
        blocked: false,
    };
    let epilogue = Epilogue::bare(Bias::F32(&ZEROS));
    let values = Values::F32(input);
    if geometry.check(&values, weights, &epilogue, &(false, output.len())).is_err() {
        return;
    }
    let (max_rows, max_blocks) = isa.tile(weights, count);
    let pointers =
        Pointers::new(&geometry, &values, weights, &epilogue, OutputPointer::F32(output.as_mut_ptr()));
    let parts = count.div_ceil(max_rows);
    for block in (0..blocks).step_by(max_blocks) {
        for part in 0..parts {
            let (first, end) = (count * part / parts, count * (part + 1) / parts);
            let mut tile = Tile {
                pointers: &pointers,
                rows: end - first,
                block,
                blocks: (blocks - block).min(max_blocks),
                block_bytes: depth * BLOCK * weights.weight_type().size(),
                input: [0; MAX_ROWS],
                output: [0; MAX_ROWS],
                residual: [0; MAX_ROWS],
            };
            for row in 0..end - first {
                tile.input[row] = (first + row) * depth;
                tile.output[row] = (first + row) * channels;
            }
            // SAFETY: `geometry.check` has shown that everything lies in the slices; one thread alone writes `output`.
            #[allow(unsafe_code)]
            unsafe {
                isa.run(&tile);
            }
        }
    }
}
